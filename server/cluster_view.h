// What the services must know of the cluster: names, addresses, groups. From the configuration, or from the cluster map
// once that was changed. A node has one, on its loop's thread, and it changes between events alone; other threads take
// what a SharedView has for them.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cluster/cluster_map.h"
#include "node/application.h"
#include "txn_proto/names.h"

namespace assent {

struct ClusterView {
  struct Node {
    std::string name;
    std::string client_endpoint;  // host:port; empty when not known
    std::string peer_endpoint;
  };
  std::string cluster;
  std::uint64_t generation = 0;
  NodeId self;
  std::uint64_t disk = 0;  // of this node: NodeConfig::disk
  std::map<NodeId, Node> nodes;
  GroupDirectory groups;
  std::vector<GroupConfig> group_configs;
  std::uint64_t epoch = 0;       // of the cluster map
  std::uint32_t uses_level = 0;  // NodeConfig::level
  ClusterMap map;

  [[nodiscard]] const Node& self_node() const { return nodes.at(self); }
  // nullptr for none and for a node that is not in the cluster.
  [[nodiscard]] const Node* find(NodeId node) const {
    const auto found = nodes.find(node);
    return found == nodes.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::string node_name(NodeId node) const {
    const Node* found = find(node);
    return found == nullptr ? name_of_number(node.value).value_or("") : found->name;
  }
};

// Safe from any thread.
class SharedView {
 public:
  explicit SharedView(ClusterView view) { set(std::move(view)); }
  void set(ClusterView view) {
    auto next = std::make_shared<const ClusterView>(std::move(view));
    const std::lock_guard lock(mutex_);
    view_.swap(next);
  }
  // As it is now.
  [[nodiscard]] std::shared_ptr<const ClusterView> get() const {
    const std::lock_guard lock(mutex_);
    return view_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ClusterView> view_;  // guarded by mutex_
};

}  // namespace assent
