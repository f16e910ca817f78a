#include "server/join.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "assent/v1/assent.grpc.pb.h"
#include "cluster/map_messages.h"

namespace assent {

Result<JoinedCluster> ask_for_cluster(const std::string& endpoint, std::chrono::milliseconds patience) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  const auto channel = grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
  const auto stub = v1::Cluster::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  context.set_wait_for_ready(true);
  v1::GetMapResponse answer;
  const grpc::Status status = stub->GetMap(&context, {}, &answer);
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return fail(ErrorCode::unsupported,
                fmt::format("--join: the node at {} runs an older version, which has no map to give", endpoint));
  }
  if (!status.ok()) {
    return fail(
        ErrorCode::io,
        fmt::format("--join: no node answers at {} ({}); name the client address (listen.client) of a node that "
                    "runs",
                    endpoint, status.error_message()));
  }
  auto map = read_map(answer);
  if (!map) return fail(map.error().code, fmt::format("--join: what {} answers is no cluster map", endpoint));
  return JoinedCluster{answer.cluster(), answer.generation(), std::move(*map)};
}

}  // namespace assent
