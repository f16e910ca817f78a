#include "client/cluster.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace assent::client {

const ReplicaStatus* GroupView::leader_status() const { return leader.empty() ? nullptr : replica_on(leader); }

const ReplicaStatus* GroupView::replica_on(std::string_view node) const {
  const auto found = std::find_if(replicas.begin(), replicas.end(), [&](const Replica& r) { return r.node == node; });
  return found == replicas.end() ? nullptr : &found->status;
}

const ReplicaStatus* GroupView::best_status() const {
  if (const ReplicaStatus* status = leader_status()) return status;
  const auto newest = std::max_element(replicas.begin(), replicas.end(), [](const Replica& a, const Replica& b) {
    return std::tie(a.status.epoch, a.status.last_index) < std::tie(b.status.epoch, b.status.last_index);
  });
  return newest == replicas.end() ? nullptr : &newest->status;
}

const NodeView* ClusterStatus::node(std::string_view name) const {
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const NodeView& n) { return n.name == name; });
  return found == nodes.end() ? nullptr : &*found;
}

std::uint64_t ClusterStatus::map_epoch() const {
  std::uint64_t newest = 0;
  for (const NodeView& one : nodes) newest = std::max(newest, one.map_epoch);
  return newest;
}

const GroupView* ClusterStatus::group(std::string_view name) const {
  if (map_group && map_group->name == name) return &*map_group;
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const GroupView& g) { return g.name == name; });
  return found == groups.end() ? nullptr : &*found;
}

namespace {

std::vector<std::string> names_of(const std::vector<GroupView>& groups, std::string_view role) {
  std::vector<std::string> names;
  for (const GroupView& group : groups) {
    if (group.role == role) names.push_back(group.name);
  }
  return names;
}

void add_replica(GroupView& group, const std::string& node, ReplicaStatus status) {
  const ReplicaStatus* leader = group.leader_status();
  if (status.leads && (leader == nullptr || status.epoch > leader->epoch)) group.leader = node;
  group.name = status.group;
  group.role = status.role;
  group.epoch = std::max(group.epoch, status.epoch);
  group.replicas.push_back({node, std::move(status)});
}

}  // namespace

std::vector<std::string> ClusterStatus::shards() const { return names_of(groups, "shard"); }
std::vector<std::string> ClusterStatus::coordinators() const { return names_of(groups, "coordinator"); }

ClusterStatus merge(std::vector<NodeAnswer> answers) {
  // A node may be asked twice, under the name the user gave and under the one it gives itself: its answer counts once.
  std::stable_sort(answers.begin(), answers.end(), [](const NodeAnswer& a, const NodeAnswer& b) {
    return a.status.has_value() && !b.status.has_value();
  });
  ClusterStatus cluster;
  std::map<std::string, GroupView> groups;
  GroupView map_group;
  for (NodeAnswer& answer : answers) {
    NodeView view{answer.name, answer.endpoint, answer.status.has_value(), answer.trouble, {}, {}, 0, 0, 0, 0, {}};
    if (answer.status) {
      view.name = answer.status->node;
      view.version = answer.status->version;
      view.counters = answer.status->counters;
      view.disk = answer.status->disk;
      view.map_epoch = answer.status->map_epoch;
      view.level = answer.status->level;
      view.uses_level = answer.status->uses_level;
      view.damaged_files = answer.status->damaged_files;
    }
    const bool seen = !view.name.empty() && std::any_of(cluster.nodes.begin(), cluster.nodes.end(),
                                                        [&](const NodeView& n) { return n.name == view.name; });
    if (seen) continue;
    if (answer.status) {
      if (answer.status->map_replica) add_replica(map_group, view.name, std::move(*answer.status->map_replica));
      for (ReplicaStatus& replica : answer.status->replicas) {
        GroupView& group = groups[replica.group];
        add_replica(group, view.name, std::move(replica));
      }
    }
    cluster.nodes.push_back(std::move(view));
  }
  std::sort(cluster.nodes.begin(), cluster.nodes.end(), [](const NodeView& a, const NodeView& b) {
    return std::tie(a.name, a.endpoint) < std::tie(b.name, b.endpoint);
  });
  const auto complete = [](GroupView& group) {
    std::sort(group.replicas.begin(), group.replicas.end(),
              [](const GroupView::Replica& a, const GroupView::Replica& b) { return a.node < b.node; });
    group.members = group.best_status()->members;
  };
  if (!map_group.replicas.empty()) {
    complete(map_group);
    cluster.map_group = std::move(map_group);
  }
  for (auto& [name, group] : groups) {
    complete(group);
    cluster.groups.push_back(std::move(group));
  }
  std::stable_partition(cluster.groups.begin(), cluster.groups.end(),
                        [](const GroupView& group) { return group.role == "coordinator"; });
  return cluster;
}

}  // namespace assent::client
