// Interactive transactions and reads of several shards, against shards that really keep keys and values (MemoryStore)
// behind nodes that answer as told.
#include <gmock/gmock.h>

#include <atomic>
#include <stdexcept>

#include "client/client.h"
#include "participant/memory_store.h"
#include "tests/client/fake_cluster.h"
#include "txn_proto/api_codec.h"
#include "txn_proto/api_error.h"

namespace assent::client {
namespace {

using namespace std::chrono_literals;
using test::FakeCluster;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class InteractiveTest : public ::testing::Test {
 protected:
  InteractiveTest() {
    for (const char* name : {"s1", "s2"}) EXPECT_TRUE(groups.add(name, GroupKind::shard));
    EXPECT_TRUE(groups.add("c0", GroupKind::coordinator));
    cluster.on_query = [this](const auto& request, auto& response) { return query(request, response); };
    cluster.on_execute = [this](const auto& request, auto& response) { return execute(request, response); };
  }
  Client connect() {
    Options options;
    options.endpoints = cluster.endpoints();
    options.timeout = 20s;  // far beyond what any test needs
    auto client = Client::connect(std::move(options));
    EXPECT_TRUE(client);
    return std::move(*client);
  }
  void set(const char* shard, const std::string& key, const std::string& value) {
    auto& store = stores[group_id(shard)];
    ASSERT_TRUE(store.install(store.evaluate({KvPut{key, value}})->effects.change));
    changed_at[group_id(shard)] = ++index;
  }
  std::string get(const char* shard, const std::string& key) {
    return stores[group_id(shard)].get(key).value_or("nothing");
  }

  grpc::Status query(const v1::QueryRequest& request, v1::QueryResponse& response) {
    if (before_query) before_query(request);
    const auto call = from_api(request, groups);
    if (!call) return to_status({call.error().code, {}, call.error().message, {}, 0});
    MemoryStore& store = stores[call->shard];
    const auto found = call->body.rehearse ? store.evaluate(call->body.work) : store.query(call->body.work);
    if (!found) return to_status({assent::ErrorCode::refused, {}, found.error().message, {}, 0});
    QueryAnswer answer{.result = found->result, .at = Index(index)};
    for (const OperationResult& result : answer.result) answer.digests.push_back(digest(result));
    if (call->body.unchanged_since) {
      answer.changed = changed_at[call->shard] > call->body.unchanged_since->value;
      answer.result.clear();
    }
    response = to_api(answer);
    return grpc::Status::OK;
  }
  grpc::Status execute(const v1::ExecuteRequest& request, v1::Transaction& response) {
    if (before_execute) before_execute();
    const auto execute = from_api(request, groups);
    EXPECT_TRUE(execute);
    std::vector<Bytes> changes;
    for (const Branch& branch : execute->branches) {
      const auto found = stores[branch.shard].evaluate(branch.work);
      if (!found) {
        return test::abort_with(response, request.txn_id(), std::string(to_string(found.error().reason)));
      }
      changes.push_back(found->effects.change);
    }
    ++index;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      EXPECT_TRUE(stores[execute->branches[i].shard].install(changes[i]));
      if (!changes[i].empty()) changed_at[execute->branches[i].shard] = index;
    }
    return test::answer(response, request.txn_id(), v1::COMMITTED);
  }
  using Branch = assent::Branch;

  FakeCluster cluster;
  GroupDirectory groups;
  std::map<GroupId, MemoryStore> stores;
  std::map<GroupId, std::uint64_t> changed_at;
  std::uint64_t index = 1;
  std::function<void(const v1::QueryRequest&)> before_query;  // on the node's thread, with nothing else under way
  std::function<void()> before_execute;
};

TEST_F(InteractiveTest, WhatItReadsDecidesWhatItWrites) {
  set("s1", "a", "7");
  Client client = connect();
  const auto outcome = client.run({}, [](Txn& t) {
    const auto a = t.get("s1", "a");
    ASSERT_TRUE(a);
    EXPECT_EQ(*a, "7");
    EXPECT_EQ(*t.get("s2", "b"), std::nullopt);
    t.put("s2", "b", **a + "!");
  });
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->committed());
  EXPECT_EQ(get("s2", "b"), "7!");
  EXPECT_THAT(cluster.executed(), SizeIs(1));
}

TEST_F(InteractiveTest, ItSeesItsOwnWritesAndNobodyElseDoesBeforeTheEnd) {
  set("s1", "n", "5");
  Client client = connect();
  const auto outcome = client.run({}, [this](Txn& t) {
    t.add("s1", KvAdd{"n", 2, std::nullopt, std::nullopt});
    EXPECT_EQ(**t.get("s1", "n"), "7");
    t.erase("s1", "n");
    EXPECT_EQ(*t.get("s1", "n"), std::nullopt);
    t.put("s1", "n", "9");
    EXPECT_EQ(**t.get("s1", "n"), "9");
    EXPECT_EQ(get("s1", "n"), "5");
  });
  ASSERT_TRUE(outcome && outcome->committed());
  EXPECT_EQ(get("s1", "n"), "9");
}

