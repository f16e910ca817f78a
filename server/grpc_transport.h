// How frames and snapshots leave a node and come in: one stream per pair of nodes and a server on the peer port.
// Promises nothing, as its seam says (node/transport.h); what arrives goes into the inbox.
//
// Everything on the thread that waits on the node's completion queue; start() before it, stop() after it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "node/transport.h"
#include "server/inbox.h"
#include "server/peer_identity.h"
#include "server/peer_link.h"
#include "server/rpc_queue.h"
#include "server/snapshot_traffic.h"

namespace grpc {
class Server;
}

namespace assent {

class PeerService;

class GrpcTransport final : public Transport {
 public:
  // snapshot_rate: bytes a second of all snapshots that leave; 0: no bound.
  GrpcTransport(PeerIdentity identity, RpcQueue& queue, Inbox& inbox, std::uint64_t snapshot_rate = 0);
  ~GrpcTransport() override;

  // Begins to listen; io when the address is taken.
  [[nodiscard]] Result<void> start(const Endpoint& listen);
  // Where it listens; differs from what start() was given when that had port 0 (tests).
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Cuts off every stream. The queue is to be drained before this is destroyed.
  void stop();

  // Exactly these are spoken to from now on, this node aside. On the thread that waits on the queue.
  void set_nodes(const std::map<NodeId, PeerIdentity::Node>& nodes);

  // Opens streams whose time has come and takes those of peers; they wait for it, which happens once a connection.
  void tick();

  [[nodiscard]] bool ready(NodeId to) const override;
  void send(NodeId to, Bytes frame) override;
  void send_snapshot(NodeId to, SnapshotTransfer transfer) override;

  [[nodiscard]] bool up(NodeId peer) const;
  // Nothing leaves for these from now on, as if the network were cut; for development.
  void cut(std::set<NodeId> peers);
  // Of every other node of the configuration.
  [[nodiscard]] PeerLatencies latencies() const;
  [[nodiscard]] const SnapshotTraffic& snapshot_traffic() const { return traffic_; }

 private:
  [[nodiscard]] std::unique_ptr<PeerLink> make_link(NodeId to);

  PeerIdentity identity_;
  RpcQueue& queue_;
  Inbox& inbox_;
  SnapshotRate rate_;
  SnapshotTraffic traffic_;
  std::map<NodeId, std::unique_ptr<PeerLink>> links_;
  // Of nodes that were removed: stopped, but what they began may still end.
  std::vector<std::unique_ptr<PeerLink>> former_links_;
  // gRPC tells of a server's new streams only on a queue of that server. Nobody waits on this one.
  std::unique_ptr<RpcQueue> arrivals_;
  std::vector<RpcQueue::Ended> arrived_;  // scratch
  std::unique_ptr<PeerService> service_;
  // Lives on behind stop(): the ends of its calls may still stand in the queue, and finish a call with its help.
  std::unique_ptr<grpc::Server> server_;
  std::set<NodeId> cut_;
  bool stopped_ = false;
  std::uint16_t port_ = 0;
};

// Whether an address can be listened at now, and why not in words: gRPC does not tell.
[[nodiscard]] Result<void> check_listening(const Endpoint& endpoint);

// For after gRPC said no.
[[nodiscard]] Error not_listening(const Endpoint& endpoint);

}  // namespace assent
