// The way in from the peers: takes their frames and snapshots and puts them into the inbox. Who does not introduce
// itself as a known node of this cluster is refused with a sentence; arbitrary bytes end their own stream and nothing
// else.
//
// Bounded: a stream is read on when the loop has taken its last frame; few snapshots arrive at a time, and what broken
// streams left of them is bounded as well (node/snapshot_parts.h). Everything runs on the thread that waits on the
// node's completion queue.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "assent/v1/peer.grpc.pb.h"
#include "node/snapshot_parts.h"
#include "server/inbox.h"
#include "server/peer_identity.h"
#include "server/rpc_queue.h"
#include "server/snapshot_traffic.h"

namespace assent {

class PeerLink;

class PeerService {
 public:
  // New streams are told on arrivals, which is the server's own queue; what is read from them ends on queue.
  // Streams of frames are given to the links of their peers.
  using Links = std::map<NodeId, std::unique_ptr<PeerLink>>;
  PeerService(const PeerIdentity& identity, RpcQueue& arrivals, RpcQueue& queue, Inbox& inbox, const Links& links,
              SnapshotTraffic& traffic)
      : identity_(identity), arrivals_(arrivals), queue_(queue), inbox_(inbox), links_(links), traffic_(traffic) {}

  [[nodiscard]] v1::Peer::AsyncService& service() { return service_; }
  // Once the server runs: begins to take streams.
  void open();
  // Forgets what broken streams left, when it is old. Any clock that does not go back.
  void tick(std::uint64_t now_micros) { parts_.expire(now_micros); }

 private:
  class FrameStream;
  class HeldQuestion;
  class SnapshotStream;

  const PeerIdentity& identity_;
  RpcQueue& arrivals_;
  RpcQueue& queue_;
  Inbox& inbox_;
  const Links& links_;
  v1::Peer::AsyncService service_;
  SnapshotTraffic& traffic_;
  SnapshotParts parts_;
};

}  // namespace assent
