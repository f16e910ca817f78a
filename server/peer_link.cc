#include "server/peer_link.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "assent/v1/peer.grpc.pb.h"
#include "base/digest.h"
#include "node/snapshot_parts.h"
#include "server/log.h"
#include "server/peer_limits.h"

namespace assent {

namespace {

constexpr auto back_off_first = std::chrono::milliseconds(50);
constexpr auto back_off_most = std::chrono::milliseconds(1000);
constexpr auto silence_max = std::chrono::seconds(5);  // before a peer that never answered is told of
constexpr std::size_t chunk_bytes = 256ULL << 10U;
constexpr auto held_time_max = std::chrono::seconds(10);  // for the answer to how much of a snapshot is there
constexpr int snapshot_attempts_max = 3;                  // of one call, when chunks are damaged on their way
constexpr auto probe_pause = std::chrono::seconds(1);
constexpr auto probe_answer_max = 3 * probe_pause;  // without an answer for so long the peer counts as lost
constexpr int smoothing = 4;                        // a round trip counts for so much of what is shown

std::uint64_t micros(std::chrono::steady_clock::time_point at) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count());
}

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
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetMaxSendMessageSize(static_cast<int>(peer_message_bytes_max));
  arguments.SetMaxReceiveMessageSize(static_cast<int>(peer_message_bytes_max));
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, peer_lookahead_bytes);
  return grpc::CreateCustomChannel(endpoint.text(), grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

// The stream of frames, from the side that calls. Deletes itself when its last operation has ended.
class PeerLink::FrameCall final : public FramePump<grpc::ClientAsyncReaderWriter<v1::PeerFrame, v1::PeerFrame>> {
 public:
  explicit FrameCall(PeerLink& link) : FramePump(link.queue_, link.inbox_), link_(link), stub_(link.channel_) {
    link.identity_.write_hello(link.to_, *out_.mutable_hello());
    context_.set_wait_for_ready(true);
    stream_ = stub_.PrepareAsyncFrames(&context_, &link.queue_.completions());
  }

  void open() {
    step_begins();
    stream_->StartCall(static_cast<RpcTag*>(&started_));
  }
  void cancel() override { context_.TryCancel(); }

 private:
  grpc::ClientAsyncReaderWriter<v1::PeerFrame, v1::PeerFrame>& stream() override { return *stream_; }

  void started(bool ok) {
    if (ok && !queue_.draining()) {
      write_out();  // the hello
      read();
    }
    step_over();
  }
  void arrived(v1::PeerFrame& message) override {
    if (up_ && message.kind_case() == v1::PeerFrame::kFrame) return hand_over(link_.to_, message);
    if (up_ && message.kind_case() == v1::PeerFrame::kProbe) {
      link_.probed(message.probe());
      return read();
    }
    if (up_ || message.kind_case() != v1::PeerFrame::kAccepted) return cancel();
    if (const auto refusal = link_.identity_.check(link_.to_, message.accepted())) {
      LogEvent(LogLevel::warn, "peer", "stream refused")
          .field("peer", link_.node_.name)
          .field("why", *refusal)
          .write_at_most_every(10, "refused " + link_.node_.name);
      return cancel();
    }
    up_ = true;
    link_.inbox_.push(PeerTold{link_.to_, message.accepted().uses_level()});
    probes_ = message.accepted().probes();
    join();
    read();
  }
  // The first write is the greeting.
  void written(bool ok) override {
    if (std::exchange(greeted_, true)) return link_.written(*this, ok);
    if (ok) join();
  }
  // The peer's answer may be known here before it is known that the greeting is out, and one write at a time is
  // allowed.
  void join() {
    if (up_ && greeted_ && !is_lost()) link_.joined(*this, probes_);
  }
  void lost() override { link_.left(*this); }
  void over() override {
    if (queue_.draining()) return finished(false);
    stream_->Finish(&status_, static_cast<RpcTag*>(&finished_));
  }
  void finished(bool /*ok*/) {
    link_.ended(status_, up_);
    delete this;
  }

  PeerLink& link_;
  v1::Peer::Stub stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::PeerFrame, v1::PeerFrame>> stream_;
  grpc::Status status_{grpc::StatusCode::CANCELLED, "this node stops"};
  bool up_ = false;  // the peer has accepted
  bool greeted_ = false;
  bool probes_ = false;  // the peer takes them
  RpcStep<FrameCall> started_{*this, &FrameCall::started};
  RpcStep<FrameCall> finished_{*this, &FrameCall::finished};
};

// One snapshot: asks the peer how much of it is there, and writes the rest chunk after chunk, each when the last one is
// out and the node's rate allows it. A chunk that was damaged on its way ends the stream, and a new one goes on from
// there. Deletes itself.
class PeerLink::SnapshotCall final {
 public:
  SnapshotCall(PeerLink& link, SnapshotTransfer transfer)
      : group(transfer.group), link_(link), stub_(link.snapshot_channel_), transfer_(std::move(transfer)) {
    link.identity_.write_hello(link.to_, *header_.mutable_hello());
    header_.set_group(transfer_.group.value);
    header_.set_epoch(transfer_.epoch.value);
    header_.set_last_epoch(transfer_.mark.last.epoch.value);
    header_.set_last_index(transfer_.mark.last.index.value);
    header_.set_stamp(transfer_.mark.stamp.value);
    if (const Membership& members = transfer_.mark.members; members.plain()) {
      for (const Member& member : members.voters) header_.add_members(member.node.value);
    } else {
      header_.set_membership(encode_membership(members));
    }
    header_.set_size(transfer_.data.size());
    header_.set_checksum(xxh3(transfer_.data));
  }

  void open() { ask(); }
  void tick(std::chrono::steady_clock::time_point now) {
    if (!waits_ || now < go_on_at_) return;
    waits_ = false;
    next();
  }
  void cancel() {
    cancelled_ = true;
    if (asking_) asking_->TryCancel();
    if (sending_) sending_->TryCancel();
    if (std::exchange(waits_, false)) finish();
  }

  const GroupId group;

 private:
  void ask() {
    asking_ = std::make_unique<grpc::ClientContext>();
    asking_->set_deadline(std::chrono::system_clock::now() + held_time_max);
    status_ = cut_off();
    question_ = stub_.PrepareAsyncHeldSnapshot(asking_.get(), header_, &link_.queue_.completions());
    question_->StartCall();
    question_->Finish(&held_, &status_, static_cast<RpcTag*>(&asked_));
  }
  void asked(bool /*ok*/) {
    asking_.reset();
    if (link_.queue_.draining() || cancelled_) return over();
    const bool unknown = status_.error_code() == grpc::StatusCode::UNIMPLEMENTED;  // an older program: it keeps nothing
    if (!status_.ok() && !unknown) return over();
    sent_ = unknown ? 0 : std::min<std::uint64_t>(held_.bytes(), transfer_.data.size());
    if (sent_ > 0) {
      link_.traffic_.resumed += 1;
      link_.traffic_.bytes_spared += sent_;
      LogEvent(LogLevel::info, "peer", "snapshot goes on where it broke")
          .field("peer", link_.node_.name)
          .field("group", group)
          .field("from_byte", sent_)
          .field("bytes", transfer_.data.size())
          .write();
    }
    send();
  }
  void send() {
    sending_ = std::make_unique<grpc::ClientContext>();
    sending_->set_deadline(std::chrono::system_clock::now() + link_.rate_.time_for(transfer_.data.size() - sent_));
    status_ = cut_off();
    header_.set_offset(sent_);
    *chunk_.mutable_header() = header_;
    chunk_.clear_offset();
    chunk_.clear_checksum();
    stream_ = stub_.PrepareAsyncSnapshot(sending_.get(), &receipt_, &link_.queue_.completions());
    stream_->StartCall(static_cast<RpcTag*>(&started_));
  }
  void started(bool ok) {
    if (!ok || link_.queue_.draining()) return finish();
    stream_->Write(chunk_, static_cast<RpcTag*>(&written_));
  }
  void written(bool ok) {
    if (!ok || link_.queue_.draining()) return finish();
    next();
  }
  void next() {
    if (sent_ == transfer_.data.size()) return stream_->WritesDone(static_cast<RpcTag*>(&closed_));
    const std::size_t size = std::min<std::size_t>(chunk_bytes, transfer_.data.size() - sent_);
    const auto now = std::chrono::steady_clock::now();
    if (const std::uint64_t wait = link_.rate_.bucket.take(size, micros(now)); wait > 0) {
      waits_ = true;
      go_on_at_ = now + std::chrono::microseconds(wait);
      return;
    }
    const ByteView data = ByteView(transfer_.data).substr(sent_, size);
    chunk_.set_data(data.data(), data.size());
    chunk_.set_offset(sent_);
    chunk_.set_checksum(chunk_checksum(sent_, data));
    sent_ += size;
    link_.traffic_.bytes_sent += size;
    stream_->Write(chunk_, static_cast<RpcTag*>(&written_));
  }
  void closed(bool /*ok*/) { finish(); }
  void finish() {
    if (link_.queue_.draining()) return over();
    stream_->Finish(&status_, static_cast<RpcTag*>(&finished_));
  }
  void finished(bool /*ok*/) {
    const bool damaged = status_.error_code() == grpc::StatusCode::DATA_LOSS;
    if (damaged && !cancelled_ && !link_.queue_.draining() && ++attempts_ < snapshot_attempts_max) {
      stream_.reset();
      sending_.reset();
      return ask();
    }
    over();
  }
  void over() {
    link_.ended(*this, status_.ok() && stream_ != nullptr, status_);
    delete this;
  }
  static grpc::Status cut_off() { return {grpc::StatusCode::CANCELLED, "this node stops"}; }

  PeerLink& link_;
  v1::Peer::Stub stub_;
  std::unique_ptr<grpc::ClientContext> asking_;
  std::unique_ptr<grpc::ClientContext> sending_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::SnapshotHeld>> question_;
  std::unique_ptr<grpc::ClientAsyncWriter<v1::SnapshotChunk>> stream_;
  v1::SnapshotHeader header_;
  v1::SnapshotHeld held_;
  v1::SnapshotChunk chunk_;
  v1::SnapshotReceipt receipt_;
  SnapshotTransfer transfer_;
  std::uint64_t sent_ = 0;
  int attempts_ = 0;
  bool waits_ = false;  // for the rate; nothing is under way
  bool cancelled_ = false;
  std::chrono::steady_clock::time_point go_on_at_{};
  grpc::Status status_ = cut_off();
  RpcStep<SnapshotCall> asked_{*this, &SnapshotCall::asked};
  RpcStep<SnapshotCall> started_{*this, &SnapshotCall::started};
  RpcStep<SnapshotCall> written_{*this, &SnapshotCall::written};
  RpcStep<SnapshotCall> closed_{*this, &SnapshotCall::closed};
  RpcStep<SnapshotCall> finished_{*this, &SnapshotCall::finished};
};

PeerLink::PeerLink(const PeerIdentity& identity, NodeId to, RpcQueue& queue, Inbox& inbox, SnapshotRate& rate,
                   SnapshotTraffic& traffic)
    : identity_(identity),
      to_(to),
      node_(identity.nodes.at(to)),
      queue_(queue),
      inbox_(inbox),
      rate_(rate),
      traffic_(traffic),
      channel_(make_channel(node_.endpoint, 0)),
      snapshot_channel_(make_channel(node_.endpoint, 1)),
      back_off_(back_off_first) {}

bool PeerLink::ready() const {
  if (!up() || !writing_) return true;
  wanted_ = true;
  return false;
}

void PeerLink::send(Bytes frame) {
  if (!up() || writing_ || frame.size() > peer_message_bytes_max) return;
  writing_ = true;
  wanted_ = false;
  stream_->write(std::move(frame));
}

// ---- how far it is ----

void PeerLink::probed(const v1::PeerProbe& probe) {
  if (muted_) return;
  const auto now = std::chrono::steady_clock::now();
  const std::uint64_t asked = probe.answer();
  if (asked != 0 && asked == asked_) {
    asked_ = 0;
    const std::chrono::microseconds took(micros(now) - asked);
    round_trip_ = round_trip_.count() == 0 ? took : round_trip_ + (took - round_trip_) / smoothing;
    answered_at_ = now;
  }
  if (probe.ask() == 0) return;
  answer_ = probe.ask();
  say_probe();
}

void PeerLink::say_probe() {
  if (!up() || writing_ || muted_ || (!probe_due_ && answer_ == 0)) return;
  writing_ = true;
  if (probe_due_) asked_ = micros(std::chrono::steady_clock::now());
  stream_->probe(std::exchange(probe_due_, false) ? asked_ : 0, std::exchange(answer_, 0));
}

PeerLatency PeerLink::latency(std::chrono::steady_clock::time_point now) const {
  PeerLatency out;
  out.up = up() && !muted_ && (!probes_ || now - answered_at_ < probe_answer_max);
  out.round_trip = round_trip_;
  if (round_trip_.count() != 0) out.age = std::chrono::duration_cast<std::chrono::milliseconds>(now - answered_at_);
  return out;
}

void PeerLink::tick(std::chrono::steady_clock::time_point now) {
  if (stopping_) return;
  const std::set<SnapshotCall*> calls_now = snapshot_calls_;  // a call may end in its tick
  for (SnapshotCall* call : calls_now) call->tick(now);
  if (up() && probes_ && now >= probe_at_) {
    probe_at_ = now + probe_pause;
    probe_due_ = true;
    say_probe();
  }
  if (opened_at_ == std::chrono::steady_clock::time_point{}) opened_at_ = now;
  if (call_ != nullptr || !calls()) return report_waiting(now);
  if (now < open_at_) return;
  call_ = new FrameCall(*this);  // deletes itself
  opened_at_ = now;
  call_->open();
}

void PeerLink::joined(PeerStream& stream, bool probes) {
  PeerStream* const older = std::exchange(stream_, &stream);
  if (older != nullptr) older->cancel();
  if (stopping_) stream.cancel();
  writing_ = false;
  probes_ = probes;
  probe_due_ = false;
  asked_ = answer_ = 0;
  round_trip_ = {};
  answered_at_ = std::chrono::steady_clock::now();
  back_off_ = back_off_first;
  LogEvent(LogLevel::info, "peer", "peer up").field("peer", node_.name).field("address", node_.endpoint.text()).write();
  inbox_.push(TransportReady{to_});
}

void PeerLink::written(const PeerStream& stream, bool ok) {
  if (stream_ != &stream) return;
  writing_ = false;
  if (ok) say_probe();
  if (ok && !writing_ && wanted_) inbox_.push(TransportReady{to_});
}

void PeerLink::left(const PeerStream& stream) {
  if (stream_ != &stream) return;
  stream_ = nullptr;
  opened_at_ = std::chrono::steady_clock::now();
  if (!calls() && !stopping_) report_end(grpc::Status::OK, true);
}

void PeerLink::ended(const grpc::Status& status, bool was_up) {
  call_ = nullptr;
  open_at_ = std::chrono::steady_clock::now() + back_off_;
  back_off_ = std::min(back_off_ * 2, back_off_most);
  if (!stopping_) report_end(status, was_up);
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
  if (up() || now - opened_at_ < silence_max) return;
  LogEvent(LogLevel::warn, "peer", "peer cannot be reached; trying on")
      .field("peer", node_.name)
      .field("address", node_.endpoint.text())
      .write_at_most_every(60, "waiting for " + node_.name);
}

void PeerLink::send_snapshot(SnapshotTransfer transfer) {
  const GroupId group = transfer.group;
  if (stopping_ || transfer.data.size() > peer_snapshot_bytes_max || !snapshots_.insert(group).second) {
    return inbox_.push(SnapshotSendEnded{.to = to_, .group = group, .delivered = false});
  }
  auto* const call = new SnapshotCall(*this, std::move(transfer));  // deletes itself
  snapshot_calls_.insert(call);
  call->open();
}

void PeerLink::ended(SnapshotCall& call, bool delivered, const grpc::Status& status) {
  inbox_.push(SnapshotSendEnded{.to = to_, .group = call.group, .delivered = delivered});
  LogEvent event(delivered ? LogLevel::info : LogLevel::warn, "peer",
                 delivered ? "snapshot sent" : "snapshot could not be sent");
  event.field("peer", node_.name).field("group", call.group);
  ++(delivered ? traffic_.delivered : traffic_.broken);
  if (!delivered) event.field("error", status.error_message());
  event.write_at_most_every(delivered ? 0 : 10, "snapshot to " + node_.name);
  snapshots_.erase(call.group);
  snapshot_calls_.erase(&call);
}

void PeerLink::stop() {
  stopping_ = true;
  if (call_ != nullptr) call_->cancel();
  if (stream_ != nullptr) stream_->cancel();
  const std::set<SnapshotCall*> calls_now = snapshot_calls_;
  for (SnapshotCall* call : calls_now) call->cancel();
}

}  // namespace assent
