#include "server/peer_link.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "assent/v1/peer.grpc.pb.h"
#include "base/digest.h"
#include "server/log.h"
#include "server/peer_limits.h"

namespace assent {

namespace {

constexpr auto back_off_first = std::chrono::milliseconds(50);
constexpr auto back_off_most = std::chrono::milliseconds(1000);
constexpr auto silence_max = std::chrono::seconds(5);  // before a peer that never answered is told of
constexpr std::size_t chunk_bytes = 256ULL << 10U;
constexpr auto snapshot_time_max = std::chrono::minutes(10);

// Connections of different kinds to one peer must not be shared: a snapshot would stand before the heartbeats.
std::shared_ptr<grpc::Channel> make_channel(const Endpoint& endpoint, int kind) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt("assent.connection_kind", kind);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, peer_keepalive_millis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, peer_keepalive_timeout_millis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, static_cast<int>(back_off_first.count()));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);  // also the time that one attempt may take
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, static_cast<int>(back_off_most.count()));
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxSendMessageSize(static_cast<int>(peer_message_bytes_max));
  return grpc::CreateCustomChannel(endpoint.text(), grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

// The stream of frames. Writes are begun from the loop's thread, outside of reactions, so a hold keeps the call alive
// until the link has forgotten it. Deletes itself when gRPC is done with it.
class PeerLink::FrameCall final : public grpc::ClientBidiReactor<v1::PeerFrame, v1::PeerAccepted> {
 public:
  explicit FrameCall(PeerLink& link) : link_(link), stub_(link.channel_) {
    link.identity_.write_hello(link.to_, *message_.mutable_hello());
    context_.set_wait_for_ready(true);
  }

  void open() {
    stub_.async()->Frames(&context_, this);
    AddHold();
    StartWrite(&message_);
    StartRead(&accepted_);
    StartCall();
  }
  void write(Bytes frame) {
    message_.set_frame(std::move(frame));
    StartWrite(&message_);
  }
  void cancel() { context_.TryCancel(); }
  void let_go() { RemoveHold(); }

  void OnWriteDone(bool ok) override {
    if (!ok) context_.TryCancel();  // OnReadDone tells the link
    link_.written(*this, ok);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return link_.lost(*this);
    link_.accepted(*this);
    StartRead(&accepted_);
  }
  void OnDone(const grpc::Status& status) override {
    link_.ended(*this, status);
    delete this;
  }

  bool was_up = false;  // guarded by the link's mutex

 private:
  PeerLink& link_;
  v1::Peer::Stub stub_;
  grpc::ClientContext context_;
  v1::PeerFrame message_;
  v1::PeerAccepted accepted_;
};

// One snapshot, chunk after chunk, each written when the last one is out. Deletes itself.
class PeerLink::SnapshotCall final : public grpc::ClientWriteReactor<v1::SnapshotChunk> {
 public:
  SnapshotCall(PeerLink& link, SnapshotTransfer transfer)
      : group(transfer.group), link_(link), stub_(link.snapshot_channel_), transfer_(std::move(transfer)) {
    v1::SnapshotHeader& header = *chunk_.mutable_header();
    link.identity_.write_hello(link.to_, *header.mutable_hello());
    header.set_group(transfer_.group.value);
    header.set_epoch(transfer_.epoch.value);
    header.set_last_epoch(transfer_.mark.last.epoch.value);
    header.set_last_index(transfer_.mark.last.index.value);
    header.set_stamp(transfer_.mark.stamp.value);
    for (const NodeId member : transfer_.mark.members) header.add_members(member.value);
    header.set_size(transfer_.data.size());
    header.set_checksum(xxh3(transfer_.data));
    context_.set_deadline(std::chrono::system_clock::now() + snapshot_time_max);
  }

  void open() {
    stub_.async()->Snapshot(&context_, &receipt_, this);
    StartWrite(&chunk_);
    StartCall();
  }
  void cancel() { context_.TryCancel(); }

  void OnWriteDone(bool ok) override {
    if (!ok) return;  // OnDone says why
    if (sent_ == transfer_.data.size()) return StartWritesDone();
    const std::size_t size = std::min(chunk_bytes, transfer_.data.size() - sent_);
    chunk_.set_data(transfer_.data.data() + sent_, size);
    sent_ += size;
    StartWrite(&chunk_);
  }
  void OnDone(const grpc::Status& status) override {
    link_.ended(*this, status.ok(), status);
    delete this;
  }

  const GroupId group;

 private:
  PeerLink& link_;
  v1::Peer::Stub stub_;
  grpc::ClientContext context_;
  v1::SnapshotChunk chunk_;
  v1::SnapshotReceipt receipt_;
  SnapshotTransfer transfer_;
  std::size_t sent_ = 0;
};

PeerLink::PeerLink(const PeerIdentity& identity, NodeId to, Inbox& inbox)
    : identity_(identity),
      to_(to),
      node_(identity.nodes.at(to)),
      inbox_(inbox),
      channel_(make_channel(node_.endpoint, 0)),
      snapshot_channel_(make_channel(node_.endpoint, 1)),
      back_off_(back_off_first) {}

PeerLink::~PeerLink() { stop(); }

bool PeerLink::ready() const {
  const std::lock_guard lock(mutex_);
  if (!up_ || !writing_) return true;
  wanted_ = true;
  return false;
}

bool PeerLink::up() const {
  const std::lock_guard lock(mutex_);
  return up_;
}

void PeerLink::send(Bytes frame) {
  const std::lock_guard lock(mutex_);
  if (!up_ || writing_ || call_ == nullptr || frame.size() > peer_message_bytes_max) return;
  writing_ = true;
  wanted_ = false;
  call_->write(std::move(frame));
}

void PeerLink::tick(std::chrono::steady_clock::time_point now) {
  FrameCall* call = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (call_ != nullptr) return report_waiting(now);
    if (now < open_at_) return;
    call = call_ = new FrameCall(*this);  // deletes itself in OnDone
    opened_at_ = now;
    ++calls_;
    writing_ = true;  // the hello
  }
  call->open();
}

