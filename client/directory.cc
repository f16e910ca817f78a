#include "client/directory.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "txn_proto/names.h"

namespace assent::client {

Directory::Directory(const std::vector<std::string>& seeds) {
  for (const std::string& seed : seeds) place(seed);
}

std::vector<std::string> Directory::endpoints() const {
  const std::lock_guard lock(mutex_);
  return order_;
}

std::optional<Target> Directory::leader(const std::string& group) const {
  const std::lock_guard lock(mutex_);
  const auto found = groups_.find(group);
  if (found == groups_.end() || found->second.leader.empty()) return std::nullopt;
  const std::string* endpoint = endpoint_of(found->second.leader);
  if (endpoint == nullptr || !healthy(*endpoint)) return std::nullopt;
  return Target{group, found->second.leader, *endpoint};
}

bool Directory::all_led() const {
  const std::lock_guard lock(mutex_);
  return !groups_.empty() && std::all_of(groups_.begin(), groups_.end(), [&](const auto& entry) {
    if (entry.second.role == "map") return true;  // no transaction waits for it
    const std::string* endpoint = endpoint_of(entry.second.leader);
    return endpoint != nullptr && healthy(*endpoint);
  });
}

std::string Directory::coordinator_of(const TxnId& txn) const {
  const std::lock_guard lock(mutex_);
  std::vector<GroupId> coordinators;
  for (const auto& [name, group] : groups_) {
    if (group.role == "coordinator") coordinators.push_back(group_id(name));
  }
  const GroupId chosen = assent::coordinator_of(txn, coordinators);
  for (const auto& [name, group] : groups_) {
    if (!chosen.none() && group_id(name) == chosen) return name;
  }
  return {};
}

std::vector<std::string> Directory::shards() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, group] : groups_) {
    if (group.role == "shard") names.push_back(name);
  }
  return names;
}

std::vector<Target> Directory::replicas(const std::string& group) const {
  const std::lock_guard lock(mutex_);
  std::vector<Target> all;
  const auto found = groups_.find(group);
  if (found == groups_.end()) return all;
  for (const std::string& node : found->second.carriers) {
    const std::string* endpoint = endpoint_of(node);
    if (endpoint != nullptr && healthy(*endpoint)) all.push_back({group, node, *endpoint});
  }
  return all;
}

std::uint64_t Directory::map_epoch() const {
  const std::lock_guard lock(mutex_);
  return map_epoch_;
}

void Directory::heard_map_epoch(std::uint64_t epoch) {
  const std::lock_guard lock(mutex_);
  map_epoch_ = std::max(map_epoch_, epoch);
}

void Directory::answered(const std::string& endpoint, const NodeStatus& status) {
  const std::lock_guard lock(mutex_);
  Place& here = place(endpoint);
  here.node = status.node;
  here.asked = true;
  here.trouble.clear();
  here.said = "answers";
  addresses_[status.node] = endpoint;  // what worked from here beats what the node says of itself
  for (const NodeAddress& node : status.nodes) {
    if (node.client_endpoint.empty() || addresses_.contains(node.name)) continue;
    place(node.client_endpoint).node = node.name;
    addresses_[node.name] = node.client_endpoint;
  }
  for (auto& [name, group] : groups_) group.carriers.erase(status.node);
  for (const ReplicaStatus& replica : status.replicas) {
    learn(status.node, replica);
    groups_[replica.group].carriers.insert(status.node);
  }
  if (status.map_replica) learn(status.node, *status.map_replica);
  map_epoch_ = std::max(map_epoch_, status.map_epoch);
}

void Directory::learn(const std::string& node, const ReplicaStatus& replica) {
  Group& group = groups_[replica.group];
  group.role = replica.role;
  if (replica.epoch < group.epoch) return;  // a view of the past
  const bool newer = replica.epoch > group.epoch;
  group.epoch = replica.epoch;
  if (replica.leads) {
    group.leader = node;
  } else if (newer || group.leader.empty() || (group.leader == node && replica.leader != node)) {
    group.leader = replica.leader;
  }
}

