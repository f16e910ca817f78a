// What those who operate a group ask of its leader, at random: one to three steps together, sensible or not. The leader
// refuses what may not be. Drawn here for whole clusters, for bare cores and for the contract's tests alike.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/membership.h"
#include "base/rng.h"

namespace assent::sim {

// nodes: every node there is, as the member that it would be with the disk that it has.
[[nodiscard]] inline std::vector<MemberChange> draw_member_changes(const Membership& now, std::span<const Member> nodes,
                                                                   Rng& rng) {
  using Kind = MemberChange::Kind;
  std::vector<MemberChange> changes;
  const auto any = [&rng](std::span<const Member> of) { return of[rng.below(of.size())]; };
  for (std::uint64_t steps = rng.between(1, 3); steps > 0; --steps) {
    const Member here = any(nodes);
    switch (rng.below(5)) {
      case 0:
      case 1:
        if (!now.has(here)) changes.push_back({Kind::learner, here});
        break;
      case 2:
        if (!now.learners.empty()) changes.push_back({Kind::voter, any(now.learners)});
        break;
      case 3: changes.push_back({Kind::remove, any(now.all())}); break;
      default: {  // one in the place of another; who has lost its disk in the place of what it was, if that is asked
        if (now.learners.empty()) break;
        const Member former = any(now.voters);
        const Member drawn = any(now.learners);
        const auto back = std::ranges::find(now.learners, former.node, &Member::node);
        changes.push_back({Kind::remove, former});
        changes.push_back({Kind::voter, back != now.learners.end() ? *back : drawn});
      }
    }
  }
  return changes;
}

}  // namespace assent::sim
