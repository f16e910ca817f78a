// What interactive transactions and reads of several shards ask of one shard: rehearsals, expected answers, validation.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "caretaker_fixture.h"
#include "participant/change_index.h"

namespace assent {
namespace {

using testing::CaretakerFixture;
using testing::error_to;
using testing::put;
using testing::txn;

class CaretakerReadTest : public CaretakerFixture {
 protected:
  void open(const std::string& key, const std::string& value) {
    execute(1, txn(++ids), put(key, value));
    commit_all();
    heard();
  }
  std::optional<QueryAnswer> ask_shard(Query query) {
    caretaker.request(ClientRequest{RequestId(++requests), shard_1, std::move(query)});
    pass_barriers();
    return answer();
  }
  std::optional<QueryAnswer> answer() {
    replies = heard().reply;
    const QueryAnswer* rows = rows_for(replies, requests);
    return rows == nullptr ? std::nullopt : std::optional(*rows);
  }
  std::optional<QueryAnswer> rehearse(Work work) {
    Query query{std::move(work)};
    query.rehearse = true;
    return ask_shard(std::move(query));
  }
  bool changed(Work work, Index since) {
    Query query{std::move(work)};
    query.unchanged_since = since;
    const auto answered = ask_shard(std::move(query));
    EXPECT_TRUE(answered);
    if (answered) {
      EXPECT_TRUE(answered->result.empty());
    }
    return !answered || answered->changed;
  }
  static std::string value_in(const OperationResult& result) {
    return result.rows.empty() ? "nothing" : std::get<SqlBlob>(result.rows[0][0]).bytes;
  }
  static constexpr GroupId shard_1 = testing::shard_1;
  std::uint64_t ids = 0;
  std::uint64_t requests = 100;
  std::vector<ClientReply> replies;
};

// ---- rehearsals ----

TEST_F(CaretakerReadTest, ARehearsalShowsItsOwnWritesAndLeavesNone) {
  open("a", "1");
  const auto found = rehearse({KvPut{"a", "2"}, KvAdd{"b", 5, {}, {}, true}, KvGet{"a"}, KvGet{"c"}});
  ASSERT_TRUE(found);
  ASSERT_EQ(found->result.size(), 4U);
  EXPECT_EQ(value_in(found->result[2]), "2");
  ASSERT_EQ(found->digests.size(), 4U);
  EXPECT_EQ(found->digests[2], digest(found->result[2]));
  EXPECT_EQ(store.get("a"), "1");
  EXPECT_EQ(store.get("b"), std::nullopt);
  EXPECT_EQ(in_log(), 0U);
}

TEST_F(CaretakerReadTest, AnOrdinaryQueryMayNotWrite) {
  EXPECT_FALSE(ask_shard(Query{{KvPut{"a", "2"}}}));
  ASSERT_NE(error_to(replies, requests), nullptr);
}

TEST_F(CaretakerReadTest, ARehearsalWaitsForThoseThatWriteWhatItTouches) {
  open("a", "1");
  prepare(txn(50), put("a", "9"));
  commit_all();
  EXPECT_FALSE(rehearse({KvGet{"a"}}));
  finish(txn(50), true);
  commit_all();
  const auto found = answer();
  ASSERT_TRUE(found);
  EXPECT_EQ(value_in(found->result[0]), "9");
}

TEST_F(CaretakerReadTest, ARehearsalIsNotInTheWayOfReadersAndTheyAreNotInIts) {
  open("a", "1");
  prepare(txn(50), {KvGet{"a"}});
  commit_all();
  EXPECT_TRUE(rehearse({KvPut{"a", "2"}, KvGet{"a"}}));
}

TEST_F(CaretakerReadTest, ARefusalOfARehearsalWaitsForThoseWhoMayAllowIt) {
  prepare(txn(50), put("a", "1"));
  commit_all();
  EXPECT_FALSE(rehearse({KvExpect{"a", "1"}}));
  EXPECT_EQ(error_to(replies, requests), nullptr) << "told already, for all the shard knows";
  finish(txn(50), true);
  commit_all();
  EXPECT_TRUE(answer());
  prepare(txn(51), put("b", "1"));
  commit_all();
  EXPECT_FALSE(rehearse({KvExpect{"c", "1"}}));
  finish(txn(51), false);
  commit_all();
  EXPECT_FALSE(answer());
  ASSERT_NE(error_to(replies, requests), nullptr);
  EXPECT_EQ(error_to(replies, requests)->code, ErrorCode::refused);
}

// ---- what was read must be read again ----

TEST_F(CaretakerReadTest, WorkWhoseReadsAnswerOtherwiseIsAConflict) {
  open("a", "1");
  const auto found = rehearse({KvGet{"a"}});
  ASSERT_TRUE(found);
  const Work work = {KvGet{"a", found->digests[0]}, KvPut{"b", "seen"}};
  prepare(txn(50), work);
  commit_all();
  EXPECT_TRUE(votes().at(0).yes);
  finish(txn(50), true);
  commit_all();
  open("a", "2");
  prepare(txn(60), work);
  commit_all();
  const Vote no = votes().at(0);
  EXPECT_FALSE(no.yes);
  EXPECT_EQ(no.refusal.reason, AbortReason::conflict);
}

TEST_F(CaretakerReadTest, AChangedReadIsAConflictEvenWhereTheWriteBehindItCouldNotBe) {
  const auto found = rehearse({KvGet{"a"}});
  open("a", "1");
  prepare(txn(50), {KvGet{"a", found->digests[0]}, KvExpect{"a", std::nullopt}});
  commit_all();
  EXPECT_EQ(votes().at(0).refusal.reason, AbortReason::conflict) << "not the constraint that the change broke";
}

TEST_F(CaretakerReadTest, WhatIsExpectedIsPartOfTheContent) {
  Execute one = testing::single(txn(1), shard_1, {KvGet{"a"}});
  const std::uint64_t print = fingerprint(one);
  one.branches[0].work = {KvGet{"a", 7}};
  EXPECT_NE(fingerprint(one), print);
}

// ---- validation ----

TEST_F(CaretakerReadTest, NothingHasChanged) {
  open("a", "1");
  const auto found = ask_shard(Query{{KvGet{"a"}, KvGet{"c"}}});
  open("b", "2");
  EXPECT_FALSE(changed({KvGet{"a"}, KvGet{"c"}}, found->at)) << "others may come and go";
}

TEST_F(CaretakerReadTest, AWriteInBetweenIsAChangeEvenIfItLeavesTheSameValue) {
  open("a", "1");
  const auto found = ask_shard(Query{{KvGet{"a"}}});
  open("a", "2");
  open("a", "1");
  EXPECT_TRUE(changed({KvGet{"a"}}, found->at));
}

TEST_F(CaretakerReadTest, AnAnswerThatIsNotTheExpectedOneIsAChange) {
  open("a", "1");
  const auto found = rehearse({KvGet{"a"}});
  open("a", "2");
  EXPECT_TRUE(changed({KvGet{"a", found->digests[0]}}, Index(index)));
}

TEST_F(CaretakerReadTest, AKeyThatAppearsIsAChange) {
  open("a", "1");
  const auto found = ask_shard(Query{{KvGet{"c"}}});
  open("c", "1");
  EXPECT_TRUE(changed({KvGet{"c"}}, found->at));
}

TEST_F(CaretakerReadTest, APreparedWriterMayBeToldAlready) {
  open("a", "1");
  const auto found = ask_shard(Query{{KvGet{"a"}}});
  prepare(txn(50), put("a", "2"));
  commit_all();
  EXPECT_TRUE(changed({KvGet{"a"}}, found->at));
  finish(txn(50), false);
  commit_all();
  EXPECT_FALSE(changed({KvGet{"a"}}, found->at)) << "it changed nothing in the end";
  prepare(txn(51), put("a", "2"));
  commit_all();
  finish(txn(51), true);
  commit_all();
  EXPECT_TRUE(changed({KvGet{"a"}}, found->at));
}

TEST_F(CaretakerReadTest, AnAddInEscrowIsAWrite) {
  open("n", "1");
  const auto found = ask_shard(Query{{KvGet{"n"}}});
  prepare(txn(50), {KvAdd{"n", 1, {}, {}, true}});
  commit_all();
  EXPECT_TRUE(changed({KvGet{"n"}}, found->at));
  finish(txn(50), true);
  commit_all();
  EXPECT_TRUE(changed({KvGet{"n"}}, found->at));
}

TEST_F(CaretakerReadTest, ANewLeaderKnowsNothingOfEarlierChanges) {
  open("a", "1");
  const auto found = ask_shard(Query{{KvGet{"a"}}});
  open("b", "1");
  resign_and_lead();
  commit_all();
  EXPECT_TRUE(changed({KvGet{"a"}}, found->at));
  const auto again = ask_shard(Query{{KvGet{"a"}}});
  EXPECT_FALSE(changed({KvGet{"a"}}, again->at));
}

// ---- the index of changes ----

TEST(ChangeIndex, NeverSaysUnchangedWhenATwinKnowsBetter) {
  Rng rng(8);
  ChangeIndex index(40);
  index.begin(Index(0));
  std::vector<std::pair<std::vector<LockRequest>, Index>> history;
  int unchanged = 0;
  const auto draw = [&](bool writes) {
    std::vector<LockRequest> locks;
    for (std::uint64_t n = rng.between(1, 3); n > 0; --n) {
      const bool table = rng.chance(0.4);
      const std::string key = fmt::format("{}{}", table ? "t" : "r", rng.below(table ? 3 : 12));
      const LockMode mode =
          writes ? (table ? LockMode::intention_exclusive : (rng.chance(0.5) ? LockMode::exclusive : LockMode::escrow))
                 : (table && rng.chance(0.5) ? LockMode::intention_shared : LockMode::shared);
      locks.push_back({key, mode});
    }
    return locks;
  };
  for (std::uint64_t at = 1; at < 3'000; ++at) {
    const std::vector<LockRequest> written = draw(true);
    index.note(written, Index(at));
    history.emplace_back(written, Index(at));
    const std::vector<LockRequest> read = draw(false);
    const Index since(at - std::min(at, rng.below(6)));
    bool truly_changed = false;
    for (const auto& [locks, when] : history) {
      if (when <= since) continue;
      LockTable table;
      table.acquire(txn(1), locks);
      truly_changed = truly_changed || !table.free(read, txn(2));
    }
    if (!index.unchanged_since(read, since)) continue;
    ++unchanged;
    ASSERT_FALSE(truly_changed) << at;
  }
  EXPECT_GT(unchanged, 500) << "and it must say so often enough to be of use";
}

}  // namespace
}  // namespace assent
