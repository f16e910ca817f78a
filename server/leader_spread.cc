#include "server/leader_spread.h"

#include <algorithm>

#include "server/leader_placement.h"

namespace assent {

bool LeaderSpread::is_my_turn(const std::map<NodeId, std::uint64_t>& leads) {
  quiet_ = leads == seen_ ? quiet_ + 1 : 0;
  seen_ = leads;
  const auto own = leads.find(self_);
  if (own == leads.end()) return false;
  const auto before_me = static_cast<std::uint64_t>(std::count_if(leads.begin(), leads.end(), [&](const auto& other) {
    return other.second > own->second || (other.second == own->second && other.first < self_);
  }));
  return quiet_ >= quiet_rounds + before_me * rounds_per_place;
}

std::optional<TransferLeadership> LeaderSpread::move(const std::vector<GroupStatus>& groups,
                                                     const std::map<NodeId, std::uint64_t>& leads) {
  if (!is_my_turn(leads)) return std::nullopt;
  const std::uint64_t own = leads.at(self_);
  const GroupStatus* best = nullptr;
  NodeId best_to;
  std::uint64_t least = own < 2 ? 0 : own - 1;  // who leads as many or more takes nothing
  for (const GroupStatus& group : groups) {
    const Leadership& leadership = group.log.leadership;
    if (!leadership.self_ready || moved_[group.config.id] == leadership.epoch) continue;
    for (const auto& [node, count] : leads) {
      if (node == self_ || count >= least || !can_take_over(group, node)) continue;
      best = &group;
      best_to = node;
      least = count;
    }
  }
  if (best == nullptr) return std::nullopt;
  moved_[best->config.id] = best->log.leadership.epoch;
  quiet_ = 0;
  return TransferLeadership{.group = best->config.id, .to = best_to};
}

}  // namespace assent
