// Who a node is to the others, and who they are: what every stream between nodes is opened with and checked against.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/ids.h"
#include "server/config_values.h"

namespace assent::v1 {
class PeerHello;
}

namespace assent {

struct PeerIdentity {
  std::string cluster;
  NodeId self;
  std::uint64_t incarnation = 0;
  struct Node {
    std::string name;
    Endpoint endpoint;
  };
  std::map<NodeId, Node> nodes;  // the whole cluster, this node included

  [[nodiscard]] const std::string& self_name() const { return nodes.at(self).name; }
  void write_hello(NodeId to, v1::PeerHello& hello) const;
  // The calling node; or why it is refused, as a sentence for its log.
  struct Verdict {
    NodeId from;
    std::optional<std::string> refusal;
  };
  [[nodiscard]] Verdict check(const v1::PeerHello& hello) const;
};

}  // namespace assent
