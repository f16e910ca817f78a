// The simulated database keeps what a database keeps: what was committed or prepared survives, and nothing else.
#include <gtest/gtest.h>

#include <vector>

#include "sim/services/database.h"

namespace assent::sim {
namespace {

class Around final : public DatabaseSurroundings {
 public:
  Mishap before_request(ClientNumber, std::string_view) override { return std::exchange(next, Mishap::none); }
  void client_died(ClientNumber client) override { dead.push_back(client); }
  void server_died() override { ++crashes; }
  bool lingers() override { return false; }
  void later(std::function<void()> act) override { waiting.push_back(std::move(act)); }
  ClusterMillis now() override { return ClusterMillis(7); }
  void committed(const Change& change) override { commits += change.effects.size(); }
  void prepared(const std::string&, const Change&) override {}
  void rolled_back(const std::string&, const Change&) override { ++rollbacks; }

  Mishap next = Mishap::none;
  std::vector<ClientNumber> dead;
  std::vector<std::function<void()>> waiting;
  unsigned crashes = 0;
  std::size_t commits = 0;
  unsigned rollbacks = 0;
};

class SimulatedDatabase : public ::testing::Test {
 protected:
  SessionNumber begin() {
    const SessionNumber session = database_.connect(1).value();
    EXPECT_TRUE(database_.begin(session));
    return session;
  }
  Result<void> commit(SessionNumber session) {
    return database_.request<void>(session, "COMMIT", [this, session] { return database_.commit(session); });
  }

  Around around_;
  DatabaseServer database_{std::string(32, 'a'), around_};
  const Effect effect_{Effect::Kind::did, {TxnId::make(ClusterMillis(1), 1, 1), "b"}};
};

TEST_F(SimulatedDatabase, ForgetsInACrashWhatIsNeitherCommittedNorPrepared) {
  const SessionNumber open = begin();
  ASSERT_TRUE(database_.add(open, effect_));
  ASSERT_TRUE(database_.add(open, "open", 1));
  const SessionNumber left = begin();
  ASSERT_TRUE(database_.add(left, "left", 1));
  ASSERT_TRUE(database_.add(left, effect_));
  ASSERT_TRUE(database_.prepare(left, "name"));
  database_.crash();
  EXPECT_EQ(around_.crashes, 1U);
  EXPECT_FALSE(database_.connect(1));
  database_.start();
  EXPECT_FALSE(commit(open)) << "its connection is gone";
  const SessionNumber after = begin();
  EXPECT_TRUE(database_.add(after, "open", 1)) << "the lock went with its transaction";
  EXPECT_EQ(database_.add(after, "left", 1).error().code, ErrorCode::busy) << "what is prepared keeps its locks";
  EXPECT_TRUE(database_.finish("name", true).value());
  EXPECT_EQ(around_.commits, 1U);
  EXPECT_TRUE(database_.add(after, "left", 1));
  EXPECT_FALSE(database_.finish("name", true).value());
}

TEST_F(SimulatedDatabase, DoesLateWhatNobodyWaitsForAnyMore) {
  const SessionNumber session = begin();
  ASSERT_TRUE(database_.add(session, effect_));
  around_.next = Mishap::late;
  EXPECT_EQ(commit(session).error().code, ErrorCode::io);
  EXPECT_EQ(around_.commits, 0U);
  ASSERT_EQ(around_.waiting.size(), 1U);
  around_.waiting.front()();
  EXPECT_EQ(around_.commits, 1U);
  EXPECT_EQ(database_.open(), 0U);
}

TEST_F(SimulatedDatabase, LosesARequestOrItsAnswer) {
  for (const Mishap mishap : {Mishap::unsent, Mishap::client_dies_before, Mishap::server_dies_before,
                              Mishap::unanswered, Mishap::client_dies_after, Mishap::server_dies_after}) {
    const bool done =
        mishap == Mishap::unanswered || mishap == Mishap::client_dies_after || mishap == Mishap::server_dies_after;
    around_.commits = 0;
    const SessionNumber session = begin();
    ASSERT_TRUE(database_.add(session, effect_));
    around_.next = mishap;
    EXPECT_FALSE(commit(session)) << to_string(mishap);
    database_.client_gone(1);
    EXPECT_EQ(around_.commits, done ? 1U : 0U) << to_string(mishap);
    EXPECT_EQ(database_.open(), 0U) << to_string(mishap);
    database_.start();
  }
}

TEST_F(SimulatedDatabase, TakesBackWhatAWorkDid) {
  const SessionNumber session = begin();
  ASSERT_TRUE(database_.savepoint(session));
  ASSERT_TRUE(database_.add(session, effect_));
  ASSERT_TRUE(database_.roll_back_to(session));
  ASSERT_TRUE(commit(session));
  EXPECT_EQ(around_.commits, 0U);
}

}  // namespace
}  // namespace assent::sim
