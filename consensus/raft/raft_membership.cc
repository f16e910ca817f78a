// Changes of the membership (dissertation chapter 4): one at a time, learners first, joint when more than one voter
// changes, a joint one left by itself. Which changes there are at all: membership_change.h.
#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "consensus/raft/membership_change.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft.h"

namespace assent::raft {
namespace {

bool holds(const std::vector<Member>& members, const Member& member) {
  return std::binary_search(members.begin(), members.end(), member);
}

void forget_joint(Membership& membership) {
  for (const Member& member : membership.learners_next) membership.learners.push_back(member);
  std::sort(membership.learners.begin(), membership.learners.end());
  membership.outgoing.clear();
  membership.learners_next.clear();
}

void let_learners_vote(Membership& membership) {
  membership.voters.insert(membership.voters.end(), membership.learners.begin(), membership.learners.end());
  std::sort(membership.voters.begin(), membership.voters.end());
  membership.learners.clear();
}

}  // namespace

// ---- what is in force ----

void Raft::adopt(Index index, Membership membership) {
  if (planted(Bug::joint_skipped)) forget_joint(membership);
  if (planted(Bug::learner_counts)) let_learners_vote(membership);
  if (planted(Bug::change_survives_truncation) && index <= memberships_.since()) return;
  narrate("the members are {} from {} on", to_string(membership), index);
  memberships_.add(index, std::move(membership));
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  follow_membership(*leader, log_.last_index());
  confirm_reads(*leader);  // fewer may have to answer than when they were asked
}

void Raft::adopt_from(std::span<const EntryPtr> entries) {
  for (const EntryPtr& entry : entries) {
    // Valid: decoded with the message, or checked with the stored log.
    if (entry->kind == EntryKind::membership) adopt(entry->index, *decode_membership(entry->payload));
  }
}

// Followers that stay keep what is known of them. New ones are probed from the entry `next` on, which is there, or
// comes with this call: somebody who is never sent anything never says what it lacks.
void Raft::follow_membership(Leader& role, Index next) {
  std::vector<Peer> peers;
  for (const Member& member : memberships_.current().all()) {
    if (member.node == self_.node) continue;  // itself, or what it was with another disk
    Progress* known = role.find(member);
    peers.push_back({member, known != nullptr ? std::move(*known) : Progress(next)});
  }
  role.peers = std::move(peers);
}

// ---- a change ----

Result<Position> Raft::change_membership(std::span<const MemberChange> changes, ClusterMillis now) {
  auto* role = std::get_if<Leader>(&role_);
  if (role == nullptr) return fail(ErrorCode::not_leader, "this replica does not lead the group", leadership().leader);
  wake_up(false);
  if (role->transfer) return fail(ErrorCode::busy, "leadership is being handed over; retry");
  if (handed_ < role->epoch_start && !planted(Bug::change_before_own_entry)) {
    return fail(ErrorCode::busy, "the leader is new and has committed nothing yet; retry");
  }
  const Membership& before = memberships_.current();
  if ((memberships_.since() > commit_ || before.joint()) && !planted(Bug::second_change_early)) {
    return fail(ErrorCode::busy, "another change of the group's members is under way; retry when it is done");
  }
  const auto after = raft::change_membership(before, changes);
  if (!after) return fail(after.error());
  if (auto fit = check_change(*role, *after, changes); !fit) return fail(fit.error());
  Bytes payload = encode_membership(*after);
  if (auto room = make_room(*role, payload.size() + entry_overhead_bytes); !room) return fail(room.error());
  const Position at = append(*role, EntryKind::membership, std::move(payload), now);
  adopt(at.index, *after);
  return at;
}

Result<void> Raft::check_change(const Leader& role, const Membership& after,
                                std::span<const MemberChange> changes) const {
  const Membership& before = memberships_.current();
  if (after == before) return fail(ErrorCode::refused, "nothing changes: the members are so already");
  for (const Member& member : after.voters) {
    const auto same_node = [&member](const Member& other) { return other.node == member.node && other != member; };
    if (std::any_of(after.voters.begin(), after.voters.end(), same_node)) {
      return fail(ErrorCode::refused,
                  fmt::format("node {} would vote twice, with two disks; remove the former one in the same change",
                              member.node));
    }
    if (holds(before.voters, member)) continue;
    const Progress* progress = role.find(member);
    if (!holds(before.learners, member) || progress == nullptr) {
      return fail(ErrorCode::refused, fmt::format("member {} is no learner yet; add it as one first", member));
    }
    const std::uint64_t behind = log_.last_index().value - progress->match().value;
    if (behind > options_.promote_lag_max) {
      return fail(ErrorCode::refused,
                  fmt::format("member {} is {} entries behind, and may vote when it is {} or fewer; wait", member,
                              behind, options_.promote_lag_max));
    }
  }
  for (const MemberChange& change : changes) {
    if (change.kind == MemberChange::Kind::remove && !before.has(change.member)) {
      return fail(ErrorCode::refused, fmt::format("{} is not a member of the group", change.member));
    }
  }
  if (after.voters == before.voters) return {};
  const auto answering = static_cast<std::size_t>(std::count_if(
      after.voters.begin(), after.voters.end(), [&](const Member& member) { return alive(role, member); }));
  if (answering >= majority(after.voters.size())) return {};
  return fail(ErrorCode::refused,
              fmt::format("only {} of the {} voters that there would be answer: the group would stand still", answering,
                          after.voters.size()));
}

bool Raft::alive(const Leader& role, const Member& member) const {
  if (member == self_) return true;
  const Progress* progress = role.find(member);
  return progress != nullptr && progress->silent_ticks < options_.election_ticks;
}

// ---- what follows from a committed change ----

// 4.3: the joint membership is left once it is committed, by whoever leads then; 4.2.2: a leader that belongs to the
// group no more leads until that is committed, and counts itself for nothing.
void Raft::settle_membership() {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || commit_ < memberships_.since() || commit_ < leader->epoch_start) return;
  const Membership& current = memberships_.current();
  if (current.joint()) {
    Membership after = *leave_joint(current);
    const Position at = append(*leader, EntryKind::membership, encode_membership(after), log_.last_stamp());
    adopt(at.index, std::move(after));
  } else if (!current.votes(self_)) {
    leave_to_others(*leader);
  }
}

void Raft::leave_to_others(Leader& role) {
  narrate("steps down in term {}: it votes no more", term_);
  const Peer* best = nullptr;
  for (const Peer& peer : role.peers) {
    if (!memberships_.current().votes(peer.member)) continue;
    if (best == nullptr || peer.progress.match() > best->progress.match()) best = &peer;
  }
  send_heartbeats(role);  // how far the log is committed: the change itself
  if (best != nullptr) send_now(best->member, TimeoutNow{.term = term_});
  enter(follower_of({}));
}

}  // namespace assent::raft