void Directory::failed(const std::string& endpoint, const std::string& why) {
  const std::lock_guard lock(mutex_);
  Place& here = place(endpoint);
  here.asked = true;
  here.trouble = why.empty() ? "failed without a word" : why;
  here.said = here.trouble;
}

bool Directory::not_leading(const Target& target, const LeaderHint& hint) {
  const std::lock_guard lock(mutex_);
  Place& here = place(target.endpoint);
  const std::string name = hint.group.empty() ? target.group : hint.group;
  here.said = hint.leader.empty() ? fmt::format("does not lead {} and knows no leader", name)
                                  : fmt::format("says that {} is led by {}", name, hint.leader);
  Group& group = groups_[name];
  if (hint.leader.empty() || hint.leader == target.node) {
    if (group.leader == target.node) group.leader.clear();
    return false;
  }
  if (!hint.endpoint.empty() && !addresses_.contains(hint.leader)) {
    place(hint.endpoint).node = hint.leader;
    addresses_[hint.leader] = hint.endpoint;
  }
  group.leader = hint.leader;
  const std::string* endpoint = endpoint_of(hint.leader);
  return endpoint != nullptr && healthy(*endpoint);
}

Error Directory::nobody(const std::string& group) const {
  const std::lock_guard lock(mutex_);
  Error error;
  bool any_answered = false;
  for (const std::string& endpoint : order_) {
    const Place& here = places_.at(endpoint);
    any_answered = any_answered || (here.asked && here.trouble.empty());
    error.tried.push_back({endpoint, here.node, here.asked ? here.said : "was not asked"});
  }
  const std::string what = group.empty() ? "coordinator group" : "group " + group;
  if (!any_answered) {
    error.code = ErrorCode::unreachable;
    error.message = "no endpoint answers; check --endpoints (ASSENT_ENDPOINTS) and that the nodes run";
  } else if (group_missing(group)) {
    std::vector<std::string> names;
    for (const auto& [name, known] : groups_) {
      if (known.role != "map") names.push_back(name);
    }
    error.code = ErrorCode::not_found;
    error.message = fmt::format("there is no {} here; the groups are: {}", what, fmt::join(names, ", "));
    error.tried.clear();
  } else {
    error.code = ErrorCode::no_leader;
    error.message = fmt::format("{} has no leader that answers; a leader needs a majority of the members", what);
  }
  return error;
}

bool Directory::lacks(const std::string& group) const {
  const std::lock_guard lock(mutex_);
  return group_missing(group);
}

std::string Directory::name_of(const std::string& endpoint) const {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(endpoint);
  return found == places_.end() ? std::string() : found->second.node;
}

bool Directory::failing(const std::string& endpoint) const {
  const std::lock_guard lock(mutex_);
  return !healthy(endpoint);
}

bool Directory::group_missing(const std::string& group) const {
  const bool known = group.empty() ? std::any_of(groups_.begin(), groups_.end(),
                                                 [](const auto& entry) { return entry.second.role == "coordinator"; })
                                   : groups_.contains(group);
  if (known) return false;
  return std::all_of(places_.begin(), places_.end(),
                     [](const auto& entry) { return entry.second.asked && entry.second.trouble.empty(); });
}

Directory::Place& Directory::place(const std::string& endpoint) {
  const auto [found, fresh] = places_.try_emplace(endpoint);
  if (fresh) order_.push_back(endpoint);
  return found->second;
}

const std::string* Directory::endpoint_of(const std::string& node) const {
  const auto found = addresses_.find(node);
  return found == addresses_.end() ? nullptr : &found->second;
}

bool Directory::healthy(const std::string& endpoint) const {
  const auto found = places_.find(endpoint);
  return found != places_.end() && found->second.trouble.empty();
}

}  // namespace assent::client
