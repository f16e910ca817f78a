// Who belongs to the group at each place of the log in memory: a change is in force from the entry on that says so,
// committed or not, and goes with it when that is cut off (dissertation 4.1).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/ids.h"
#include "base/membership.h"

namespace assent::raft {

class MembershipHistory {
 public:
  MembershipHistory() = default;
  MembershipHistory(Index base, Membership membership) { restart(base, std::move(membership)); }

  [[nodiscard]] const Membership& current() const { return steps_.back().membership; }
  // Another number whenever the current one may have become another.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  // The entry that made the current one; the base when none did.
  [[nodiscard]] Index since() const { return steps_.back().from; }
  // At or after the base.
  [[nodiscard]] const Membership& at(Index index) const {
    auto step = steps_.rbegin();
    while (step->from > index && step + 1 != steps_.rend()) ++step;
    return step->membership;
  }

  // Whether this member votes in what is in force, or in what still would be if changes that are not committed were
  // lost. Such a one campaigns: nobody else may have the entries that the others need (4.2.2).
  [[nodiscard]] bool may_lead(const Member& member, Index committed) const {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      if (step->membership.votes(member)) return true;
      if (step->from <= committed) break;
    }
    return false;
  }

  void add(Index index, Membership membership) {
    ASSENT_CHECK(index > since(), "memberships follow each other");
    steps_.push_back({index, std::move(membership)});
    ++version_;
  }
  // The entries from here on are gone.
  void cut_from(Index index) {
    for (; steps_.size() > 1 && steps_.back().from >= index; ++version_) steps_.pop_back();
  }
  // What is before the base need not be known any more.
  void forget_before(Index base) {
    std::size_t first = 0;
    while (first + 1 < steps_.size() && steps_[first + 1].from <= base) ++first;
    steps_.erase(steps_.begin(), steps_.begin() + static_cast<std::ptrdiff_t>(first));
  }
  void restart(Index base, Membership membership) {
    steps_.clear();
    steps_.push_back({base, std::move(membership)});
    ++version_;
  }

 private:
  struct Step {
    Index from;
    Membership membership;
  };
  std::vector<Step> steps_{{}};  // ascending, never empty; the first is the base
  std::uint64_t version_ = 1;
};

}  // namespace assent::raft
