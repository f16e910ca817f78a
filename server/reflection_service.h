// Server reflection (grpc.reflection.v1alpha) over the descriptors of the linked-in messages, for grpcurl and its like.
// Any number of questions on one stream; every one is answered, if only with what is wrong with it.
#pragma once

#include <string>
#include <vector>

#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "server/rpc_queue.h"

namespace assent {

class ReflectionService {
 public:
  // The services that are listed; their files and all that those import can be asked for.
  explicit ReflectionService(std::vector<std::string> services) : services_(std::move(services)) {}

  [[nodiscard]] grpc::reflection::v1alpha::ServerReflection::AsyncService& service() { return service_; }
  void open(RpcQueue& queue);

  [[nodiscard]] grpc::reflection::v1alpha::ServerReflectionResponse answer(
      const grpc::reflection::v1alpha::ServerReflectionRequest& request) const;

 private:
  class Stream;

  const std::vector<std::string> services_;
  grpc::reflection::v1alpha::ServerReflection::AsyncService service_;
};

}  // namespace assent
