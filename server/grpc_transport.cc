#include "server/grpc_transport.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "server/peer_limits.h"
#include "server/peer_service.h"

namespace assent {

namespace {

constexpr auto stop_grace = std::chrono::milliseconds(200);

// errno, or 0.
int try_to_listen(const addrinfo& address) {
  const int fd = socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol);
  if (fd < 0) return errno;
  const int on = 1;  // as gRPC does: what only lingers from an ended process does not count
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const int error = bind(fd, address.ai_addr, address.ai_addrlen) != 0 || listen(fd, 1) != 0 ? errno : 0;
  close(fd);
  return error;
}

}  // namespace

Error not_listening(const Endpoint& endpoint) {
  auto free = check_listening(endpoint);
  return free ? Error{ErrorCode::io, fmt::format("cannot listen at {}", endpoint.text()), {}} : std::move(free.error());
}

GrpcTransport::GrpcTransport(PeerIdentity identity, RpcQueue& queue, Inbox& inbox, std::uint64_t snapshot_rate)
    : identity_(std::move(identity)), queue_(queue), inbox_(inbox), rate_(snapshot_rate) {
  for (const auto& [id, node] : identity_.nodes) {
    if (id != identity_.self) links_.emplace(id, make_link(id));
  }
}

GrpcTransport::~GrpcTransport() { stop(); }

std::unique_ptr<PeerLink> GrpcTransport::make_link(NodeId to) {
  return std::make_unique<PeerLink>(identity_, to, queue_, inbox_, rate_, traffic_);
}

Result<void> GrpcTransport::start(const Endpoint& listen) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(listen.text(), grpc::InsecureServerCredentials(), &port);
  arrivals_ = std::make_unique<RpcQueue>(builder.AddCompletionQueue());
  service_ = std::make_unique<PeerService>(identity_, *arrivals_, queue_, inbox_, links_, traffic_);
  builder.RegisterService(&service_->service());
  builder.SetMaxReceiveMessageSize(static_cast<int>(peer_message_bytes_max));
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(peer_streams_max));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, peer_keepalive_millis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, peer_keepalive_timeout_millis);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, peer_keepalive_millis / 2);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, peer_lookahead_bytes);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) {
    server_.reset();
    return fail(not_listening(listen));
  }
  port_ = static_cast<std::uint16_t>(port);
  service_->open();
  return {};
}

void GrpcTransport::stop() {
  for (auto& [id, link] : links_) link->stop();
  if (server_ == nullptr || std::exchange(stopped_, true)) return;
  queue_.serve_while([this] { server_->Shutdown(std::chrono::system_clock::now() + stop_grace); });
  arrivals_->drain();
}

void GrpcTransport::set_nodes(const std::map<NodeId, PeerIdentity::Node>& nodes) {
  for (auto link = links_.begin(); link != links_.end();) {
    const auto kept = nodes.find(link->first);
    PeerIdentity::Node& known = identity_.nodes.at(link->first);
    if (kept != nodes.end() && kept->second.endpoint == known.endpoint) {
      ++link;
      continue;
    }
    known.gone = true;
    link->second->stop();
    former_links_.push_back(std::move(link->second));
    link = links_.erase(link);
  }
  for (const auto& [id, node] : nodes) {
    if (id == identity_.self || links_.contains(id)) continue;
    identity_.nodes[id] = node;
    links_.emplace(id, make_link(id));
  }
}

void GrpcTransport::tick() {
  const auto now = std::chrono::steady_clock::now();
  for (auto& [id, link] : links_) link->tick(now);
  if (server_ == nullptr) return;
  service_->tick(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count()));
  arrivals_->wait(now, arrived_);
  for (const RpcQueue::Ended& stream : arrived_) stream.tag->end(stream.ok);
}

bool GrpcTransport::ready(NodeId to) const {
  const auto found = links_.find(to);
  return found != links_.end() && found->second->ready();
}

void GrpcTransport::send(NodeId to, Bytes frame) {
  const auto found = links_.find(to);
  if (found != links_.end() && !cut_.contains(to)) found->second->send(std::move(frame));
}

void GrpcTransport::send_snapshot(NodeId to, SnapshotTransfer transfer) {
  const auto found = links_.find(to);
  if (found != links_.end() && !cut_.contains(to)) return found->second->send_snapshot(std::move(transfer));
  inbox_.push(SnapshotSendEnded{.to = to, .group = transfer.group, .delivered = false});
}

void GrpcTransport::cut(std::set<NodeId> peers) {
  cut_ = std::move(peers);
  for (auto& [id, link] : links_) link->mute(cut_.contains(id));
}

PeerLatencies GrpcTransport::latencies() const {
  const auto now = std::chrono::steady_clock::now();
  PeerLatencies out;
  for (const auto& [id, link] : links_) out.emplace(id, link->latency(now));
  return out;
}

bool GrpcTransport::up(NodeId peer) const {
  const auto found = links_.find(peer);
  return found != links_.end() && found->second->up();
}

Result<void> check_listening(const Endpoint& endpoint) {
  const std::string what = fmt::format("cannot listen at {}", endpoint.text());
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(endpoint.port);
  if (const int error = getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return fail(ErrorCode::io, fmt::format("{}: {}; name an address of this machine", what, gai_strerror(error)));
  }
  const int error = try_to_listen(*found);
  freeaddrinfo(found);
  if (error == 0) return {};
  if (error == EADDRINUSE) {
    return fail(ErrorCode::io, what + ": the port is in use; end the other process or choose another port");
  }
  return fail(ErrorCode::io, fmt::format("{}: {}", what, std::system_category().message(error)));
}

}  // namespace assent
