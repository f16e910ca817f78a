#include "node/leaving.h"

#include <algorithm>

#include "base/planted.h"

namespace assent {
namespace {
Position last_of(const LogStatus& replica) { return {replica.last_epoch, replica.last}; }
}  // namespace

// By what it has applied: what the core holds for committed it may not have handed out yet.
bool has_left(const LogStatus& leader, Index applied, const Member& member) {
  if (!leader.leadership.self_ready || leader.members.has(member)) return false;
  return leader.members_since <= applied || planted(Bug::removed_too_early);
}

Position Leaving::place(GroupId group) const {
  Position place;
  if (const auto left = left_.find(group); left != left_.end() && !planted(Bug::leaver_forgets)) {
    place = left->second.place;
  }
  if (const auto lost = lost_.find(group); lost != lost_.end() && !planted(Bug::damage_forgotten)) {
    place = std::max(place, lost->second);
  }
  return place;
}

// A replica that holds nothing has nothing to lose, unless it was begun for a late message after the node had left.
bool Leaving::believes(const LogStatus& replica, const LeftItem& answer) const {
  if (replica.leadership.self_leads || (replica.last.none() && !left(answer.group))) return false;
  return answer.at >= last_of(replica) && answer.at >= place(answer.group);
}

LeftGroup Leaving::begin(const LogStatus& replica, const LeftItem& answer, Wal::Ticket ticket) {
  return give_up(answer.group, std::max(last_of(replica), answer.at), ticket);
}

LeftGroup Leaving::give_up(GroupId group, const Position& end, Wal::Ticket ticket) {
  LeftGroup& left = left_[group];
  left.place = std::max(left.place, end);
  ++left.times;
  going_[group] = ticket;
  return left;
}

std::vector<GroupId> Leaving::logged(Wal::Ticket durable) const {
  std::vector<GroupId> groups;
  for (const auto& [group, ticket] : going_) {
    if (ticket <= durable || planted(Bug::cleaned_before_logged)) groups.push_back(group);
  }
  return groups;
}

}  // namespace assent
