// What the services must know of the cluster: names, addresses, groups. From the configuration; never changes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "node/application.h"
#include "txn_proto/names.h"

namespace assent {

struct ClusterView {
  struct Node {
    std::string name;
    std::string client_endpoint;  // host:port; empty when not known
    std::string peer_endpoint;
  };
  NodeId self;
  std::uint64_t disk = 0;  // of this node: NodeConfig::disk
  std::map<NodeId, Node> nodes;
  GroupDirectory groups;
  std::vector<GroupConfig> group_configs;

  [[nodiscard]] const Node& self_node() const { return nodes.at(self); }
  // nullptr for none and for a node that is not in the configuration.
  [[nodiscard]] const Node* find(NodeId node) const {
    const auto found = nodes.find(node);
    return found == nodes.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::string node_name(NodeId node) const {
    const Node* found = find(node);
    return found == nullptr ? std::string() : found->name;
  }
};

}  // namespace assent
