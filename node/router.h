// Where is a group's leader? The belief of the own replica, what other nodes told, or else everybody who may know.
//
// Not a source of truth: every answer may be wrong. A message that reaches a non-leader is answered with a hint or
// lost, and whoever sent it repeats it on ticks, slower and slower: so one that has nowhere to go is sent to all, of
// whom only a leader takes it. Called from the loop.
//
// Invariants: of two beliefs the one of the higher epoch wins (L3: an epoch has at most one leader). What was learned
// is forgotten when it was used and that leader itself was not heard for unconfirmed_ticks: it may be dead, and any
// living member knows better. A hint is no sign of life: who gives it may be as wrong as who asks, and would be
// believed for ever.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "base/ids.h"
#include "consensus/log_contract.h"
#include "node/application.h"

namespace assent {

class Router {
 public:
  struct Leader {
    Epoch epoch;
    NodeId node;  // none: not known
    bool operator==(const Leader&) const = default;
  };
  static constexpr std::uint64_t unconfirmed_ticks = 50;

  // Of several loops of this node, the one that asks. Groups of the others are told from its own: of these this node
  // may know as well as any other.
  struct Place {
    std::size_t loop = 0;
    std::size_t loops = 1;
  };

  // nodes: all of the cluster.
  Router(NodeId self, const std::vector<GroupConfig>& groups, const std::vector<NodeId>& nodes, Place place);
  Router(NodeId self, const std::vector<GroupConfig>& groups, const std::vector<NodeId>& nodes)
      : Router(self, groups, nodes, Place{}) {}

  // All of the cluster from now on.
  void nodes(const std::vector<NodeId>& nodes);
  // Who belongs to the group, as its own replica here knows it: they are asked first. They may all have left the group
  // since, as the founders may whom a node without a replica asks: then everybody is.
  void members(GroupId group, const std::vector<NodeId>& nodes);
  // What the own replica of the group believes.
  void believe(GroupId group, const Leadership& leadership);
  // A hint of another node.
  void learn(GroupId group, const Leader& leader);
  // A message came that only the group's leader sends.
  void hear(GroupId group, const Leader& leader);
  void tick();

  [[nodiscard]] bool knows(GroupId group) const { return groups_.contains(group); }
  [[nodiscard]] Leader leader(GroupId group) const;
  // Where to send a message now: to the leader, this very node included, or to all others that may know. Nobody for a
  // group that does not exist or has nobody else. Good until the next call.
  [[nodiscard]] std::span<const NodeId> route(GroupId group);

 private:
  struct Entry {
    std::vector<NodeId> others;       // who may know; this node only when the group is elsewhere
    std::uint64_t unknown_since = 0;  // tick of the first use without a leader since one was heard; 0: none
    Leader local;
    Leader learned;
    std::uint64_t used_since = 0;  // tick of the first use of learned since that leader was heard; 0: none
  };
  [[nodiscard]] Entry* find_for(GroupId group, const Leader& leader);
  [[nodiscard]] bool elsewhere(GroupId group) const;  // in another loop of this node, if it is here at all
  NodeId self_;
  Place place_;
  std::vector<NodeId> nodes_;      // without this one
  std::vector<NodeId> everybody_;  // with it
  std::uint64_t now_ = 1;          // ticks
  NodeId known_;                   // what route() shows
  std::map<GroupId, Entry> groups_;
  std::set<GroupId> used_;  // those with used_since, and perhaps some that were heard since
};

}  // namespace assent