void PeerLink::accepted(FrameCall& call) {
  {
    const std::lock_guard lock(mutex_);
    if (call_ != &call || up_) return;
    up_ = call.was_up = true;
    back_off_ = back_off_first;
  }
  LogEvent(LogLevel::info, "peer", "peer up").field("peer", node_.name).field("address", node_.endpoint.text()).write();
  inbox_.push(TransportReady{to_});
}

void PeerLink::written(FrameCall& call, bool ok) {
  {
    const std::lock_guard lock(mutex_);
    if (call_ != &call) return;
    writing_ = false;
    if (!ok || !up_ || !wanted_) return;
  }
  inbox_.push(TransportReady{to_});
}

void PeerLink::lost(FrameCall& call) {
  {
    const std::lock_guard lock(mutex_);
    if (call_ == &call) {
      up_ = false;
      writing_ = true;  // until the next stream: ready() does not ask while the link is down
    }
  }
  call.let_go();
}

void PeerLink::ended(FrameCall& call, const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  const bool was_up = call.was_up;
  if (call_ == &call) call_ = nullptr;
  up_ = false;
  open_at_ = std::chrono::steady_clock::now() + back_off_;
  back_off_ = std::min(back_off_ * 2, back_off_most);
  if (!stopping_) report_end(status, was_up);
  if (--calls_ == 0) idle_.notify_all();
}

void PeerLink::report_end(const grpc::Status& status, bool was_up) const {
  const bool refused = status.error_code() == grpc::StatusCode::FAILED_PRECONDITION;
  LogEvent event(LogLevel::warn, "peer",
                 refused  ? "peer refuses this node"
                 : was_up ? "peer down"
                          : "peer cannot be reached");
  event.field("peer", node_.name).field("address", node_.endpoint.text());
  event.field("error", status.ok() ? std::string("the peer ended the stream") : status.error_message());
  event.write_at_most_every(was_up ? 0 : 10,
                            fmt::format("peer {} {}", node_.name, static_cast<int>(status.error_code())));
}

void PeerLink::report_waiting(std::chrono::steady_clock::time_point now) const {
  if (up_ || now - opened_at_ < silence_max) return;
  LogEvent(LogLevel::warn, "peer", "peer cannot be reached; trying on")
      .field("peer", node_.name)
      .field("address", node_.endpoint.text())
      .write_at_most_every(60, "waiting for " + node_.name);
}

void PeerLink::send_snapshot(SnapshotTransfer transfer) {
  const GroupId group = transfer.group;
  SnapshotCall* call = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && transfer.data.size() <= peer_snapshot_bytes_max && snapshots_.insert(group).second) {
      call = new SnapshotCall(*this, std::move(transfer));  // deletes itself in OnDone
      snapshot_calls_.insert(call);
      ++calls_;
    }
  }
  if (call == nullptr) return inbox_.push(SnapshotSendEnded{.to = to_, .group = group, .delivered = false});
  call->open();
}

void PeerLink::ended(SnapshotCall& call, bool delivered, const grpc::Status& status) {
  inbox_.push(SnapshotSendEnded{.to = to_, .group = call.group, .delivered = delivered});
  LogEvent event(delivered ? LogLevel::info : LogLevel::warn, "peer",
                 delivered ? "snapshot sent" : "snapshot could not be sent");
  event.field("peer", node_.name).field("group", call.group);
  if (!delivered) event.field("error", status.error_message());
  event.write_at_most_every(delivered ? 0 : 10, "snapshot to " + node_.name);
  const std::lock_guard lock(mutex_);
  snapshots_.erase(call.group);
  snapshot_calls_.erase(&call);
  if (--calls_ == 0) idle_.notify_all();
}

void PeerLink::stop() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  if (call_ != nullptr) call_->cancel();
  for (SnapshotCall* call : snapshot_calls_) call->cancel();
  idle_.wait(lock, [this] { return calls_ == 0; });
}

}  // namespace assent
