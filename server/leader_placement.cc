#include "server/leader_placement.h"

#include <algorithm>

namespace assent {

namespace {

constexpr std::uint64_t lag_max = 1000;  // entries; who lags more would be long in taking over

const GroupStatus* anchor_of(const std::vector<GroupStatus>& groups) {
  const GroupStatus* anchor = nullptr;
  for (const GroupStatus& group : groups) {
    if (group.config.role == GroupRole::map) continue;
    const bool coordinates = group.config.role == GroupRole::coordinator;
    const bool anchored = anchor != nullptr && anchor->config.role == GroupRole::coordinator;
    if (anchor == nullptr || (coordinates && !anchored) ||
        (coordinates == anchored && group.config.name < anchor->config.name)) {
      anchor = &group;
    }
  }
  return anchor;
}

}  // namespace

bool can_take_over(const GroupStatus& group, NodeId node) {
  return std::ranges::any_of(group.log.peers, [&](const PeerProgress& peer) {
    return group.log.members.voter_on(node) == peer.member && peer.recently_active &&
           peer.match.value + lag_max >= group.log.last.value;
  });
}

std::vector<TransferLeadership> LeaderPlacement::moves(const std::vector<GroupStatus>& groups) {
  std::vector<TransferLeadership> moves;
  const GroupStatus* const anchor = anchor_of(groups);
  if (anchor == nullptr) return moves;
  const NodeId to = anchor->log.leadership.leader;
  if (to.none() || to == self_) return moves;
  for (const GroupStatus& group : groups) {
    const Leadership& leadership = group.log.leadership;
    if (&group == anchor || !leadership.self_ready || !can_take_over(group, to)) continue;
    Epoch& moved = moved_[group.config.id];
    if (moved == leadership.epoch) continue;
    moved = leadership.epoch;
    moves.push_back({.group = group.config.id, .to = to});
  }
  return moves;
}

}  // namespace assent
