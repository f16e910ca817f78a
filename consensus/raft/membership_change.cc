#include "consensus/raft/membership_change.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace assent::raft {
namespace {

using Members = std::vector<Member>;

bool holds(const Members& members, const Member& member) {
  return std::binary_search(members.begin(), members.end(), member);
}

void put(Members& members, const Member& member) {
  const auto place = std::lower_bound(members.begin(), members.end(), member);
  if (place == members.end() || *place != member) members.insert(place, member);
}

void take(Members& members, const Member& member) {
  const auto place = std::lower_bound(members.begin(), members.end(), member);
  if (place != members.end() && *place == member) members.erase(place);
}

void remove(Membership& membership, const Member& member) {
  take(membership.voters, member);
  take(membership.learners, member);
  take(membership.learners_next, member);
}

// An outgoing voter still votes: it is a learner only when the joint state is left.
void make_learner(Membership& membership, const Member& member) {
  remove(membership, member);
  put(holds(membership.outgoing, member) ? membership.learners_next : membership.learners, member);
}

void make_voter(Membership& membership, const Member& member) {
  remove(membership, member);
  put(membership.voters, member);
}

Result<Membership> apply(Membership membership, std::span<const MemberChange> changes) {
  for (const MemberChange& change : changes) {
    if (change.member.none()) continue;
    switch (change.kind) {
      case MemberChange::Kind::voter: make_voter(membership, change.member); break;
      case MemberChange::Kind::learner: make_learner(membership, change.member); break;
      case MemberChange::Kind::remove: remove(membership, change.member); break;
    }
  }
  if (membership.voters.empty()) return fail(ErrorCode::refused, "removed all voters");
  return membership;
}

std::size_t differences(const Members& before, const Members& after) {
  Members different;
  std::set_symmetric_difference(before.begin(), before.end(), after.begin(), after.end(),
                                std::back_inserter(different));
  return different.size();
}

}  // namespace

Result<Membership> simple_change(const Membership& before, std::span<const MemberChange> changes) {
  if (before.joint()) return fail(ErrorCode::refused, "can't apply simple config change in joint config");
  auto after = apply(before, changes);
  if (after && differences(before.voters, after->voters) > 1) {
    return fail(ErrorCode::refused, "more than one voter changed without entering joint config");
  }
  return after;
}

Result<Membership> enter_joint(const Membership& before, std::span<const MemberChange> changes) {
  if (before.joint()) return fail(ErrorCode::refused, "config is already joint");
  if (before.empty()) return fail(ErrorCode::refused, "can't make a zero-voter config joint");
  Membership joint = before;
  joint.outgoing = before.voters;
  return apply(std::move(joint), changes);
}

Result<Membership> leave_joint(const Membership& before) {
  if (!before.joint()) return fail(ErrorCode::refused, "can't leave a non-joint config");
  Membership after = before;
  for (const Member& member : before.learners_next) put(after.learners, member);
  after.outgoing.clear();
  after.learners_next.clear();
  return after;
}

Result<Membership> change_membership(const Membership& before, std::span<const MemberChange> changes) {
  const auto after = apply(before, changes);
  if (!after || before.joint()) return after ? enter_joint(before, changes) : after;
  return differences(before.voters, after->voters) > 1 ? enter_joint(before, changes) : after;
}

}  // namespace assent::raft
