// What an operator sees and may do when a shard is away for good after another one voted yes: real nodes.
#include "tests/integration/operator_fixture.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class InDoubt : public OperatorTest {
 protected:
  // s2 is killed and s1 votes yes on a transaction of both; its client hears that the outcome is unknown.
  void leave_in_doubt() {
    cluster.kill("m1");
    EXPECT_EQ(ctl(with({"--timeout", "3s"}, with(transfer(id), {"--protocol", "paxos-commit"}))).status, 7);
    EXPECT_TRUE(eventually(20s, [&] {
      return ctl({"txn", "explain", id}).output.find("IN_DOUBT") != std::string::npos;
    }));
  }

  const std::string id = client::new_txn_id().to_hex();
};

TEST_F(InDoubt, explain_and_in_doubt_name_the_shard_that_is_away) {
  EXPECT_EQ(json({"txn", "in-doubt"}, 0)["inDoubt"].size(), 0U);
  leave_in_doubt();
  const auto list = json({"txn", "in-doubt"}, 5);
  ASSERT_EQ(list["inDoubt"].size(), 1U);
  EXPECT_EQ(list["inDoubt"][0]["txnId"], id);
  EXPECT_EQ(list["inDoubt"][0]["protocol"], "paxos-commit");
  EXPECT_THAT(list["inDoubt"][0]["why"].get<std::string>(), HasSubstr("s2"));
  EXPECT_TRUE(list["unreachable"].contains("s2"));
  const auto one = json({"txn", "explain", id}, 7);
  EXPECT_EQ(one["state"], "IN_DOUBT");
  EXPECT_THAT(one["next"].get<std::string>(), HasSubstr("bring back a majority of s2"));
}

TEST_F(InDoubt, resolve_refuses_what_is_not_proven_and_ends_it_once_it_is) {
  EXPECT_EQ(ctl({"txn", "resolve", id}).status, 4) << "nobody knows it yet";
  leave_in_doubt();
  const auto refused = json({"--timeout", "3s", "txn", "resolve", id, "--wait", "1s"}, 8);
  EXPECT_THAT(refused["refused"].get<std::string>(), HasSubstr("the vote of s2 is not known"));
  EXPECT_EQ(json({"txn", "in-doubt"}, 5)["inDoubt"].size(), 1U) << "refused means untouched";
  cluster.start("m1");
  ASSERT_TRUE(cluster.wait_for_leaders());
  EXPECT_EQ(json({"txn", "wait", id, "--for", "30s"}, 6)["state"], "ABORTED") << "s2 never voted";
  EXPECT_THAT(json({"txn", "resolve", id}, 8)["refused"].get<std::string>(), HasSubstr("it is over: it aborted"));
  EXPECT_TRUE(eventually(10s, [&] { return ctl({"txn", "in-doubt"}).status == 0; }));
  EXPECT_EQ(json({"txn", "in-doubt"}, 0)["inDoubt"].size(), 0U);
}

