#include "consensus/raft/membership_history.h"

#include <gtest/gtest.h>

namespace assent::raft {
namespace {

const Membership founders{NodeId(1), NodeId(2)};
const Membership grown{NodeId(1), NodeId(2), NodeId(3)};
const Membership shrunk{NodeId(2), NodeId(3)};

MembershipHistory three_steps() {
  MembershipHistory history(Index(4), founders);
  history.add(Index(6), grown);
  history.add(Index(9), shrunk);
  return history;
}

TEST(MembershipHistory, EachPlaceOfTheLogHasItsMembers) {
  const MembershipHistory history = three_steps();
  EXPECT_EQ(history.at(Index(5)), founders);
  EXPECT_EQ(history.at(Index(6)), grown);
  EXPECT_EQ(history.at(Index(8)), grown);
  EXPECT_EQ(history.at(Index(9)), shrunk);
  EXPECT_EQ(history.current(), shrunk);
  EXPECT_EQ(history.since(), Index(9));
}

TEST(MembershipHistory, WhatIsCutOffIsInForceNoMore) {
  MembershipHistory history = three_steps();
  history.cut_from(Index(10));
  EXPECT_EQ(history.current(), shrunk);
  history.cut_from(Index(9));
  EXPECT_EQ(history.current(), grown);
  history.cut_from(Index(5));
  EXPECT_EQ(history.current(), founders);
  EXPECT_EQ(history.since(), Index(4));
}

TEST(MembershipHistory, WhatLiesBeforeTheBaseIsForgotten) {
  MembershipHistory history = three_steps();
  history.forget_before(Index(8));
  EXPECT_EQ(history.at(Index(8)), grown);
  EXPECT_EQ(history.at(Index(9)), shrunk);
  history.cut_from(Index(1));
  EXPECT_EQ(history.current(), grown) << "the base stays";
}

TEST(MembershipHistory, WhoIsLeftOutMayLeadUntilThatIsCommitted_M04) {
  const MembershipHistory history = three_steps();
  EXPECT_TRUE(history.may_lead(NodeId(1), Index(8)));
  EXPECT_FALSE(history.may_lead(NodeId(1), Index(9)));
  EXPECT_TRUE(history.may_lead(NodeId(3), Index(9)));
  EXPECT_FALSE(history.may_lead(Member(NodeId(3), 1), Index(4)));
}

}  // namespace
}  // namespace assent::raft
