// Whom a loop lets lead, and that each request of a client is answered once.
#include "tests/node/loop_fixture.h"

namespace assent {
namespace {

using testing::ElementsAre;

// ---- leadership and requests ----

TEST_F(LoopTest, OnlyALeadersApplicationTicks) {
  open();
  node.loop->tick();
  EXPECT_EQ(application(c0).ticks, 0U);
  lead(c0, 1);
  node.loop->tick();
  EXPECT_EQ(application(c0).ticks, 1U);
  EXPECT_EQ(application(s1).ticks, 0U);
  log(c0).follow(2, peer);
  settle(c0);
  node.loop->tick();
  EXPECT_EQ(application(c0).ticks, 1U);
}

TEST_F(LoopTest, ALeaderOfTheNextEpochResignsFirst) {
  open();
  lead(c0, 1);
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  EXPECT_FALSE(node.answered(1));
  log(c0).lead(3);  // lost and won again between two looks
  settle(c0);
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::unknown_outcome);
  EXPECT_TRUE(application(c0).leading);
}

TEST_F(LoopTest, ARequestIsProposedAppliedAndAnsweredOnce) {
  open();
  lead(c0, 1);
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  ASSERT_THAT(log(c0).proposed, ElementsAre("a"));
  EXPECT_FALSE(node.answered(1));
  committed(c0, 1, "a");
  settle(c0);
  EXPECT_TRUE(node.reply(1));
  log(c0).follow(2, peer);
  settle(c0);
  EXPECT_TRUE(node.reply(1)) << "and not once more at the resignation";
}

TEST_F(LoopTest, ANonLeaderNamesTheLeaderItKnows) {
  open();
  log(c0).follow(4, third);
  settle(c0);
  node.request(put_request(1, c0, c0, "a"));
  node.request(put_request(2, s1, s1, "a"));
  node.request(put_request(3, away, away, "a"));
  node.request(put_request(4, GroupId(77), c0, "a"));
  node.settle();
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::not_leader);
  EXPECT_EQ(node.reply(1).error().leader_hint, third);
  EXPECT_EQ(node.reply(2).error().code, ErrorCode::not_leader);
  EXPECT_TRUE(node.reply(2).error().leader_hint.none());
  EXPECT_EQ(node.reply(3).error().code, ErrorCode::not_leader);
  EXPECT_EQ(node.reply(4).error().code, ErrorCode::not_found);

  receive(peer, HintItem{away, Epoch(5), third});
  node.request(put_request(5, away, away, "a"));
  node.settle();
  EXPECT_EQ(node.reply(5).error().leader_hint, third);
}

TEST_F(LoopTest, ALeaderThatIsNotReadyRefusesAndNamesNobody) {
  open();
  log(c0).next().leadership = Leadership{Epoch(3), self, true, false};
  settle(c0);
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::not_leader);
  EXPECT_TRUE(node.reply(1).error().leader_hint.none());
}

TEST_F(LoopTest, BeyondTheLimitRequestsAreRefused) {
  node.config.limits.client_requests_max = 2;
  open();
  lead(c0, 1);
  for (std::uint64_t i = 1; i <= 3; ++i) node.request(put_request(i, c0, c0, std::to_string(i)));
  node.settle();
  EXPECT_FALSE(node.answered(1));
  EXPECT_EQ(node.reply(3).error().code, ErrorCode::busy);
  committed(c0, 1, "1");
  settle(c0);
  EXPECT_TRUE(node.reply(1));
  node.request(put_request(4, c0, c0, "4"));
  node.settle();
  EXPECT_FALSE(node.answered(4)) << "there is room again";
}

TEST_F(LoopTest, ARefusedProposalIsTheApplicationsToAnswer) {
  open();
  lead(c0, 1);
  log(c0).refuse = Error{ErrorCode::busy, "the window is full", {}};
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::busy);
}

TEST_F(LoopTest, EveryRequestIsAnsweredWhenTheLeaderResigns) {
  open();
  lead(c0, 1);
  node.request(put_request(1, c0, c0, "a"));
  node.request(read_request(2, c0));
  node.settle();
  log(c0).follow(2, peer);
  settle(c0);
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::unknown_outcome);
  EXPECT_EQ(node.reply(2).error().code, ErrorCode::not_leader);
}

TEST_F(LoopTest, WhatTheApplicationForgetsToAnswerTheLoopAnswers) {
  open();
  lead(c0, 1);
  application(c0).mute = true;
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  log(c0).follow(2, peer);
  settle(c0);
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::unknown_outcome);
}

// ---- reads ----

TEST_F(LoopTest, AReadIsServedOnceItsIndexIsApplied) {
  open();
  lead(c0, 1);
  node.request(read_request(1, c0));
  node.settle();
  ASSERT_EQ(log(c0).reads.size(), 1U);
  EXPECT_FALSE(node.answered(1));
  log(c0).next().reads.push_back({log(c0).reads[0], Index(2)});
  committed(c0, 1, "a");
  settle(c0);
  EXPECT_FALSE(node.answered(1)) << "entry 2 is not applied";
  committed(c0, 2, "b");
  settle(c0);
  ASSERT_TRUE(node.reply(1));
  EXPECT_EQ(std::get<QueryAnswer>(*node.reply(1)).at, Index(2));
}

TEST_F(LoopTest, LostAndRefusedBarriersAreTold) {
  open();
  lead(c0, 1);
  node.request(read_request(1, c0));
  node.settle();
  log(c0).next().reads_lost.push_back(log(c0).reads[0]);
  settle(c0);
  EXPECT_FALSE(node.reply(1));
  log(c0).refuse = Error{ErrorCode::busy, "too many", {}};
  node.request(read_request(2, c0));
  node.settle();
  EXPECT_FALSE(node.reply(2));
}

// The resignation has answered the client; the application of a non-leader hears of no read.
TEST_F(LoopTest, BarriersLostWithTheLeadershipAreNotToldTwice) {
  open();
  lead(c0, 1);
  node.request(read_request(1, c0));
  node.settle();
  log(c0).next().reads_lost.push_back(log(c0).reads[0]);
  log(c0).follow(2, peer);
  settle(c0);
  EXPECT_EQ(node.reply(1).error().message, "resigned");
}

// ---- what others see ----

TEST_F(LoopTest, StatusNamesTheGroupsCarriedHere) {
  open();
  committed(c0, 1, "a");
  settle(c0);
  const auto status = node.loop->status();
  ASSERT_EQ(status.size(), 2U);
  EXPECT_EQ(status[0].config.name, "c0");
  EXPECT_EQ(status[0].applied, Index(1));
  EXPECT_TRUE(node.loop->application_digest(c0));
  EXPECT_EQ(node.loop->application_digest(away).error().code, ErrorCode::not_found);
  EXPECT_EQ(node.loop->application(away), nullptr);
}

TEST_F(LoopTest, LeadershipIsHandedOverOnRequest) {
  open();
  node.loop->handle(TransferLeadership{c0, third});
  EXPECT_EQ(log(c0).transfer, third);
}

}  // namespace
}  // namespace assent
