// The gRPC server on the client port: the public services, health checking and reflection. It has the node's completion
// queue, because gRPC tells of new calls only on a queue that was made with the server. start() before anybody waits on
// that, stop() when nobody does any more; set_serving() from the thread that waits.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "server/client_service.h"
#include "server/cluster_service.h"
#include "server/config_values.h"
#include "server/health_service.h"
#include "server/observe_service.h"
#include "server/reflection_service.h"
#include "server/rpc_queue.h"

namespace assent {

class ClientApi {
 public:
  struct Serving {
    bool node = false;         // service "": the node runs and is not stopping
    bool coordinator = false;  // assent.v1.Coordinator: its coordinator groups have leaders
    bool shard = false;        // assent.v1.Shard: its shard groups have leaders
    bool operator==(const Serving&) const = default;
  };

  ClientApi(const ClientGate& gate, ObserveService& observe, const PeerLatencies& latencies,
            std::size_t message_bytes_max);
  ~ClientApi();

  [[nodiscard]] Result<void> start(const Endpoint& listen);
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] RpcQueue& queue() { return queue_; }
  void set_serving(const Serving& serving);
  // Ends connections; calls that were not answered by then are cut off. Every call must have been answered or
  // abandoned, and nobody else may use the queue any more: it is drained.
  void stop();

 private:
  grpc::ServerBuilder builder_;
  RpcQueue queue_;
  CoordinatorService coordinator_;
  ShardService shard_;
  ClusterService cluster_;
  ObserveService& observe_;
  HealthService health_;
  ReflectionService reflection_;
  const std::size_t message_bytes_max_;
  std::unique_ptr<grpc::Server> server_;
  std::uint16_t port_ = 0;
};

}  // namespace assent
