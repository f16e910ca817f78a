#include "consensus/raft/quorum.h"

#include <gtest/gtest.h>

#include <bit>

#include "base/rng.h"

namespace assent::raft {
namespace {

// The definition, word for word: the largest v such that more than half of the values are at least v.
std::uint64_t dumb_reached(const std::vector<std::uint64_t>& values) {
  std::uint64_t best = 0;
  for (const std::uint64_t v : values) {
    std::size_t reached = 0;
    for (const std::uint64_t other : values) reached += other >= v ? 1 : 0;
    if (2 * reached > values.size()) best = std::max(best, v);
  }
  return best;
}

TEST(Quorum, any_two_majorities_share_a_member) {
  for (std::size_t members = 1; members <= 9; ++members) {
    EXPECT_GT(2 * majority(members), members);
    EXPECT_LE(2 * (majority(members) - 1), members);  // no smaller one would do without need
  }
}

TEST(Quorum, reached_equals_its_definition_for_all_small_groups) {
  for (std::size_t members = 1; members <= 5; ++members) {
    std::size_t cases = 1;
    for (std::size_t i = 0; i < members; ++i) cases *= 4;
    for (std::size_t code = 0; code < cases; ++code) {
      std::vector<std::uint64_t> values;
      for (std::size_t i = 0, rest = code; i < members; ++i, rest /= 4) values.push_back(rest % 4);
      ASSERT_EQ(reached_by_majority(values), dumb_reached(values));
    }
  }
  EXPECT_EQ(reached_by_majority({}), 0U);
}

TEST(Quorum, reached_equals_its_definition_at_random) {
  Rng rng(1);
  for (int i = 0; i < 5'000; ++i) {
    std::vector<std::uint64_t> values(rng.between(1, 11));
    for (auto& value : values) value = rng.below(20);
    ASSERT_EQ(reached_by_majority(values), dumb_reached(values));
  }
}

// All ways in which up to seven voters say yes, no or nothing.
TEST(Quorum, a_ballot_is_won_or_lost_exactly_when_no_further_vote_can_change_it) {
  for (std::size_t members = 1; members <= 7; ++members) {
    std::size_t cases = 1;
    for (std::size_t i = 0; i < members; ++i) cases *= 3;
    for (std::size_t code = 0; code < cases; ++code) {
      Tally tally;
      Membership membership;
      for (std::size_t i = 0; i < members; ++i) membership.voters.emplace_back(NodeId(i + 1));
      std::size_t yes = 0;
      std::size_t no = 0;
      for (std::size_t i = 0, rest = code; i < members; ++i, rest /= 3) {
        if (rest % 3 == 0) continue;
        tally.add(NodeId(i + 1), rest % 3 == 1);
        (rest % 3 == 1 ? yes : no) += 1;
      }
      const bool won = 2 * yes > members;
      const bool lost = 2 * (members - no) <= members;
      ASSERT_EQ(tally.ballot(membership), won ? Ballot::won : lost ? Ballot::lost : Ballot::open);
    }
  }
}

TEST(Quorum, the_first_answer_of_a_voter_stands) {
  Tally tally;
  tally.add(NodeId(1), false);
  tally.add(NodeId(1), true);
  tally.add(NodeId(1), true);
  EXPECT_FALSE(tally.votes().at(NodeId(1)));
  EXPECT_EQ(tally.ballot({NodeId(1), NodeId(2), NodeId(3)}), Ballot::open);
}

TEST(Quorum, who_is_no_voter_counts_for_nothing) {
  Membership membership{NodeId(1), NodeId(2), NodeId(3)};
  membership.learners = {NodeId(4), NodeId(5)};
  Tally tally;
  for (const std::uint64_t node : {4U, 5U, 6U, 1U}) tally.add(NodeId(node), true);
  tally.add(Member(NodeId(2), 7), true);  // another life of the second
  EXPECT_EQ(tally.ballot(membership), Ballot::open);
  const auto reached = [](const Member& member) { return member.node.value >= 4 ? 100U : member.node.value; };
  EXPECT_EQ(reached_by_quorum(membership, reached), 2U);
}

// The property that a change of membership rests on, of all pairs of memberships of up to four nodes: whatever is
// decided by a joint membership, every majority before and after it has heard of.
TEST(Quorum, a_joint_decision_shares_a_member_with_every_majority_of_either_half) {
  constexpr unsigned nodes = 4;
  for (unsigned before = 1; before < 1U << nodes; ++before) {
    for (unsigned after = 1; after < 1U << nodes; ++after) {
      Membership joint;
      for (unsigned i = 0; i < nodes; ++i) {
        if ((after >> i & 1U) != 0) joint.voters.emplace_back(NodeId(i + 1));
        if ((before >> i & 1U) != 0) joint.outgoing.emplace_back(NodeId(i + 1));
      }
      for (unsigned said = 0; said < 1U << nodes; ++said) {
        Tally tally;
        for (unsigned i = 0; i < nodes; ++i) tally.add(NodeId(i + 1), (said >> i & 1U) != 0);
        const auto more_than_half = [](unsigned of, unsigned in) {
          return 2 * std::popcount(of & in) > std::popcount(in);
        };
        const bool won = more_than_half(said, before) && more_than_half(said, after);
        ASSERT_EQ(tally.ballot(joint), won ? Ballot::won : Ballot::lost);
        const auto one = [&](const Member& m) { return said >> (m.node.value - 1) & 1U; };
        ASSERT_EQ(reached_by_quorum(joint, one), won ? 1U : 0U);
      }
    }
  }
}

}  // namespace
}  // namespace assent::raft
