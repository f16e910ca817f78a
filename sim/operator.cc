#include "sim/operator.h"

#include <algorithm>
#include <utility>

#include "consensus/raft/membership_change.h"
#include "consensus/raft/quorum.h"
#include "sim/member_changes.h"

namespace assent::sim {

using Kind = MemberChange::Kind;

bool Operator::intact(const Member& member) const {
  const Process& process = *processes_.at(member.node);
  return !process.retired() && process.member() == member;
}

bool Operator::majority_intact(const Membership& members, NodeId without) const {
  return raft::reached_by_quorum(members, [&](const Member& member) -> std::uint64_t {
           return member.node != without && member.node != doubtful_ && intact(member) ? 1 : 0;
         }) > 0;
}

bool Operator::may_lose_disk(const Process& process) const {
  return std::all_of(processes_.begin(), processes_.end(), [&](const auto& one) {
    Process& other = *one.second;
    if (other.retired()) return true;
    if (!other.up()) return false;  // it may know of a membership that nobody else does
    const auto groups = other.loop().status();
    return std::all_of(groups.begin(), groups.end(),
                       [&](const GroupStatus& group) { return majority_intact(group.log.members, process.node()); });
  });
}

void Operator::change_members(Rng& rng) {
  auto place = processes_.begin();
  std::advance(place, static_cast<std::ptrdiff_t>(rng.below(processes_.size())));
  Process& process = *place->second;
  if (!process.up() || process.paused()) return;
  const auto groups = process.loop().status();
  if (groups.empty()) return;
  const GroupStatus& group = groups[rng.below(groups.size())];
  if (!group.log.leadership.self_leads) return;
  std::vector<Member> nodes;
  for (const auto& [node, other] : processes_) nodes.push_back(other->member());
  const std::vector<MemberChange> changes = draw_member_changes(group.log.members, nodes, rng);
  // Who has just lost its disk may still count as alive at the leader; whoever operates looks first.
  const auto after = raft::change_membership(group.log.members, changes);
  if (after && majority_intact(*after, {})) ask(process, group, changes);
}

void Operator::repair() {
  for (const auto& [node, process] : processes_) {
    if (!process->up() || process->paused()) continue;
    for (const GroupStatus& group : process->loop().status()) {
      if (!group.log.leadership.self_ready) continue;
      const std::vector<MemberChange> changes = next_step(group);
      if (!changes.empty()) ask(*process, group, changes);
      if (!process->up()) break;
    }
  }
}

// Of the first member that is not what it was: a learner with the new disk, then a voter in its place. What is not
// ready for that is refused, and asked for again.
std::vector<MemberChange> Operator::next_step(const GroupStatus& group) const {
  const Membership& now = group.log.members;
  for (const Member& member : now.all()) {
    const Process& process = *processes_.at(member.node);
    if (process.retired() || process.member() == member) continue;
    if (!now.votes(member)) return {{Kind::remove, member}};
    if (!now.has(process.member())) return {{Kind::learner, process.member()}};
    return {{Kind::remove, member}, {Kind::voter, process.member()}};
  }
  return {};
}

void Operator::ask(Process& leader, const GroupStatus& group, const std::vector<MemberChange>& changes) {
  const auto done = leader.change_membership(group.config.id, changes);
  if (!done) {
    recorder_.say("node {} refuses to change the members of group {}: {}", leader.node(), group.config.id,
                  done.error().message);
    return;
  }
  recorder_.fault("members changed");
  if (group.application.prepared > 0) recorder_.rare("members changed with prepared transactions");
}

}  // namespace assent::sim
