#include "client/rpc.h"

namespace assent::client {

namespace {

grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments arguments;
  // A node that restarts must be found again at once: gRPC's own pauses start at one second and grow to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);  // while calls are under way
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // what is safe to send again is known here, not there
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a Client has connections of its own
  arguments.SetMaxReceiveMessageSize(64 << 20);
  return arguments;
}

}  // namespace

Peer::Peer(const std::string& endpoint)
    : channel_(grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), channel_arguments())),
      stubs_(v1::Coordinator::NewStub(channel_), v1::Shard::NewStub(channel_), v1::Cluster::NewStub(channel_)) {}

}  // namespace assent::client
