#include "server/peer_service.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "base/digest.h"
#include "server/log.h"
#include "server/peer_limits.h"

namespace assent {

namespace {

grpc::Status refuse(const std::string& caller, const std::string& why) {
  LogEvent(LogLevel::warn, "peer", "stream refused")
      .field("caller", caller)
      .field("why", why)
      .write_at_most_every(10, "refused " + caller.substr(0, caller.rfind(':')));
  return {grpc::StatusCode::FAILED_PRECONDITION, why};
}

}  // namespace

// Reads one message at a time; the next read begins when the inbox has room. Deletes itself when gRPC is done with it.
class PeerService::FrameStream final : public grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerAccepted>,
                                       public Inbox::FrameReader {
 public:
  FrameStream(PeerService& service, std::string caller) : service_(service), caller_(std::move(caller)) {
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    if (from_.none()) return greet();
    if (message_.kind_case() != v1::PeerFrame::kFrame)
      return Finish(refuse(caller_, "a message of the stream is no frame"));
    service_.inbox_.push_frame({.from = from_, .frame = std::move(*message_.mutable_frame())}, *this);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    StartRead(&message_);
  }
  void OnDone() override { delete this; }

  void proceed() override { StartRead(&message_); }

 private:
  void greet() {
    if (!message_.has_hello()) return Finish(refuse(caller_, "the first message is no greeting"));
    const PeerIdentity::Verdict verdict = service_.identity_.check(message_.hello());
    if (verdict.refusal) return Finish(refuse(caller_, *verdict.refusal));
    from_ = verdict.from;
    StartWrite(&accepted_);
  }

  PeerService& service_;
  const std::string caller_;
  NodeId from_;  // none until greeted
  v1::PeerFrame message_;
  v1::PeerAccepted accepted_;
};

// Gathers the chunks of one snapshot; hands it on when it is whole. Deletes itself.
class PeerService::SnapshotStream final : public grpc::ServerReadReactor<v1::SnapshotChunk> {
 public:
  SnapshotStream(PeerService& service, std::string caller) : service_(service), caller_(std::move(caller)) {
    if (service_.snapshots_in_.fetch_add(1) >= peer_snapshots_in_max) {
      Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "other snapshots are arriving; send it again later"});
    } else {
      StartRead(&chunk_);
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) return complete();
    if (from_.none()) return begin();
    if (chunk_.kind_case() != v1::SnapshotChunk::kData)
      return Finish(refuse(caller_, "a chunk of the snapshot has no data"));
    if (chunk_.data().size() > size_ - transfer_.data.size()) {
      return Finish(refuse(caller_, "the snapshot is longer than its header says"));
    }
    transfer_.data += chunk_.data();
    StartRead(&chunk_);
  }
  void OnDone() override {
    service_.snapshots_in_.fetch_sub(1);
    delete this;
  }

 private:
  void begin() {
    if (!chunk_.has_header()) return Finish(refuse(caller_, "the first chunk of the snapshot is no header"));
    const v1::SnapshotHeader& header = chunk_.header();
    const PeerIdentity::Verdict verdict = service_.identity_.check(header.hello());
    if (verdict.refusal) return Finish(refuse(caller_, *verdict.refusal));
    if (header.size() > peer_snapshot_bytes_max) return Finish(refuse(caller_, "the snapshot is larger than 1 GiB"));
    size_ = header.size();
    checksum_ = header.checksum();
    transfer_.group = GroupId(header.group());
    transfer_.epoch = Epoch(header.epoch());
    transfer_.mark.last = {.epoch = Epoch(header.last_epoch()), .index = Index(header.last_index())};
    transfer_.mark.stamp = ClusterMillis(header.stamp());
    for (const std::uint64_t member : header.members()) transfer_.mark.members.emplace_back(member);
    from_ = verdict.from;
    StartRead(&chunk_);
  }

  void complete() {
    if (from_.none() || transfer_.data.size() != size_) {
      return Finish({grpc::StatusCode::DATA_LOSS, "the snapshot ended before it was whole"});
    }
    if (xxh3(transfer_.data) != checksum_) {
      return Finish({grpc::StatusCode::DATA_LOSS, "the snapshot's checksum is wrong: it was damaged on its way"});
    }
    LogEvent(LogLevel::info, "peer", "snapshot received")
        .field("from", service_.identity_.nodes.at(from_).name)
        .field("group", transfer_.group)
        .field("index", transfer_.mark.last.index)
        .field("bytes", transfer_.data.size())
        .write();
    service_.inbox_.push(SnapshotReceived{.from = from_, .transfer = std::move(transfer_)});
    Finish(grpc::Status::OK);
  }

  PeerService& service_;
  const std::string caller_;
  NodeId from_;  // none until the header is read
  v1::SnapshotChunk chunk_;
  SnapshotTransfer transfer_;
  std::size_t size_ = 0;
  std::uint64_t checksum_ = 0;
};

grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerAccepted>* PeerService::Frames(grpc::CallbackServerContext* context) {
  return new FrameStream(*this, context->peer());
}

grpc::ServerReadReactor<v1::SnapshotChunk>* PeerService::Snapshot(grpc::CallbackServerContext* context,
                                                                  v1::SnapshotReceipt* /*receipt*/) {
  return new SnapshotStream(*this, context->peer());
}

}  // namespace assent
