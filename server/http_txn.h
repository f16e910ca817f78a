// Transactions over the http port, for programs without gRPC: the messages of assent.proto as JSON (proto3's mapping,
// with the field names of the definition). docs/API.md has the calls.
//
// A POST needs an operator's token (server/admin_tokens.h), as all that is done by http; to ask for an outcome needs
// none. Each request is given to the leader of its group, whichever node was asked, over the public gRPC API: what is
// allowed, and what is answered, is the same. A lost call of an Execute is sent again with its id, which never runs it
// twice. Handlers run on the port's threads and wait; what gRPC has to tell comes on the node's own completion queue.
// The port must be stopped before that is drained.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "server/admin_tokens.h"
#include "server/cluster_view.h"
#include "server/http_port.h"
#include "server/rpc_queue.h"

namespace assent {

// All of it outlives the port.
struct HttpTxnSources {
  const SharedView& cluster;
  std::string own_endpoint;  // host:port of this node's public API
  RpcQueue& queue;
  const std::atomic<bool>& draining;
  const AdminTokens& tokens;
  std::size_t waiting_max =
      40;  // requests at a time: with them and all its streams the port has threads left for others
};

void add_txn_routes(HttpPort& port, const HttpTxnSources& sources);

}  // namespace assent
