// How a group's membership changes, as pure functions (dissertation chapter 4): which changes are possible at all, and
// what they lead to. Whether this is the time for one (one at a time, a live majority, a learner that has caught up) is
// for the leader to judge (raft_membership.cc).
//
//     one voter more or less   -> simple_change(): any majority before shares a member with any majority after (4.1)
//     more than one            -> enter_joint(): both majorities must agree (4.3); then leave_joint()
//
// The answers, refusals included, are those of etcd's confchange package, so that its tables can be read as tests.
#pragma once

#include <cstdint>
#include <span>

#include "base/membership.h"
#include "base/result.h"

namespace assent::raft {

// Changes apply in their order. What is so already is no error here.
[[nodiscard]] Result<Membership> simple_change(const Membership& before, std::span<const MemberChange> changes);
[[nodiscard]] Result<Membership> enter_joint(const Membership& before, std::span<const MemberChange> changes);
[[nodiscard]] Result<Membership> leave_joint(const Membership& before);

// The cheapest of these that does it.
[[nodiscard]] Result<Membership> change_membership(const Membership& before, std::span<const MemberChange> changes);

}  // namespace assent::raft
