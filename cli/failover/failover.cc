#include "cli/failover/failover.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <thread>

namespace assent::failover {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds pause{50};
constexpr const char* key = "failover";

const client::GroupView* chosen(const client::ClusterStatus& status, const std::string& group) {
  const std::vector<std::string> shards = status.shards();
  if (!group.empty()) return status.group(group);
  return shards.empty() ? nullptr : status.group(*std::min_element(shards.begin(), shards.end()));
}

// All members answer, and know of everything up to that index that it is committed.
bool whole(const client::GroupView& group, std::uint64_t committed) {
  return group.replicas.size() == group.members.size() &&
         std::all_of(group.replicas.begin(), group.replicas.end(), [&](const client::GroupView::Replica& replica) {
           return replica.status.committed_index >= committed;
         });
}

// The leader of the group, when the cluster is as a trial wants it: every group has one, and the members of this group
// have caught up with where it stood when this was called.
client::Result<std::string> wait_for_leader(client::Client& client, const Options& options) {
  const Clock::time_point end = Clock::now() + options.patience;
  std::optional<std::uint64_t> committed;
  while (true) {
    const client::Result<client::ClusterStatus> status = client.status();
    const client::GroupView* group = status ? chosen(*status, options.group) : nullptr;
    if (status && group == nullptr) return client::fail(client::ErrorCode::not_found, "there is no such group");
    const client::ReplicaStatus* leader = group == nullptr ? nullptr : group->leader_status();
    if (leader != nullptr && !committed) committed = leader->committed_index;
    if (leader != nullptr && whole(*group, *committed) &&
        std::none_of(status->groups.begin(), status->groups.end(), [](const auto& g) { return g.leader.empty(); })) {
      return group->leader;
    }
    if (Clock::now() > end) {
      if (!status) return tl::unexpected(status.error());
      return client::fail(client::ErrorCode::timed_out, group->name + " does not get all of its members back");
    }
    std::this_thread::sleep_for(pause);
  }
}

// What cannot commit without the group: a coordinator decides over all shards.
client::Transaction probe(const client::ClusterStatus& status, const client::GroupView& group) {
  client::Transaction put;
  if (group.role != "coordinator") return put.on(group.name, KvPut{key, ""});
  for (const std::string& shard : status.shards()) put.on(shard, KvPut{key, ""});
  put.protocol = Protocol::two_phase;
  return put;
}

client::Result<void> serve(client::Client& client, const client::Transaction& probe, const Options& options) {
  const auto outcome = client.run_with_retry(
      [&](const TxnId& id) {
        client::Transaction put = probe;
        put.id = id;
        return put;
      },
      {}, options.patience);
  if (!outcome) return tl::unexpected(outcome.error());
  if (outcome->committed()) return {};
  return client::fail(client::ErrorCode::timed_out,
                      "a write did not commit: " + (outcome->aborted() ? outcome->abort.message : outcome->note));
}

}  // namespace

client::Result<Times> run(client::Client& client, const Options& options) {
  const client::Result<client::ClusterStatus> status = client.status();
  if (!status) return tl::unexpected(status.error());
  const client::GroupView* group = chosen(*status, options.group);
  if (group == nullptr) return client::fail(client::ErrorCode::not_found, "there is no such group");
  const client::Transaction put = probe(*status, *group);
  Times times;
  while (times.size() < options.trials) {
    const client::Result<std::string> leader = wait_for_leader(client, options);
    if (!leader) return tl::unexpected(leader.error());
    if (auto before = serve(client, put, options); !before) return tl::unexpected(before.error());
    const Clock::time_point began = Clock::now();
    if (!options.kill(*leader)) return client::fail(client::ErrorCode::internal, *leader + " could not be killed");
    const client::Result<void> served = serve(client, put, options);
    times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began));
    if (!options.start(*leader)) return client::fail(client::ErrorCode::internal, *leader + " could not be started");
    if (!served) return tl::unexpected(served.error());
    options.served(times.back());
  }
  return times;
}

Figures figures(Times times, std::chrono::milliseconds election_timeout) {
  if (times.empty()) return {};
  std::sort(times.begin(), times.end());
  const auto units = [&](std::chrono::microseconds time) {
    return std::chrono::duration<double>(time) / std::chrono::duration<double>(election_timeout);
  };
  const auto percentile = [&](std::size_t percent) { return units(times[(times.size() * percent + 99) / 100 - 1]); };
  Figures all{.trials = times.size(), .p50 = percentile(50), .p90 = percentile(90), .p99 = percentile(99)};
  all.max = units(times.back());
  all.within_three = static_cast<std::size_t>(
      std::count_if(times.begin(), times.end(), [&](auto time) { return time <= 3 * election_timeout; }));
  return all;
}

}  // namespace assent::failover