TEST_F(InteractiveTest, AChangeInBetweenRunsItAgainWithTheAgeOfTheFirst) {
  set("s1", "n", "1");
  Client client = connect();
  int runs = 0;
  before_execute = [&] {
    if (cluster.executed().size() <= 3) set("s1", "n", std::to_string(10 * runs));
  };
  const auto outcome = client.run({}, [&](Txn& t) {
    ++runs;
    const auto n = t.get("s1", "n");
    t.put("s2", "seen", **n);
  });
  ASSERT_TRUE(outcome && outcome->committed());
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(get("s2", "seen"), "30");
  EXPECT_THAT(outcome->earlier, SizeIs(3));
  const auto executed = cluster.executed();
  ASSERT_THAT(executed, SizeIs(4));
  for (const auto& request : executed) EXPECT_EQ(request.first_txn_id(), executed[0].txn_id());
  EXPECT_NE(executed[1].txn_id(), executed[0].txn_id());
}

TEST_F(InteractiveTest, TheAttemptsAreBounded) {
  set("s1", "n", "1");
  Client client = connect();
  before_execute = [&] { set("s1", "n", std::to_string(index)); };
  RunOptions options;
  options.retry.attempts_max = 3;
  const auto outcome = client.run(options, [&](Txn& t) { t.put("s2", "seen", **t.get("s1", "n")); });
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->aborted());
  EXPECT_EQ(outcome->abort.reason, AbortReason::conflict);
  EXPECT_THAT(cluster.executed(), SizeIs(3));
  EXPECT_EQ(get("s2", "seen"), "nothing");
}

TEST_F(InteractiveTest, WhatItThrowsIsThrownOnAndNothingHappens) {
  Client client = connect();
  EXPECT_THROW(
      {
        const auto never = client.run({}, [](Txn& t) {
          t.put("s1", "a", "1");
          EXPECT_TRUE(t.get("s1", "a"));
          throw std::runtime_error("no");
        });
        (void)never;
      },
      std::runtime_error);
  EXPECT_THAT(cluster.executed(), SizeIs(0));
  EXPECT_EQ(get("s1", "a"), "nothing");
  EXPECT_TRUE(client.run({}, [](Txn& t) { t.put("s1", "a", "2"); })) << "the client is as good as before";
  EXPECT_EQ(get("s1", "a"), "2");
}

TEST_F(InteractiveTest, GivingUpIsAnErrorAndNothingHappens) {
  Client client = connect();
  const auto outcome = client.run({}, [](Txn& t) {
    t.put("s1", "a", "1");
    t.abort("not today");
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::refused);
  EXPECT_THAT(outcome.error().message, HasSubstr("not today"));
  EXPECT_THAT(cluster.executed(), SizeIs(0));
}

// What it read at two moments never held at one.
TEST_F(InteractiveTest, GivingUpOverWhatNeverWasRunsItAgain) {
  set("s1", "a", "0");
  set("s2", "b", "1");
  Client client = connect();
  int runs = 0;
  const auto outcome = client.run({}, [&](Txn& t) {
    const bool here = **t.get("s1", "a") == "1";
    if (++runs == 1) {  // it moves from b to a
      set("s1", "a", "1");
      set("s2", "b", "0");
    }
    const bool there = **t.get("s2", "b") == "1";
    if (!here && !there) return t.abort("it is nowhere");
    t.put("s1", "found", here ? "a" : "b");
  });
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->committed());
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(get("s1", "found"), "a");
}

TEST_F(InteractiveTest, ARefusalOverWhatHasChangedRunsItAgain) {
  set("s1", "a", "1");
  Client client = connect();
  int runs = 0;
  const auto outcome = client.run({}, [&](Txn& t) {
    const std::string a = **t.get("s1", "a");
    if (++runs == 1) set("s1", "a", "2");
    t.write("s1", KvExpect{"a", a});
    const auto b = t.get("s1", "b");
    EXPECT_EQ(b.has_value(), runs == 2);
    t.put("s1", "b", a);
  });
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->committed());
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(get("s1", "b"), "2");
}

