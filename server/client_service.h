// The services Coordinator and Shard of the public API: a call is read, judged by its form, given to the loop, and
// answered through PendingCalls. Nothing is decided here. Called by gRPC's threads.
#pragma once

#include <chrono>

#include "assent/v1/assent.grpc.pb.h"
#include "server/cluster_view.h"
#include "server/inbox.h"
#include "server/pending_calls.h"

namespace assent {

// What the services share; outlives them.
struct ClientGate {
  const ClusterView& cluster;
  PendingCalls& pending;
  Inbox& inbox;
  std::chrono::milliseconds txn_timeout;  // of an Execute that names none
};

class CoordinatorService final : public v1::Coordinator::CallbackService {
 public:
  explicit CoordinatorService(const ClientGate& gate) : gate_(gate) {}
  grpc::ServerUnaryReactor* Execute(grpc::CallbackServerContext* context, const v1::ExecuteRequest* request,
                                    v1::Transaction* response) override;
  grpc::ServerUnaryReactor* GetOutcome(grpc::CallbackServerContext* context, const v1::GetOutcomeRequest* request,
                                       v1::Transaction* response) override;

 private:
  const ClientGate& gate_;
};

class ShardService final : public v1::Shard::CallbackService {
 public:
  explicit ShardService(const ClientGate& gate) : gate_(gate) {}
  grpc::ServerUnaryReactor* Query(grpc::CallbackServerContext* context, const v1::QueryRequest* request,
                                  v1::QueryResponse* response) override;

 private:
  const ClientGate& gate_;
};

}  // namespace assent
