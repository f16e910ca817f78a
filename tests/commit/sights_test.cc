// What drivers see of a transaction that is not over, for operators.
#include <gmock/gmock.h>

#include "caretaker_fixture.h"
#include "conductor_fixture.h"

namespace assent::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ConductorSights : public ConductorFixture {
 protected:
  std::vector<Sight> see(const TxnId& id) const { return conductor.sights({id, ClusterMillis(start_millis + 500)}); }
};

TEST_F(ConductorSights, FromTheVotesToTheFinish) {
  EXPECT_THAT(see(txn(1)), IsEmpty());
  execute(1, one());
  take();
  vote(shard_1, txn(1), attempt());
  ASSERT_THAT(see(txn(1)), SizeIs(1));
  Sight sight = see(txn(1)).front();
  EXPECT_THAT(sight.participants, ElementsAre(shard_1, shard_2));
  EXPECT_EQ(sight.stage, Stage::collecting);
  EXPECT_THAT(sight.missing, ElementsAre(shard_2));
  EXPECT_EQ(sight.millis, 500U);
  EXPECT_EQ(sight.left_millis, options().timeout_ticks * 10);
  vote(shard_2, txn(1), attempt());
  commit_all();
  finished(shard_1, txn(1), attempt(), true);
  EXPECT_THAT(see(txn(2)), IsEmpty());
  ASSERT_THAT(conductor.sights({}), SizeIs(1));
  sight = see(txn(1)).front();
  EXPECT_EQ(sight.stage, Stage::finishing);
  EXPECT_TRUE(sight.commit);
  EXPECT_THAT(sight.missing, ElementsAre(shard_2));
}

class CaretakerSights : public CaretakerFixture {
 protected:
  std::vector<Sight> see(const TxnId& id) const { return caretaker.sights({id, ClusterMillis(start_millis + 500)}); }
};

TEST_F(CaretakerSights, AYesIsInDoubtAndBlocksWhoWaitsForItsLocks) {
  prepare(txn(2), put("a", "1"));
  ASSERT_THAT(see(txn(2)), SizeIs(1));
  EXPECT_EQ(see(txn(2)).front().stage, Stage::logging);
  commit_all();
  prepare(txn(1), put("a", "2"));  // older: it waits
  query(7, {KvGet{"a"}});
  pass_barriers();
  ASSERT_THAT(see(txn(2)), SizeIs(1));
  Sight sight = see(txn(2)).front();
  EXPECT_EQ(sight.stage, Stage::in_doubt);
  EXPECT_EQ(sight.coordinator, coordinator_group);
  EXPECT_THAT(sight.missing, ElementsAre(coordinator_group));
  EXPECT_THAT(sight.blocks, ElementsAre(txn(1)));
  EXPECT_EQ(sight.queries_blocked, 1U);
  EXPECT_THAT(sight.contested_keys, ElementsAre("a"));
  EXPECT_THAT(sight.wanted_keys, IsEmpty());
  EXPECT_EQ(sight.locks, 1U);
  EXPECT_EQ(sight.millis, 500U);
  ASSERT_THAT(see(txn(1)), SizeIs(1));
  sight = see(txn(1)).front();
  EXPECT_EQ(sight.stage, Stage::waiting);
  EXPECT_THAT(sight.waits_for, ElementsAre(txn(2)));
  EXPECT_THAT(sight.wanted_keys, ElementsAre("a"));
  EXPECT_EQ(sight.left_millis, options().prepare_timeout_ticks * 10);
  const std::vector<Sight> all = caretaker.sights({});
  ASSERT_THAT(all, SizeIs(2)) << "who is in doubt, then who waits";
  EXPECT_EQ(all.front().txn, txn(2));
  EXPECT_EQ(all.back().stage, Stage::waiting);
  EXPECT_THAT(caretaker.sights({.txn = {}, .now = {}, .most = 1}), SizeIs(1));
  finish(txn(2), true);
  commit();
  EXPECT_THAT(see(txn(2)), IsEmpty());
}

// Some of the keys, and each of them short: what people gave may be long and hold anything.
TEST_F(CaretakerSights, ItNamesSomeKeysAndCutsThem) {
  Work many;
  for (int i = 0; i < 20; ++i) many.push_back(KvPut{"key" + std::to_string(10 + i), "1"});
  many.push_back(KvPut{std::string("\n\xFF<b>") + std::string(200, 'k'), "1"});
  prepare(txn(2), many);
  commit_all();
  std::reverse(many.begin(), many.end());
  prepare(txn(1), many);
  prepare(txn(0), {many.front()});
  const Sight holder = see(txn(2)).front();
  EXPECT_THAT(holder.contested_keys, SizeIs(sight_keys_max));
  const Sight waiter = see(txn(0)).front();
  ASSERT_THAT(waiter.wanted_keys, SizeIs(1));
  EXPECT_EQ(waiter.wanted_keys[0].substr(0, 12), "\\x0a\\xff<b>k");
  EXPECT_EQ(waiter.wanted_keys[0].size(), sight_key_bytes_max);
  EXPECT_THAT(waiter.wanted_keys[0], ::testing::EndsWith("k..."));
}

TEST_F(CaretakerSights, WhereTheVotesDecideItSaysWhoseVoteItAsksFor) {
  caretaker.receive(Envelope{
      coordinator_group, shard_1,
      Prepare{txn(1), attempt(), coordinator_group, {shard_1, shard_2}, 5, {}, put("a", "1"), Protocol::paxos_commit}});
  commit_all();
  EXPECT_EQ(see(txn(1)).front().left_millis, options().resolve_ticks * 10);
  caretaker.receive(Envelope{coordinator_group, shard_1, Attended{txn(1), false}});
  const Sight sight = see(txn(1)).front();
  EXPECT_EQ(sight.stage, Stage::resolving);
  EXPECT_THAT(sight.missing, ElementsAre(shard_2));
}

}  // namespace
}  // namespace assent::testing
