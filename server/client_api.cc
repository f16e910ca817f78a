#include "server/client_api.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include "server/grpc_transport.h"

namespace assent {

namespace {

constexpr auto stop_grace = std::chrono::milliseconds(200);
constexpr int keepalive_millis = 10'000;
constexpr int streams_max = 10'000;  // concurrent calls on one connection

}  // namespace

ClientApi::ClientApi(const ClientGate& gate, std::size_t message_bytes_max)
    : coordinator_(gate), shard_(gate), cluster_(gate.cluster, gate.inbox), message_bytes_max_(message_bytes_max) {}

ClientApi::~ClientApi() { stop(); }

Result<void> ClientApi::start(const Endpoint& listen) {
  // Both are switches of the whole process; the peer port's server was made before and has neither.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(listen.text(), grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&coordinator_);
  builder.RegisterService(&shard_);
  builder.RegisterService(&cluster_);
  builder.SetMaxReceiveMessageSize(static_cast<int>(message_bytes_max_));
  // Reflection alone is served synchronously; one thread is enough for it.
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, streams_max);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, keepalive_millis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) {
    server_.reset();
    return fail(not_listening(listen));
  }
  port_ = static_cast<std::uint16_t>(port);
  set_serving({});
  return {};
}

void ClientApi::set_serving(const Serving& serving) {
  if (server_ == nullptr) return;
  grpc::HealthCheckServiceInterface* const health = server_->GetHealthCheckService();
  if (health == nullptr) return;
  health->SetServingStatus("", serving.node);
  health->SetServingStatus("assent.v1.Coordinator", serving.coordinator);
  health->SetServingStatus("assent.v1.Shard", serving.shard);
}

void ClientApi::stop() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + stop_grace);
  server_.reset();
}

}  // namespace assent
