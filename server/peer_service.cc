#include "server/peer_service.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "server/log.h"
#include "server/peer_limits.h"
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

// Gathers the chunks of one snapshot; hands it on when it is whole. Deletes itself.
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
    if (counted_) --service_.snapshots_in_;
    delete this;
  }

  void opened(bool ok) {
    if (!ok || service_.arrivals_.draining() || over()) return end();
    await(service_);
    caller_ = context_.peer();
    if (service_.snapshots_in_ >= peer_snapshots_in_max) {
      return finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "other snapshots are arriving; send it again later"});
    }
    ++service_.snapshots_in_;
    counted_ = true;
    read();
  }
  void read() {
    if (over()) return end();
    stream_.Read(&chunk_, static_cast<RpcTag*>(&read_));
  }
  void arrived(bool ok) {
    if (!ok) return complete();
    if (from_.none()) return begin();
    if (chunk_.kind_case() != v1::SnapshotChunk::kData)
      return finish(refuse(caller_, "a chunk of the snapshot has no data"));
    if (chunk_.data().size() > size_ - transfer_.data.size()) {
      return finish(refuse(caller_, "the snapshot is longer than its header says"));
    }
    transfer_.data += chunk_.data();
    read();
  }
  void begin() {
    if (!chunk_.has_header()) return finish(refuse(caller_, "the first chunk of the snapshot is no header"));
    const v1::SnapshotHeader& header = chunk_.header();
    const PeerIdentity::Verdict verdict = service_.identity_.check(header.hello());
    if (verdict.refusal) return finish(refuse(caller_, *verdict.refusal));
    if (header.size() > peer_snapshot_bytes_max) return finish(refuse(caller_, "the snapshot is larger than 1 GiB"));
    size_ = header.size();
    checksum_ = header.checksum();
    transfer_.group = GroupId(header.group());
    transfer_.epoch = Epoch(header.epoch());
    transfer_.mark.last = {.epoch = Epoch(header.last_epoch()), .index = Index(header.last_index())};
    transfer_.mark.stamp = ClusterMillis(header.stamp());
    auto members = read_members(header);
    if (!members) return finish(refuse(caller_, "the snapshot's members cannot be read"));
    transfer_.mark.members = std::move(*members);
    from_ = verdict.from;
    read();
  }
  void complete() {
    if (from_.none() || transfer_.data.size() != size_) {
      return finish({grpc::StatusCode::DATA_LOSS, "the snapshot ended before it was whole"});
    }
    if (xxh3(transfer_.data) != checksum_) {
      return finish({grpc::StatusCode::DATA_LOSS, "the snapshot's checksum is wrong: it was damaged on its way"});
    }
    LogEvent(LogLevel::info, "peer", "snapshot received")
        .field("from", service_.identity_.nodes.at(from_).name)
        .field("group", transfer_.group)
        .field("index", transfer_.mark.last.index)
        .field("bytes", transfer_.data.size())
        .write();
    service_.inbox_.push(SnapshotReceived{.from = from_, .transfer = std::move(transfer_)});
    finish(grpc::Status::OK);
  }
  void finish(const grpc::Status& status) {
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
  NodeId from_;  // none until the header is read
  v1::SnapshotChunk chunk_;
  v1::SnapshotReceipt receipt_;
  SnapshotTransfer transfer_;
  std::size_t size_ = 0;
  std::uint64_t checksum_ = 0;
  bool counted_ = false;
  RpcStep<SnapshotStream> opened_{*this, &SnapshotStream::opened};
  RpcStep<SnapshotStream> read_{*this, &SnapshotStream::arrived};
  RpcStep<SnapshotStream> finished_{*this, &SnapshotStream::finished};
};

void PeerService::open() {
  FrameStream::await(*this);
  SnapshotStream::await(*this);
}

}  // namespace assent
