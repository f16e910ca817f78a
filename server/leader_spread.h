// Which leadership a node should hand over so that each node leads about as many groups as any other. Every leader
// costs its node a share of the work, and of the loss when the node is lost.
//
// Each node judges by itself, by what the others tell of themselves (Loop::leads), and does not flap:
//   * it hands a group over only to a voter that leads at least two fewer: then it is never worth handing it back;
//   * one node moves at a time: who leads more waits shorter, in quiet rounds in which nothing changed anywhere, and
//   every
//     move begins the waiting of all anew. So each move makes the squares of the counts smaller in sum, and there is a
//     last one;
//   * a group is handed over at most once in an epoch: when it comes back, the other node had its reasons.
// Pure; asked by the daemon in rounds of a fixed length, longer than it takes to hear of a change.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "node/loop.h"

namespace assent {

class LeaderSpread {
 public:
  static constexpr std::uint64_t quiet_rounds = 20;     // before the first may move
  static constexpr std::uint64_t rounds_per_place = 5;  // more for each who leads more

  explicit LeaderSpread(NodeId self) : self_(self) {}

  // One round. The groups as this node sees them; how many each node leads, as far as it is heard.
  [[nodiscard]] std::optional<TransferLeadership> move(const std::vector<GroupStatus>& groups,
                                                       const std::map<NodeId, std::uint64_t>& leads);

 private:
  [[nodiscard]] bool is_my_turn(const std::map<NodeId, std::uint64_t>& leads);

  const NodeId self_;
  std::map<NodeId, std::uint64_t> seen_;  // in the last round
  std::uint64_t quiet_ = 0;               // rounds since it changed
  std::map<GroupId, Epoch> moved_;
};

}  // namespace assent
