#include "node/router.h"

#include <algorithm>

namespace assent {

Router::Router(NodeId self, const std::vector<GroupConfig>& groups) : self_(self) {
  for (const GroupConfig& group : groups) {
    Entry& entry = groups_[group.id];
    std::copy_if(group.members.begin(), group.members.end(), std::back_inserter(entry.others),
                 [self](NodeId member) { return member != self; });
  }
}

void Router::believe(GroupId group, const Leadership& leadership) {
  if (auto found = groups_.find(group); found != groups_.end()) {
    found->second.local = Leader{leadership.epoch, leadership.leader};
  }
}

void Router::learn(GroupId group, const Leader& leader) {
  auto found = groups_.find(group);
  if (found == groups_.end() || leader.node == self_) return;  // of itself a node asks its own replica
  Entry& entry = found->second;
  if (std::find(entry.others.begin(), entry.others.end(), leader.node) == entry.others.end()) return;
  if (leader.epoch < entry.learned.epoch) return;
  entry.learned = leader;
  entry.used_since = 0;
}

void Router::tick() {
  ++now_;
  for (auto& [group, entry] : groups_) {
    if (entry.used_since == 0 || now_ - entry.used_since <= unconfirmed_ticks) continue;
    entry.learned = Leader{};
    entry.used_since = 0;
  }
}

Router::Leader Router::leader(GroupId group) const {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  const Entry& entry = found->second;
  if (!entry.local.node.none() && entry.local.epoch >= entry.learned.epoch) return entry.local;
  if (!entry.learned.node.none() && entry.learned.epoch >= entry.local.epoch) return entry.learned;
  return {};
}

NodeId Router::route(GroupId group) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  Entry& entry = found->second;
  const Leader known = leader(group);
  if (!known.node.none()) {
    if (known == entry.learned && known != entry.local && entry.used_since == 0) entry.used_since = now_;
    return known.node;
  }
  if (entry.others.empty()) return {};
  entry.turn = (entry.turn + 1) % entry.others.size();
  return entry.others[entry.turn];
}

}  // namespace assent
