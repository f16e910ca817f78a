#include "server/peer_service.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "server/log.h"
#include "server/peer_link.h"

namespace assent {

namespace {

grpc::Status refuse(const std::string& caller, const std::string& why) {
  LogEvent(LogLevel::warn, "peer", "stream refused")
      .field("caller", caller)
      .field("why", why)
      .write_at_most_every(10, "refused " + caller.substr(0, caller.rfind(':')));
  return {grpc::StatusCode::FAILED_PRECONDITION, why};
}

std::optional<Membership> read_members(const v1::SnapshotHeader& header) {
  if (!header.membership().empty()) return decode_membership(header.membership());
  std::vector<NodeId> founders;
  for (const std::uint64_t member : header.members()) founders.emplace_back(member);
  Membership members(founders);
  if (!members.valid()) return std::nullopt;
  return members;
}

std::optional<SnapshotLabel> read_label(const v1::SnapshotHeader& header) {
  auto members = read_members(header);
  if (!members) return std::nullopt;
  SnapshotLabel label{.group = GroupId(header.group()),
                      .mark = {.last = {.epoch = Epoch(header.last_epoch()), .index = Index(header.last_index())},
                               .stamp = ClusterMillis(header.stamp()),
                               .members = std::move(*members)},
                      .size = header.size(),
                      .checksum = header.checksum()};
  return label;
}

std::uint64_t now_micros() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

}  // namespace

// A stream of frames, from the side that is called. Deletes itself when it is over.
class PeerService::FrameStream final : public FramePump<grpc::ServerAsyncReaderWriter<v1::PeerFrame, v1::PeerFrame>> {
 public:
  static void await(PeerService& service) {
    auto* const stream = new FrameStream(service);
    service.service_.RequestFrames(&stream->context_, &stream->stream_, &service.queue_.completions(),
                                   service.arrivals_.arrivals(), static_cast<RpcTag*>(&stream->opened_));
  }

  void cancel() override { context_.TryCancel(); }

 private:
  explicit FrameStream(PeerService& service) : FramePump(service.queue_, service.inbox_), service_(service) {}

  grpc::ServerAsyncReaderWriter<v1::PeerFrame, v1::PeerFrame>& stream() override { return stream_; }

  void opened(bool ok) {
    if (!ok || service_.arrivals_.draining() || queue_.draining()) return finished(false);
    await(service_);
    caller_ = context_.peer();
    read();
  }
  void arrived(v1::PeerFrame& message) override {
    if (link_ == nullptr) return greet(message);
    if (message.kind_case() == v1::PeerFrame::kProbe) {
      link_->probed(message.probe());
      return read();
    }
    if (message.kind_case() == v1::PeerFrame::kFrame) return hand_over(from_, message);
    status_ = refuse(caller_, "a message of the stream is no frame");
  }
  void greet(const v1::PeerFrame& message) {
    if (!message.has_hello()) {
      status_ = refuse(caller_, "the first message is no greeting");
      return;
    }
    const PeerIdentity::Verdict verdict = service_.identity_.check(message.hello());
    if (verdict.refusal) {
      status_ = refuse(caller_, *verdict.refusal);
      return;
    }
    from_ = verdict.from;
    probes_ = message.hello().probes();
    link_ = service_.links_.at(from_).get();
    service_.inbox_.push(PeerTold{from_, message.hello().uses_level()});
    service_.identity_.write_accepted(*out_.mutable_accepted());
    write_out();
    read();
  }
  // The first write is the greeting back.
  void written(bool ok) override {
    if (std::exchange(greeted_, true)) return link_->written(*this, ok);
    if (ok && !is_lost()) link_->joined(*this, probes_);
  }
  void lost() override {
    if (link_ != nullptr) link_->left(*this);
  }
  void over() override {
    if (queue_.draining()) return finished(false);
    stream_.Finish(status_, static_cast<RpcTag*>(&finished_));
  }
  void finished(bool /*ok*/) { delete this; }

  PeerService& service_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<v1::PeerFrame, v1::PeerFrame> stream_{&context_};
  std::string caller_;
  NodeId from_;               // none until greeted
  PeerLink* link_ = nullptr;  // likewise
  bool greeted_ = false;
  bool probes_ = false;  // the caller takes them
  grpc::Status status_;
  RpcStep<FrameStream> opened_{*this, &FrameStream::opened};
  RpcStep<FrameStream> finished_{*this, &FrameStream::finished};
};

// How much of a snapshot came with streams that broke. Deletes itself.
class PeerService::HeldQuestion final {
 public:
  static void await(PeerService& service) {
    auto* const call = new HeldQuestion(service);
    service.service_.RequestHeldSnapshot(&call->context_, &call->header_, &call->answer_, &service.queue_.completions(),
                                         service.arrivals_.arrivals(), static_cast<RpcTag*>(&call->opened_));
  }

 private:
  explicit HeldQuestion(PeerService& service) : service_(service) {}

  void opened(bool ok) {
    if (!ok || service_.arrivals_.draining() || service_.queue_.draining()) return finished(false);
    await(service_);
    const PeerIdentity::Verdict verdict = service_.identity_.check(header_.hello());
    const auto label = read_label(header_);
    if (verdict.refusal || !label) {
      const grpc::Status status =
          refuse(context_.peer(), verdict.refusal ? *verdict.refusal : "the snapshot's members cannot be read");
      return answer_.FinishWithError(status, static_cast<RpcTag*>(&finished_));
    }
    v1::SnapshotHeld held;
    held.set_bytes(service_.parts_.held(*label));
    answer_.Finish(held, grpc::Status::OK, static_cast<RpcTag*>(&finished_));
  }
  void finished(bool /*ok*/) { delete this; }

