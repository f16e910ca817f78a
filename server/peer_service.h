// The way in from the peers: takes their frames and snapshots and puts them into the inbox. Who does not introduce
// itself as a known node of this cluster is refused with a sentence; arbitrary bytes end their own stream and nothing
// else.
//
// Bounded: a stream is read on only while the inbox has room; few snapshots arrive at a time. Called by gRPC's threads.
#pragma once

#include <atomic>
#include <cstddef>

#include "assent/v1/peer.grpc.pb.h"
#include "server/inbox.h"
#include "server/peer_identity.h"

namespace assent {

class PeerService final : public v1::Peer::CallbackService {
 public:
  PeerService(const PeerIdentity& identity, Inbox& inbox) : identity_(identity), inbox_(inbox) {}

  grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerAccepted>* Frames(grpc::CallbackServerContext* context) override;
  grpc::ServerReadReactor<v1::SnapshotChunk>* Snapshot(grpc::CallbackServerContext* context,
                                                       v1::SnapshotReceipt* receipt) override;

 private:
  class FrameStream;
  class SnapshotStream;

  const PeerIdentity& identity_;
  Inbox& inbox_;
  std::atomic<std::size_t> snapshots_in_ = 0;
};

}  // namespace assent