TEST_F(InteractiveTest, ARefusalOverWhatStillHoldsIsTheLastWord) {
  set("s1", "a", "1");
  Client client = connect();
  int runs = 0;
  const auto outcome = client.run({}, [&](Txn& t) {
    ++runs;
    EXPECT_TRUE(t.get("s1", "a"));
    t.write("s1", KvExpect{"a", "7"});
    EXPECT_FALSE(t.get("s1", "b"));
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::refused);
  EXPECT_EQ(runs, 1);
}

TEST_F(InteractiveTest, AReadThatFailsEndsItEvenIfTheFunctionDoesNotLook) {
  Client client = connect();
  const auto outcome = client.run({}, [](Txn& t) {
    EXPECT_FALSE(t.query("s1", sql("SELECT 1")));  // these shards run no SQL
    EXPECT_FALSE(t.get("s1", "a"));
    t.put("s1", "a", "1");
  });
  EXPECT_FALSE(outcome);
  EXPECT_THAT(cluster.executed(), SizeIs(0));
}

TEST_F(InteractiveTest, OneThatOnlyReadsSendsNoTransaction) {
  set("s1", "a", "1");
  set("s2", "b", "2");
  Client client = connect();
  int runs = 0;
  const auto outcome = client.run({}, [&](Txn& t) {
    const auto a = t.get("s1", "a");
    if (++runs == 1) set("s1", "a", "3");
    EXPECT_EQ(**t.get("s2", "b"), "2");
    if (runs == 2) {
      EXPECT_EQ(**a, "3");
    }
  });
  ASSERT_TRUE(outcome && outcome->committed());
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(cluster.executed(), SizeIs(0));
  EXPECT_TRUE(client.run({}, [](Txn&) {})->committed()) << "nothing is asked, nothing is to be done";
}

TEST_F(InteractiveTest, AnotherLeaderInTheMiddleIsNotNoticed) {
  set("s1", "a", "1");
  cluster.lead("s1", "n1");
  Client client = connect();
  const auto outcome = client.run({}, [&](Txn& t) {
    EXPECT_EQ(**t.get("s1", "a"), "1");
    cluster.lead("s1", "n3");
    EXPECT_EQ(**t.get("s1", "a"), "1");
    t.put("s1", "a", "2");
  });
  ASSERT_TRUE(outcome && outcome->committed());
  EXPECT_EQ(get("s1", "a"), "2");
}

// ---- reads of several shards ----

std::vector<assent::client::Branch> both() { return {{"s1", {KvGet{"a"}}}, {"s2", {KvGet{"b"}}}}; }

std::string value_of(const ReadResult& read, const char* shard) {
  return std::get<SqlBlob>(read.of(shard).at(0).rows.at(0).at(0)).bytes;
}

TEST_F(InteractiveTest, SeveralShardsAreReadAtOneInstantWithoutATransaction) {
  set("s1", "a", "1");
  set("s2", "b", "2");
  Client client = connect();
  const auto read = client.read(both());
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(value_of(*read, "s1"), "1");
  EXPECT_EQ(value_of(*read, "s2"), "2");
  EXPECT_EQ(read->rounds, 1U);
  EXPECT_FALSE(read->locked);
  EXPECT_EQ(cluster.queried(), 4U);
  EXPECT_THAT(cluster.executed(), SizeIs(0));
}

TEST_F(InteractiveTest, AReadThatWasDisturbedIsMadeAgain) {
  set("s1", "a", "1");
  set("s2", "b", "1");
  Client client = connect();
  int queries = 0;
  before_query = [&](const v1::QueryRequest&) {
    if (++queries != 2) return;  // after the first shard was read, before the second
    set("s1", "a", "2");
    set("s2", "b", "2");
  };
  const auto read = client.read(both());
  ASSERT_TRUE(read);
  EXPECT_EQ(value_of(*read, "s1"), "2");
  EXPECT_EQ(value_of(*read, "s2"), "2");
  EXPECT_EQ(read->rounds, 2U);
}

TEST_F(InteractiveTest, AReadThatIsAlwaysDisturbedLocks) {
  set("s1", "a", "1");
  set("s2", "b", "1");
  Client client = connect();
  before_query = [&](const v1::QueryRequest& request) {
    if (request.has_unchanged_since()) set("s1", "a", "1");
  };
  cluster.on_execute = [](const v1::ExecuteRequest& request, v1::Transaction& response) {
    for (const auto& branch : request.branches()) {
      v1::BranchResult& out = *response.add_results();
      out.set_shard(branch.shard());
      out.add_results()->add_rows()->add_values()->set_blob("locked");
    }
    return test::answer(response, request.txn_id(), v1::COMMITTED);
  };
  const auto read = client.read(both());
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_TRUE(read->locked);
  EXPECT_EQ(value_of(*read, "s1"), "locked");
}

TEST_F(InteractiveTest, OneShardIsReadWithOneQuestion) {
  set("s1", "a", "1");
  Client client = connect();
  EXPECT_EQ(value_of(*client.read({{"s1", {KvGet{"a"}}}}), "s1"), "1");
  EXPECT_EQ(cluster.queried(), 1U);
  EXPECT_FALSE(client.read({}));
  EXPECT_FALSE(client.read({{"s1", {KvPut{"a", "1"}}}, {"s2", {KvGet{"b"}}}}, 2s)) << "it does not write";
}

}  // namespace
}  // namespace assent::client