  PeerService& service_;
  grpc::ServerContext context_;
  v1::SnapshotHeader header_;
  grpc::ServerAsyncResponseWriter<v1::SnapshotHeld> answer_{&context_};
  RpcStep<HeldQuestion> opened_{*this, &HeldQuestion::opened};
  RpcStep<HeldQuestion> finished_{*this, &HeldQuestion::finished};
};

// Takes the chunks of one snapshot; hands it on when it is whole. Deletes itself.
class PeerService::SnapshotStream final {
 public:
  static void await(PeerService& service) {
    auto* const stream = new SnapshotStream(service);
    service.service_.RequestSnapshot(&stream->context_, &stream->stream_, &service.queue_.completions(),
                                     service.arrivals_.arrivals(), static_cast<RpcTag*>(&stream->opened_));
  }

 private:
  explicit SnapshotStream(PeerService& service) : service_(service) {}

  [[nodiscard]] bool over() const { return service_.queue_.draining(); }
  void end() {
    service_.parts_.leave(part_, now_micros());
    delete this;
  }

  void opened(bool ok) {
    if (!ok || service_.arrivals_.draining() || over()) return end();
    await(service_);
    caller_ = context_.peer();
    read();
  }
  void read() {
    if (over()) return end();
    stream_.Read(&chunk_, static_cast<RpcTag*>(&read_));
  }
  void arrived(bool ok) {
    if (!ok) return complete();
    if (part_.none()) return begin();
    if (chunk_.kind_case() != v1::SnapshotChunk::kData)
      return finish(refuse(caller_, "a chunk of the snapshot has no data"));
    const bool says_more = chunk_.has_checksum();  // older programs say neither place nor checksum
    const std::uint64_t offset = says_more ? chunk_.offset() : taken_;
    const auto checksum = says_more ? std::optional(chunk_.checksum()) : std::nullopt;
    if (auto added = service_.parts_.add(part_, offset, chunk_.data(), checksum); !added) {
      ++service_.traffic_.chunks_refused;
      return finish(status_of(added.error()));
    }
    taken_ += chunk_.data().size();
    read();
  }
  void begin() {
    if (!chunk_.has_header()) return finish(refuse(caller_, "the first chunk of the snapshot is no header"));
    const v1::SnapshotHeader& header = chunk_.header();
    const PeerIdentity::Verdict verdict = service_.identity_.check(header.hello());
    if (verdict.refusal) return finish(refuse(caller_, *verdict.refusal));
    auto label = read_label(header);
    if (!label) return finish(refuse(caller_, "the snapshot's members cannot be read"));
    const auto begun = service_.parts_.begin(*label, header.offset());
    if (!begun) return finish(status_of(begun.error()));
    part_ = *begun;
    taken_ = header.offset();
    from_ = verdict.from;
    epoch_ = Epoch(header.epoch());
    label_ = std::move(*label);
    read();
  }
  void complete() {
    if (part_.none()) return finish({grpc::StatusCode::DATA_LOSS, "the snapshot ended before it began"});
    auto data = service_.parts_.finish(part_);
    if (!data) {
      const bool broken = data.error().code == ErrorCode::conflict;  // what came stays for the next stream
      return finish(broken ? grpc::Status(grpc::StatusCode::DATA_LOSS, data.error().message) : status_of(data.error()));
    }
    LogEvent(LogLevel::info, "peer", "snapshot received")
        .field("from", service_.identity_.nodes.at(from_).name)
        .field("group", label_.group)
        .field("index", label_.mark.last.index)
        .field("bytes", data->size())
        .write();
    service_.inbox_.push(SnapshotReceived{
        .from = from_,
        .transfer = {.group = label_.group, .epoch = epoch_, .mark = label_.mark, .data = std::move(*data)}});
    finish(grpc::Status::OK);
  }
  [[nodiscard]] grpc::Status status_of(const Error& error) const {
    switch (error.code) {
      case ErrorCode::corruption: return {grpc::StatusCode::DATA_LOSS, error.message};
      case ErrorCode::conflict: return {grpc::StatusCode::OUT_OF_RANGE, error.message};
      case ErrorCode::busy: return {grpc::StatusCode::RESOURCE_EXHAUSTED, error.message};
      case ErrorCode::refused: return {grpc::StatusCode::ABORTED, error.message};
      default: return refuse(caller_, error.message);
    }
  }
  // The part is let go before the caller hears: a stream that follows at once finds it.
  void finish(const grpc::Status& status) {
    service_.parts_.leave(std::exchange(part_, {}), now_micros());
    if (over()) return end();
    if (status.ok()) {
      stream_.Finish(receipt_, status, static_cast<RpcTag*>(&finished_));
    } else {
      stream_.FinishWithError(status, static_cast<RpcTag*>(&finished_));
    }
  }
  void finished(bool /*ok*/) { end(); }

  PeerService& service_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReader<v1::SnapshotReceipt, v1::SnapshotChunk> stream_{&context_};
  std::string caller_;
  NodeId from_;
  Epoch epoch_;
  SnapshotLabel label_;
  SnapshotParts::Stream part_;  // none until the header is read
  std::uint64_t taken_ = 0;     // to this byte
  v1::SnapshotChunk chunk_;
  v1::SnapshotReceipt receipt_;
  RpcStep<SnapshotStream> opened_{*this, &SnapshotStream::opened};
  RpcStep<SnapshotStream> read_{*this, &SnapshotStream::arrived};
  RpcStep<SnapshotStream> finished_{*this, &SnapshotStream::finished};
};

void PeerService::open() {
  FrameStream::await(*this);
  HeldQuestion::await(*this);
  SnapshotStream::await(*this);
}

}  // namespace assent
