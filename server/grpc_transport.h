// How frames and snapshots leave a node and come in: one stream per ordered pair of nodes and a server on the peer
// port. Promises nothing, as its seam says (node/transport.h); what arrives goes into the inbox.
//
// send(), send_snapshot(), ready() and tick() from the loop's thread; start() and stop() from the main one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "node/transport.h"
#include "server/inbox.h"
#include "server/peer_identity.h"
#include "server/peer_link.h"

namespace grpc {
class Server;
}

namespace assent {

class PeerService;

class GrpcTransport final : public Transport {
 public:
  GrpcTransport(PeerIdentity identity, Inbox& inbox);
  ~GrpcTransport() override;

  // Begins to listen; io when the address is taken.
  [[nodiscard]] Result<void> start(const Endpoint& listen);
  // Where it listens; differs from what start() was given when that had port 0 (tests).
  [[nodiscard]] std::uint16_t port() const { return port_; }
  void stop();

  // Opens streams whose time has come.
  void tick();

  [[nodiscard]] bool ready(NodeId to) const override;
  void send(NodeId to, Bytes frame) override;
  void send_snapshot(NodeId to, SnapshotTransfer transfer) override;

  [[nodiscard]] bool up(NodeId peer) const;

 private:
  const PeerIdentity identity_;
  Inbox& inbox_;
  std::map<NodeId, std::unique_ptr<PeerLink>> links_;
  std::unique_ptr<PeerService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::uint16_t port_ = 0;
};

// Whether an address can be listened at now, and why not in words: gRPC does not tell.
[[nodiscard]] Result<void> check_listening(const Endpoint& endpoint);

// For after gRPC said no.
[[nodiscard]] Error not_listening(const Endpoint& endpoint);

}  // namespace assent