// s2 never voted, so what comes back with it is an abort, and the commit that was forced at s1 is not.
TEST_F(InDoubt, P25_what_was_forced_frees_the_locks_and_is_told_when_it_was_wrong) {
  leave_in_doubt();
  const auto forced = json({"--timeout", "3s", "txn", "resolve", id, "--wait", "1s", "--heuristic", "commit",
                            "--reason", "s2 is lost", "--yes"},
                           0);
  EXPECT_EQ(forced["state"], "HEURISTIC");
  EXPECT_THAT(ctl({"sql", "--shard", "s1", "SELECT balance FROM accounts WHERE id = 'a'"}).output, HasSubstr("99"));
  EXPECT_EQ(json({"txn", "in-doubt"}, 5)["inDoubt"][0]["state"], "HEURISTIC");
  const auto early = json({"txn", "forget", id, "--reason", "dealt with", "--yes"}, 8);
  EXPECT_THAT(early["refused"].get<std::string>(), HasSubstr("it has not ended at s1"));
  cluster.start("m1");
  ASSERT_TRUE(cluster.wait_for_leaders());
  EXPECT_EQ(json({"txn", "wait", id, "--for", "30s"}, 6)["state"], "ABORTED");
  EXPECT_TRUE(eventually(30s, [&] { return json({"txn", "in-doubt"}, 0)["inDoubt"][0]["state"] == "MIXED"; }));
  EXPECT_THAT(ctl({"txn", "explain", id}).output, HasSubstr("repair the data by hand"));
  EXPECT_EQ(json({"txn", "forget", id, "--reason", "repaired", "--yes"}, 0)["forgotten"][0], "s1");
  EXPECT_EQ(json({"txn", "in-doubt"}, 0)["inDoubt"].size(), 0U);
  EXPECT_THAT(ctl({"txn", "forget", id, "--reason", "repaired", "--yes"}).output, HasSubstr("nothing that was forced"));
  for (const auto& group : json({"cluster", "status"}, 0)["groups"]) {
    if (group["name"] != "s1") continue;
    EXPECT_EQ(group["replicas"][0]["heuristicCommits"], "1");
    EXPECT_EQ(group["replicas"][0]["heuristicsForgotten"], "1");
  }
}

// What the ring says of keys is nothing to a transaction that named its shards: it stays prepared, keeps its locks, and
// ends as its votes say.
TEST_F(InDoubt, M10_a_shard_leaves_the_ring_with_a_transaction_in_doubt_on_it) {
  leave_in_doubt();
  EXPECT_EQ(ctl({"shard", "leave-ring", "s1"}).status, 0);
  for (const char* const key : {"a", "b", "c", "d", "e", "f"}) EXPECT_EQ(ctl({"route", key}).output, "s2\n") << key;
  EXPECT_EQ(json({"txn", "in-doubt"}, 5)["inDoubt"][0]["txnId"], id);
  EXPECT_NE(ctl({"--timeout", "2s", "sql", "--shard", "s1", "UPDATE accounts SET balance = 1 WHERE id = 'a'"}).status,
            0)
      << "the row is held";
  cluster.kill("n1");  // and who prepared it forgets all but its log
  cluster.start("n1");
  cluster.start("m1");
  ASSERT_TRUE(cluster.wait_for_leaders());
  EXPECT_EQ(json({"txn", "wait", id, "--for", "30s"}, 6)["state"], "ABORTED") << "s2 never voted";
  EXPECT_TRUE(eventually(30s, [&] { return ctl({"txn", "in-doubt"}).status == 0; }));
  EXPECT_EQ(ctl({"sql", "--shard", "s1", "UPDATE accounts SET balance = 1 WHERE id = 'a'"}).status, 0);
  EXPECT_EQ(ctl({"shard", "join-ring", "s1"}).status, 0);
}

class Running : public OperatorTest {
 protected:
  Running() : OperatorTest("txn:\n  timeout: 60s\n  prepare_timeout: 30s\n") {}
  const std::string id = client::new_txn_id().to_hex();
};

TEST_F(Running, resolve_of_a_running_transaction_is_refused) {
  cluster.kill("m1");
  Process client(with({program("assentctl"), "--endpoints", cluster.endpoint_list(), "--timeout", "60s"},
                      with(transfer(id), {"--protocol", "two-phase"})),
                 cluster.config_of("n1").parent_path() / "client.log");
  ASSERT_TRUE(eventually(30s, [&] { return ctl({"txn", "get", id}).status == 7; }));
  EXPECT_THAT(json({"txn", "resolve", id}, 8)["refused"].get<std::string>(), HasSubstr("c0 attends to it"));
  cluster.start("m1");
  EXPECT_EQ(client.wait(60s), 0) << "it ends by itself";
}

}  // namespace
}  // namespace assent::testing
