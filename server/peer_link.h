// The link to one peer: a stream of frames with one write in flight, and snapshots as calls of their own on a second
// connection. The node with the smaller id opens the stream, again with back-off whenever it ends; the other one is
// given it by PeerService.
//
// While there is no stream frames are dropped at once: consensus repeats what matters, and old frames help nobody.
// A dead peer is noticed by HTTP/2 keepalive within three seconds. Used by GrpcTransport and PeerService alone, on the
// thread that waits on the node's completion queue.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "node/transport.h"
#include "server/inbox.h"
#include "server/peer_identity.h"
#include "server/peer_latency.h"
#include "server/peer_stream.h"
#include "server/rpc_queue.h"
#include "server/snapshot_traffic.h"

namespace grpc {
class Status;
}

namespace assent {

class PeerLink {
 public:
  // rate and traffic are shared by the links of a node, and outlive them.
  PeerLink(const PeerIdentity& identity, NodeId to, RpcQueue& queue, Inbox& inbox, SnapshotRate& rate,
           SnapshotTraffic& traffic);
  ~PeerLink() = default;
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  // No write is in flight. True while the stream is down, when send() drops. After a no, TransportReady is put into the
  // inbox when the write is done; a loop that has nothing to send is not woken for it.
  [[nodiscard]] bool ready() const;
  void send(Bytes frame);
  void send_snapshot(SnapshotTransfer transfer);
  // Opens the stream when its time has come.
  void tick(std::chrono::steady_clock::time_point now);
  // Cuts every call off; their ends come through the queue, and none may come after this is destroyed. No other call
  // may follow.
  void stop();

  [[nodiscard]] bool up() const { return stream_ != nullptr; }
  // Each second the peer is asked for a sign of life when both know how; it takes its turn among the frames.
  [[nodiscard]] PeerLatency latency(std::chrono::steady_clock::time_point now) const;
  // Asks nothing and answers nothing, as if the network were cut; for development.
  void mute(bool on) { muted_ = on; }

  // A stream carries frames from now on, in the place of any older one; is done with a frame; carries none any more.
  // probes: the peer takes them.
  void joined(PeerStream& stream, bool probes);
  void probed(const v1::PeerProbe& probe);
  void written(const PeerStream& stream, bool ok);
  void left(const PeerStream& stream);

 private:
  class FrameCall;
  class SnapshotCall;

  [[nodiscard]] bool calls() const { return identity_.self < to_; }  // or is called
  void ended(const grpc::Status& status, bool was_up);
  void ended(SnapshotCall& call, bool delivered, const grpc::Status& status);
  void say_probe();
  void report_waiting(std::chrono::steady_clock::time_point now) const;
  void report_end(const grpc::Status& status, bool was_up) const;

  const PeerIdentity& identity_;
  const NodeId to_;
  const PeerIdentity::Node& node_;
  RpcQueue& queue_;
  Inbox& inbox_;
  SnapshotRate& rate_;
  SnapshotTraffic& traffic_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<grpc::Channel> snapshot_channel_;

  FrameCall* call_ = nullptr;     // the stream that this node opens or has opened
  PeerStream* stream_ = nullptr;  // accepted, by whoever was called
  bool writing_ = false;
  mutable bool wanted_ = false;  // ready() said no to somebody since the last write began
  bool stopping_ = false;
  std::set<GroupId> snapshots_;
  std::set<SnapshotCall*> snapshot_calls_;
  std::chrono::steady_clock::time_point open_at_{};
  std::chrono::steady_clock::time_point opened_at_{};
  std::chrono::milliseconds back_off_;

  bool probes_ = false;
  bool muted_ = false;
  bool probe_due_ = false;
  std::uint64_t asked_ = 0;   // what has not come back yet
  std::uint64_t answer_ = 0;  // what is to go back
  std::chrono::microseconds round_trip_{0};
  std::chrono::steady_clock::time_point probe_at_{};
  std::chrono::steady_clock::time_point answered_at_{};  // or joined
};

}  // namespace assent
