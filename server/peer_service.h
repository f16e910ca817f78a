// The way in from the peers: takes their frames and snapshots and puts them into the inbox. Who does not introduce
// itself as a known node of this cluster is refused with a sentence; arbitrary bytes end their own stream and nothing
// else.
//
// Bounded: a stream is read on when the loop has taken its last frame; few snapshots arrive at a time. Everything runs
// on the thread that waits on the node's completion queue.
#pragma once

#include <cstddef>
#include <map>
#include <memory>

#include "assent/v1/peer.grpc.pb.h"
#include "server/inbox.h"
#include "server/peer_identity.h"
#include "server/rpc_queue.h"

namespace assent {

class PeerLink;

class PeerService {
 public:
  // New streams are told on arrivals, which is the server's own queue; what is read from them ends on queue.
  // Streams of frames are given to the links of their peers.
  using Links = std::map<NodeId, std::unique_ptr<PeerLink>>;
  PeerService(const PeerIdentity& identity, RpcQueue& arrivals, RpcQueue& queue, Inbox& inbox, const Links& links)
      : identity_(identity), arrivals_(arrivals), queue_(queue), inbox_(inbox), links_(links) {}

  [[nodiscard]] v1::Peer::AsyncService& service() { return service_; }
  // Once the server runs: begins to take streams.
  void open();

 private:
  class FrameStream;
  class SnapshotStream;

  const PeerIdentity& identity_;
  RpcQueue& arrivals_;
  RpcQueue& queue_;
  Inbox& inbox_;
  const Links& links_;
  v1::Peer::AsyncService service_;
  std::size_t snapshots_in_ = 0;
};

}  // namespace assent
