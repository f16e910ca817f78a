// Majority arithmetic: pure, for groups of any size, and for two of them at once while a membership is joint. Every
// safety argument of Raft rests on two majorities having a member in common; in a joint membership a majority of each
// half must agree, so that whatever is decided has a member in common with every majority before and after
// (dissertation 4.3).
//
// Learners are nowhere in here. A half without members decides nothing and hinders nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <vector>

#include "base/membership.h"

namespace assent::raft {

[[nodiscard]] constexpr std::size_t majority(std::size_t members) { return members / 2 + 1; }

// The largest value that a majority has reached, given one value a member; 0 for no members.
[[nodiscard]] inline std::uint64_t reached_by_majority(std::vector<std::uint64_t> values) {
  if (values.empty()) return 0;
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(majority(values.size()) - 1);
  std::nth_element(values.begin(), place, values.end(), std::greater<>());
  return *place;
}

constexpr std::uint64_t reached_by_nobody_needed = std::numeric_limits<std::uint64_t>::max();

template <class ValueOf>
[[nodiscard]] std::uint64_t reached_by_majority(const std::vector<Member>& members, const ValueOf& value_of) {
  if (members.empty()) return reached_by_nobody_needed;
  std::vector<std::uint64_t> values;
  values.reserve(members.size());
  for (const Member& member : members) values.push_back(value_of(member));
  return reached_by_majority(std::move(values));
}

// The largest value that a majority of each half has reached.
template <class ValueOf>
[[nodiscard]] std::uint64_t reached_by_quorum(const Membership& membership, const ValueOf& value_of) {
  return std::min(reached_by_majority(membership.voters, value_of), reached_by_majority(membership.outgoing, value_of));
}

enum class Ballot : std::uint8_t { open, won, lost };

using Votes = std::map<Member, bool>;

// Lost as soon as the members left cannot make up a majority any more.
[[nodiscard]] inline Ballot ballot_of(const std::vector<Member>& members, const Votes& votes) {
  if (members.empty()) return Ballot::won;
  std::size_t granted = 0;
  std::size_t refused = 0;
  for (const Member& member : members) {
    const auto vote = votes.find(member);
    if (vote == votes.end()) continue;
    (vote->second ? granted : refused) += 1;
  }
  if (granted >= majority(members.size())) return Ballot::won;
  return members.size() - refused < majority(members.size()) ? Ballot::lost : Ballot::open;
}

[[nodiscard]] inline Ballot ballot_of(const Membership& membership, const Votes& votes) {
  const Ballot incoming = ballot_of(membership.voters, votes);
  const Ballot outgoing = ballot_of(membership.outgoing, votes);
  if (incoming == Ballot::lost || outgoing == Ballot::lost) return Ballot::lost;
  return incoming == Ballot::won && outgoing == Ballot::won ? Ballot::won : Ballot::open;
}

// The votes of one election. A voter's first answer stands.
class Tally {
 public:
  void add(const Member& voter, bool granted) { votes_.emplace(voter, granted); }

  [[nodiscard]] Ballot ballot(const Membership& membership) const { return ballot_of(membership, votes_); }
  [[nodiscard]] const Votes& votes() const { return votes_; }

 private:
  Votes votes_;
};

}  // namespace assent::raft
