// Who a node is to the others, and who they are: what every stream between nodes is opened with and checked against.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/protocol_level.h"
#include "server/config_values.h"
#include "server/peer_memory.h"

namespace assent::v1 {
class PeerAccepted;
class PeerHello;
}  // namespace assent::v1

namespace assent {

struct PeerIdentity {
  std::string cluster;
  NodeId self;
  std::uint64_t incarnation = 0;
  std::uint64_t previous = 0;  // the incarnation before, on the same disk; 0: none
  std::uint64_t disk = 0;
  std::uint64_t generation = 0;            // only nodes of the same one are spoken to
  std::uint32_t level = protocol_level();  // only nodes of this one or an adjacent one are spoken to
  std::uint32_t uses_level = level;
  struct Node {
    std::string name;
    Endpoint endpoint;
    bool gone = false;  // removed from the cluster: it is not spoken to
  };
  std::map<NodeId, Node> nodes;                  // the whole cluster, this node included, and who left it meanwhile
  std::shared_ptr<PeerMemory> memory = nullptr;  // of the others' pasts; null: every past is believed

  [[nodiscard]] const std::string& self_name() const { return nodes.at(self).name; }
  void write_hello(NodeId to, v1::PeerHello& hello) const;
  // The calling node; or why it is refused, as a sentence for its log.
  struct Verdict {
    NodeId from;
    std::optional<std::string> refusal;
  };
  [[nodiscard]] Verdict check(const v1::PeerHello& hello) const;
  void write_accepted(v1::PeerAccepted& accepted) const;
  // Of the node that was called: why it is refused.
  [[nodiscard]] std::optional<std::string> check(NodeId called, const v1::PeerAccepted& accepted) const;
};

}  // namespace assent
