// A stale read: of any replica that can prove its age. Replicas take turns, from one drawn at random on, so that many
// clients spread over them.
#include <fmt/format.h>

#include <algorithm>

#include "client/convert.h"
#include "client/operations.h"

namespace assent::client {

namespace {

constexpr std::string_view too_stale = "TOO_STALE";

bool is_final(Verdict verdict) {
  return verdict == Verdict::invalid || verdict == Verdict::not_found || verdict == Verdict::refused;
}

// Those that are known to carry the group, in the order of this turn; whoever leads it is found out first when none is.
Task<Result<std::vector<Target>>> find_replicas(Courier& courier, std::string group, std::size_t turn,
                                                SteadyTime deadline) {
  std::vector<Target> targets = courier.directory().replicas(group);
  if (targets.empty()) {
    const Result<Target> leader = co_await courier.find_leader(group, deadline);
    targets = courier.directory().replicas(group);
    if (targets.empty() && !leader) co_return tl::unexpected(leader.error());
    if (targets.empty()) targets.push_back(*leader);
  }
  std::rotate(targets.begin(), targets.begin() + static_cast<std::ptrdiff_t>(turn % targets.size()), targets.end());
  co_return targets;
}

Error nobody_is_young_enough(Courier& courier, const Target& target, const ServiceError& error) {
  Error last = time_is_up(courier, target, error);
  last.message = fmt::format("no replica of {} answered in time; {} ({}) said last: {}", target.group, target.node,
                             target.endpoint, error.message);
  return last;
}

}  // namespace

Task<Result<QueryResult>> query_stale(Courier& courier, StaleQuery asked, SteadyTime deadline) {
  if (asked.work.empty()) co_return fail(ErrorCode::invalid, "the query is empty");
  if (asked.staleness_max.count() < 1) co_return fail(ErrorCode::invalid, "a stale read needs a bound of 1 ms or more");
  v1::QueryRequest request;
  request.set_shard(asked.shard);
  request.set_max_staleness_millis(static_cast<std::uint64_t>(asked.staleness_max.count()));
  encode_work(asked.work, *request.mutable_operations());
  Pace pace(courier, deadline);
  const std::size_t turn = courier.seed();
  std::optional<Error> last;
  for (;;) {
    const Result<std::vector<Target>> targets = co_await find_replicas(courier, asked.shard, turn, deadline);
    if (!targets) co_return tl::unexpected(last.value_or(targets.error()));
    for (const Target& target : *targets) {
      Delivery<v1::QueryResponse> delivery = co_await courier.deliver_to(
          target, &v1::Shard::Stub::AsyncQuery, std::as_const(request), pace.attempt_deadline(), asked.routed_by);
      if (delivery.error.verdict == Verdict::answered) {
        QueryResult result = decode(delivery.response);
        result.answered_by = target.node;
        co_return result;
      }
      if (is_final(delivery.error.verdict)) co_return tl::unexpected(to_error(delivery.error));
      // What a replica said of itself tells more than the silence of another.
      Error next = nobody_is_young_enough(courier, target, delivery.error);
      const bool silent = last && last->reason == too_stale && next.reason != too_stale;
      if (!silent) last = std::move(next);
      if (courier.runtime().closing()) co_return fail(ErrorCode::cancelled, "the client is shutting down");
      if (pace.over()) co_return tl::unexpected(*last);
    }
    co_await courier.runtime().sleep(pace.pause(false));
    if (courier.runtime().closing()) co_return fail(ErrorCode::cancelled, "the client is shutting down");
    if (pace.over()) co_return tl::unexpected(*last);
  }
}

}  // namespace assent::client
