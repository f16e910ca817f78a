// Asking for the cluster map, changing it, and the ring that it holds.
#include <algorithm>

#include "client/operations.h"
#include "cluster/map_messages.h"

namespace assent::client {

namespace {

constexpr std::chrono::milliseconds map_timeout{1'000};
constexpr std::chrono::milliseconds map_pause{50};

}  // namespace

Task<Result<ClusterMap>> Courier::find_map(SteadyTime deadline) {
  for (;;) {
    std::optional<ClusterMap> newest;
    for (const std::string& endpoint : directory_.endpoints()) {
      const SteadyTime soon = std::min(deadline, std::chrono::steady_clock::now() + map_timeout);
      const v1::GetMapRequest request;
      Rpc<v1::Cluster::Stub, v1::GetMapRequest, v1::GetMapResponse> rpc(runtime_, peer(endpoint),
                                                                        &v1::Cluster::Stub::AsyncGetMap, request, soon);
      const Reply<v1::GetMapResponse> reply = co_await rpc;
      if (runtime_.closing()) co_return fail(ErrorCode::cancelled, "the client is shutting down");
      if (!reply.status.ok()) {
        directory_.failed(endpoint, judge(reply.status).message);
        continue;
      }
      auto map = read_map(reply.response);
      if (!map || (newest && newest->epoch >= map->epoch)) continue;
      newest = std::move(*map);
      if (newest->epoch >= directory_.map_epoch()) break;
    }
    if (newest && newest->epoch >= directory_.map_epoch()) {
      directory_.heard_map_epoch(newest->epoch);
      co_return std::move(*newest);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      co_return tl::unexpected(
          newest ? Error{ErrorCode::timed_out, "no node that answers has the newest map of the cluster yet", {}, {}}
                 : directory_.nobody(""));
    }
    co_await runtime_.sleep(map_pause);
  }
}

Task<Result<Route>> Courier::route(std::string key, SteadyTime deadline) {
  std::shared_ptr<const Ring> ring;
  {
    const std::lock_guard lock(mutex_);
    ring = ring_;
  }
  if (ring == nullptr || ring->epoch < directory_.map_epoch()) {
    const Result<ClusterMap> map = co_await find_map(deadline);
    if (!map) co_return tl::unexpected(map.error());
    ring = std::make_shared<const Ring>(Ring{map->epoch, HashRing(map->ring_shards())});
    const std::lock_guard lock(mutex_);
    if (ring_ == nullptr || ring_->epoch < ring->epoch) ring_ = ring;
  }
  const std::string_view shard = ring->ring.shard_of(key);
  if (shard.empty()) co_return fail(ErrorCode::not_found, "there is no shard in the ring; name one");
  co_return Route{std::string(shard), ring->epoch};
}

Task<Result<std::uint64_t>> change_map(Courier& courier, MapWish wish, SteadyTime deadline) {
  v1::ChangeMapRequest request;
  request.set_expected_epoch(wish.expected);
  write_change(wish.change, request);
  const Result<Delivery<v1::ChangeMapResponse>> delivery = co_await ask_until_answered(
      courier, std::string(map_group_name), &v1::Cluster::Stub::AsyncChangeMap, std::as_const(request), deadline);
  if (!delivery) co_return tl::unexpected(delivery.error());
  co_return delivery->response.epoch();
}

}  // namespace assent::client
