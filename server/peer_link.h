// The way out to one peer: a stream of frames with one write in flight, opened again with back-off whenever it ends,
// and snapshots as calls of their own on a second connection.
//
// While the stream is not open frames are dropped at once: consensus repeats what matters, and old frames help nobody.
// A dead peer is noticed by HTTP/2 keepalive within three seconds. Used by GrpcTransport alone: send(), send_snapshot()
// and tick() from the loop's thread, the rest from gRPC's. Every member below mutex_ is guarded by it.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "node/transport.h"
#include "server/inbox.h"
#include "server/peer_identity.h"

namespace grpc {
class Status;
}

namespace assent {

class PeerLink {
 public:
  PeerLink(const PeerIdentity& identity, NodeId to, Inbox& inbox);
  ~PeerLink();
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  // No write is in flight. True while the stream is down, when send() drops. After a no, TransportReady is put into the
  // inbox when the write is done; a loop that has nothing to send is not woken for it.
  [[nodiscard]] bool ready() const;
  void send(Bytes frame);
  void send_snapshot(SnapshotTransfer transfer);
  // Opens the stream when its time has come.
  void tick(std::chrono::steady_clock::time_point now);
  // Ends every call and waits for their ends. No other call may follow.
  void stop();

  [[nodiscard]] bool up() const;

 private:
  class FrameCall;
  class SnapshotCall;

  void accepted(FrameCall& call);
  void written(FrameCall& call, bool ok);
  void lost(FrameCall& call);  // nothing may be written to it any more
  void ended(FrameCall& call, const grpc::Status& status);
  void ended(SnapshotCall& call, bool delivered, const grpc::Status& status);
  void report_waiting(std::chrono::steady_clock::time_point now) const;
  void report_end(const grpc::Status& status, bool was_up) const;

  const PeerIdentity& identity_;
  const NodeId to_;
  const PeerIdentity::Node& node_;
  Inbox& inbox_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<grpc::Channel> snapshot_channel_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;  // calls_ is zero
  FrameCall* call_ = nullptr;     // the open or opening stream
  bool up_ = false;               // accepted by the peer
  bool writing_ = false;
  mutable bool wanted_ = false;  // ready() said no to somebody since the last write began
  bool stopping_ = false;
  std::size_t calls_ = 0;  // of both kinds that have not ended
  std::set<GroupId> snapshots_;
  std::set<SnapshotCall*> snapshot_calls_;
  std::chrono::steady_clock::time_point open_at_{};
  std::chrono::steady_clock::time_point opened_at_{};
  std::chrono::milliseconds back_off_;
};

}  // namespace assent
