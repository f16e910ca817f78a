// Heuristic decisions at a shard's leader.
#include <gmock/gmock.h>

#include "caretaker_fixture.h"

namespace assent::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class OverrideTest : public CaretakerFixture {
 protected:
  void force(std::uint64_t request, const TxnId& id, bool commit, std::string reason = "its coordinator burnt down") {
    caretaker.request(ClientRequest{RequestId(request), shard_1, Override{id, commit, std::move(reason)}});
  }
  void forget(std::uint64_t request, const TxnId& id, std::string reason = "repaired by hand") {
    caretaker.request(ClientRequest{RequestId(request), shard_1, Forget{id, std::move(reason)}});
  }
  ClientReply reply() {
    const auto replies = heard().reply;
    EXPECT_EQ(replies.size(), 1U);
    return replies.empty() ? ClientReply{RequestId(0), fail(ErrorCode::unsupported, "none")} : replies.front();
  }
  std::string refusal() {
    const ClientReply one = reply();
    return one.answer ? "" : one.answer.error().message;
  }
};

TEST_F(OverrideTest, P25_WhoWaitedForItsLocksGoesOnAndItStaysInDoubt) {
  prepare(txn(2), put("a", "1"));
  commit_all();
  execute(7, txn(1), put("a", "2"));  // older: it waits
  heard();
  force(8, txn(2), false);
  commit();
  const auto told = reply();
  ASSERT_TRUE(told.answer);
  EXPECT_EQ(std::get<TxnAnswer>(*told.answer).state, TxnState::prepared);
  commit_all();
  EXPECT_EQ(store.get("a"), "2");
  ASSERT_THAT(caretaker.sights({}), SizeIs(1));
  EXPECT_EQ(caretaker.sights({}).front().stage, Stage::in_doubt) << "it asks on";
  ASSERT_TRUE(caretaker.sights({}).front().heuristic);
  finish(txn(2), true);
  commit_all();
  ASSERT_THAT(caretaker.sights({}), SizeIs(1));
  EXPECT_EQ(caretaker.sights({}).front().stage, Stage::forced);
  EXPECT_TRUE(caretaker.sights({}).front().commit);
  EXPECT_EQ(store.get("a"), "2");
}

TEST_F(OverrideTest, P25_ARefusalByStateDoesNotWaitForWhatWasForced) {
  prepare(txn(2), put("a", "1"));
  commit_all();
  force(8, txn(2), true);
  commit_all();
  heard();
  execute(9, txn(3), {KvAdd{.key = "b", .delta = -5, .floor = 0, .ceiling = {}}});
  commit_all();
  const auto told = reply();
  ASSERT_TRUE(told.answer);
  EXPECT_EQ(std::get<TxnAnswer>(*told.answer).refusal.reason, AbortReason::constraint);
}

TEST_F(OverrideTest, BadRequestsAreRefusedWithWords) {
  force(1, txn(1), true);
  EXPECT_THAT(refusal(), HasSubstr("not in doubt"));
  prepare(txn(1), put("a", "1"));
  commit_all();
  heard();
  force(2, txn(1), true, "");
  EXPECT_THAT(refusal(), HasSubstr("needs a reason"));
  force(3, txn(1), true, std::string(override_reason_bytes_max + 1, 'x'));
  EXPECT_THAT(refusal(), HasSubstr("needs a reason"));
  force(4, txn(1), true);
  force(5, txn(1), false);
  EXPECT_THAT(refusal(), HasSubstr("somebody else's decision"));
  commit_all();
  heard();
  force(6, txn(1), false);
  EXPECT_THAT(refusal(), HasSubstr("its commit was forced here before"));
  finish(txn(1), false);
  take();
  force(7, txn(1), false);
  EXPECT_THAT(heard().reply, SizeIs(1)) << "refused: forced before";
}

TEST_F(OverrideTest, TheTrueOutcomeMayComeFirst) {
  prepare(txn(1), put("a", "1"));
  commit_all();
  force(1, txn(1), false);
  finish(txn(1), true);
  take();
  std::swap(log.front(), log.back());
  commit_all();
  const auto told = reply();
  ASSERT_TRUE(told.answer);
  EXPECT_EQ(std::get<TxnAnswer>(*told.answer).state, TxnState::committed) << "nothing was forced";
  EXPECT_EQ(store.get("a"), "1");
  EXPECT_THAT(caretaker.sights({}), IsEmpty());
}

TEST_F(OverrideTest, P25_WhatWasForcedIsForgottenOnceItsOutcomeIsKnown) {
  forget(1, txn(1));
  EXPECT_THAT(refusal(), HasSubstr("nothing was forced on it here"));
  prepare(txn(1), put("a", "1"));
  commit_all();
  force(2, txn(1), true);
  commit_all();
  heard();
  forget(3, txn(1));
  EXPECT_THAT(refusal(), HasSubstr("its outcome is still to be held against what was forced"));
  finish(txn(1), false);
  commit_all();
  heard();
  forget(4, txn(1), "");
  EXPECT_THAT(refusal(), HasSubstr("needs a reason"));
  ASSERT_THAT(caretaker.sights({}), SizeIs(1));
  forget(5, txn(1));
  forget(6, txn(1));
  EXPECT_THAT(refusal(), HasSubstr("somebody else's decision"));
  commit_all();
  const auto told = reply();
  ASSERT_TRUE(told.answer);
  EXPECT_EQ(std::get<TxnAnswer>(*told.answer).state, TxnState::aborted);
  EXPECT_THAT(caretaker.sights({}), IsEmpty());
  forget(7, txn(1));
  EXPECT_THAT(refusal(), HasSubstr("nothing was forced on it here"));
}

TEST_F(OverrideTest, WhatTheLogRefusesWasNotForgotten) {
  prepare(txn(1), put("a", "1"));
  commit_all();
  force(1, txn(1), true);
  commit_all();
  finish(txn(1), true);
  commit_all();
  heard();
  forget(2, txn(1));
  caretaker.refused(ForgetOverride{txn(1), "repaired by hand"}, Error{ErrorCode::busy, "the log is full", {}});
  EXPECT_EQ(refusal(), "the log is full");
  EXPECT_THAT(caretaker.sights({}), SizeIs(1));
}

TEST_F(OverrideTest, AResigningLeaderTellsWhatItDoesNotKnow) {
  prepare(txn(1), put("a", "1"));
  commit_all();
  heard();
  force(1, txn(1), false);
  caretaker.resign();
  const auto told = reply();
  ASSERT_FALSE(told.answer);
  EXPECT_EQ(told.answer.error().code, ErrorCode::unknown_outcome);
}

}  // namespace
}  // namespace assent::testing
