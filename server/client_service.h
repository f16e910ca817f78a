// The services Coordinator and Shard of the public API: a call is read, judged by its form, given to the loop, and
// answered through PendingCalls. Nothing is decided here. On the thread that waits on the server's completion queue.
#pragma once

#include <chrono>
#include <string>

#include "assent/v1/assent.grpc.pb.h"
#include "server/call_figures.h"
#include "server/cluster_view.h"
#include "server/inbox.h"
#include "server/pending_calls.h"
#include "server/rpc_server.h"

namespace assent {

// What the services share; outlives them.
struct ClientGate {
  const ClusterView& cluster;
  PendingCalls& pending;
  Inbox& inbox;
  std::chrono::milliseconds txn_timeout;        // of an Execute that names none
  Protocol txn_protocol = Protocol::automatic;  // ... and on several shards
  std::string http_endpoint = {};               // of this node; no service
  CallFigures* figures = nullptr;               // may be null
};

class CoordinatorService {
 public:
  explicit CoordinatorService(const ClientGate& gate) : gate_(gate) {}
  [[nodiscard]] v1::Coordinator::AsyncService& service() { return service_; }
  // Once the server runs: begins to take calls.
  void open(RpcQueue& queue);

 private:
  void execute(TypedCall<v1::ExecuteRequest, v1::Transaction>& call) const;
  void get_outcome(TypedCall<v1::GetOutcomeRequest, v1::Transaction>& call) const;
  // What an operator says of one transaction.
  template <class Request>
  void operate(TypedCall<Request, v1::Transaction>& call) const;

  const ClientGate& gate_;
  v1::Coordinator::AsyncService service_;
};

class ShardService {
 public:
  explicit ShardService(const ClientGate& gate) : gate_(gate) {}
  [[nodiscard]] v1::Shard::AsyncService& service() { return service_; }
  void open(RpcQueue& queue);

 private:
  void query(TypedCall<v1::QueryRequest, v1::QueryResponse>& call) const;
  // An operator's word about one transaction at one shard.
  template <class Request>
  void decide(TypedCall<Request, v1::Transaction>& call) const;

  const ClientGate& gate_;
  v1::Shard::AsyncService service_;
};

}  // namespace assent
