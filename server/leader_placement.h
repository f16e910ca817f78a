// Which leaderships a node should hand over so that the leaders of all groups stand together. A transaction's
// coordinator and shards then talk inside one process, and their entries for a follower share a frame: half the
// messages, for the price that one node does the leaders' work of all groups.
//
// The first coordinator group (else the first group) is the anchor: whoever leads it stays, and leaders of other groups
// come to it. Pure; asked by the daemon now and then.
#pragma once

#include <map>
#include <vector>

#include "node/loop.h"

namespace assent {

// The node votes in the group, answers, and lags so little that it would soon lead.
[[nodiscard]] bool can_take_over(const GroupStatus& group, NodeId node);

class LeaderPlacement {
 public:
  explicit LeaderPlacement(NodeId self) : self_(self) {}

  // The groups as this node sees them. A group is handed over at most once in an epoch: when it comes back, the other
  // node had its reasons.
  [[nodiscard]] std::vector<TransferLeadership> moves(const std::vector<GroupStatus>& groups);

 private:
  const NodeId self_;
  std::map<GroupId, Epoch> moved_;
};

}  // namespace assent
