#include "server/client_api.h"

#include <grpcpp/grpcpp.h>

#include "server/grpc_transport.h"

namespace assent {

namespace {

constexpr auto stop_grace = std::chrono::milliseconds(200);
constexpr int keepalive_millis = 10'000;
constexpr int streams_max = 10'000;  // concurrent calls on one connection

}  // namespace

ClientApi::ClientApi(const ClientGate& gate, ObserveService& observe, const PeerLatencies& latencies,
                     std::size_t message_bytes_max)
    : queue_(builder_.AddCompletionQueue()),
      coordinator_(gate),
      shard_(gate),
      cluster_(gate.cluster, gate.inbox, latencies),
      observe_(observe),
      reflection_({"assent.v1.Cluster", "assent.v1.Coordinator", "assent.v1.Observe", "assent.v1.Shard",
                   "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}),
      message_bytes_max_(message_bytes_max) {}

ClientApi::~ClientApi() { stop(); }

Result<void> ClientApi::start(const Endpoint& listen) {
  int port = 0;
  builder_.AddListeningPort(listen.text(), grpc::InsecureServerCredentials(), &port);
  builder_.RegisterService(&coordinator_.service());
  builder_.RegisterService(&shard_.service());
  builder_.RegisterService(&cluster_.service());
  builder_.RegisterService(&observe_.service());
  builder_.RegisterService(&health_.service());
  builder_.RegisterService(&reflection_.service());
  builder_.SetMaxReceiveMessageSize(static_cast<int>(message_bytes_max_));
  builder_.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder_.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, streams_max);
  builder_.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, keepalive_millis);
  builder_.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder_.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  server_ = builder_.BuildAndStart();
  if (server_ == nullptr || port == 0) {
    server_.reset();
    return fail(not_listening(listen));
  }
  port_ = static_cast<std::uint16_t>(port);
  set_serving({});
  coordinator_.open(queue_);
  shard_.open(queue_);
  cluster_.open(queue_);
  observe_.open(queue_);
  health_.open(queue_);
  reflection_.open(queue_);
  return {};
}

void ClientApi::set_serving(const Serving& serving) {
  health_.set("", serving.node);
  health_.set("assent.v1.Coordinator", serving.coordinator);
  health_.set("assent.v1.Shard", serving.shard);
}

void ClientApi::stop() {
  if (server_ != nullptr) {
    queue_.serve_while([this] { server_->Shutdown(std::chrono::system_clock::now() + stop_grace); });
  }
  queue_.drain();
  server_.reset();
}

}  // namespace assent
