// gRPC health checking (grpc.health.v1): whether the node, its coordinator groups and its shard groups serve. On the
// thread that waits on the server's completion queue.
#pragma once

#include <map>
#include <set>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "server/rpc_queue.h"

namespace assent {

class HealthService {
 public:
  HealthService() = default;
  HealthService(const HealthService&) = delete;
  HealthService& operator=(const HealthService&) = delete;

  [[nodiscard]] grpc::health::v1::Health::AsyncService& service() { return service_; }
  // Once the server runs: begins to take calls.
  void open(RpcQueue& queue);
  // Tells everybody who watches. A name that was never set is unknown.
  void set(const std::string& name, bool serving);

 private:
  class Watch;
  using Status = grpc::health::v1::HealthCheckResponse;

  [[nodiscard]] Status::ServingStatus status(const std::string& name) const;

  grpc::health::v1::Health::AsyncService service_;
  std::map<std::string, bool> serving_;
  std::set<Watch*> watches_;
};

}  // namespace assent
