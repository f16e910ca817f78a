// Majority arithmetic: pure, for groups of any size. Every safety argument of Raft rests on two majorities having a
// member in common.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/ids.h"

namespace assent::raft {

[[nodiscard]] constexpr std::size_t majority(std::size_t members) { return members / 2 + 1; }

// The largest value that a majority has reached, given one value a member; 0 for no members.
[[nodiscard]] inline std::uint64_t reached_by_majority(std::vector<std::uint64_t> values) {
  if (values.empty()) return 0;
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(majority(values.size()) - 1);
  std::nth_element(values.begin(), place, values.end(), std::greater<>());
  return *place;
}

enum class Ballot : std::uint8_t { open, won, lost };

// The votes of one election. A voter's first answer stands.
class Tally {
 public:
  explicit Tally(std::size_t members) : members_(members) {}

  void add(NodeId voter, bool granted) { votes_.emplace(voter, granted); }

  [[nodiscard]] std::size_t granted() const {
    return static_cast<std::size_t>(
        std::count_if(votes_.begin(), votes_.end(), [](const auto& v) { return v.second; }));
  }
  // Lost as soon as the voters left cannot make up a majority any more.
  [[nodiscard]] Ballot ballot() const {
    if (granted() >= majority(members_)) return Ballot::won;
    const std::size_t refused = votes_.size() - granted();
    return members_ - refused < majority(members_) ? Ballot::lost : Ballot::open;
  }
  [[nodiscard]] const std::map<NodeId, bool>& votes() const { return votes_; }

 private:
  std::size_t members_;
  std::map<NodeId, bool> votes_;
};

}  // namespace assent::raft
