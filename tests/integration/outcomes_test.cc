// Asking real nodes what came of a transaction: get, wait and seal.
#include <algorithm>
#include <fstream>

#include "tests/integration/operator_fixture.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Outcomes : public OperatorTest {};

TEST_F(Outcomes, every_outcome_can_be_asked_waited_for_and_sealed) {
  for (const char* protocol : {"auto", "two-phase", "three-phase"}) {
    SCOPED_TRACE(protocol);
    const std::string committed = client::new_txn_id().to_hex();
    ASSERT_EQ(ctl(with(transfer(committed), {"--protocol", protocol})).status, 0);
    for (const char* verb : {"get", "wait", "seal"}) EXPECT_EQ(json({"txn", verb, committed}, 0)["state"], "COMMITTED");
    EXPECT_EQ(json({"txn", "seal", committed}, 0)["seal"], "had_committed");

    const std::string aborted = client::new_txn_id().to_hex();
    ASSERT_EQ(ctl(with(transfer(aborted, 1000), {"--protocol", protocol})).status, 6);
    for (const char* verb : {"get", "wait", "seal"}) EXPECT_EQ(json({"txn", verb, aborted}, 6)["state"], "ABORTED");
    EXPECT_EQ(json({"txn", "seal", aborted}, 6)["seal"], "had_aborted");

    const std::string nobodys = client::new_txn_id().to_hex();
    for (const char* verb : {"get", "wait"}) EXPECT_EQ(json({"txn", verb, nobodys}, 4)["state"], "UNKNOWN");
    EXPECT_EQ(json({"txn", "seal", nobodys}, 6)["seal"], "sealed");
    EXPECT_EQ(json(with(transfer(nobodys), {"--protocol", protocol}), 6)["abort"]["reason"], "sealed");
  }
  const std::string one_phase = client::new_txn_id().to_hex();
  ASSERT_EQ(ctl({"txn", "exec", "--id", one_phase, "--on", "s1", "DELETE FROM accounts WHERE id = 'b'"}).status, 0);
  for (const char* verb : {"get", "wait", "seal"}) EXPECT_EQ(json({"txn", verb, one_phase}, 0)["state"], "COMMITTED");
}

class PatientOutcomes : public OperatorTest {
 protected:
  PatientOutcomes() : OperatorTest("txn:\n  timeout: 20s\n  prepare_timeout: 12s\n") {}
};

// s2 is away: its vote is missing until the coordinator's patience ends. Who waits hears of that at once. (A question
// that comes before the transaction waits for s2 in vain first.)
TEST_F(PatientOutcomes, wait_holds_on_until_the_transaction_is_decided) {
  cluster.kill("m1");
  const std::string id = client::new_txn_id().to_hex();
  Process client(with({program("assentctl"), "--endpoints", cluster.endpoint_list(), "--timeout", "30s"},
                      with(transfer(id), {"--protocol", "two-phase"})),
                 cluster.config_of("n1").parent_path() / "client.log");
  ASSERT_TRUE(eventually(30s, [&] { return ctl({"txn", "get", id}).status == 7; }));
  EXPECT_EQ(json({"txn", "wait", id, "--for", "1ms"}, 124)["state"], "RUNNING");
  EXPECT_EQ(json({"txn", "wait", id, "--for", "60s"}, 6)["abort"]["reason"], "timeout");
  EXPECT_EQ(client.wait(30s), 6);
}

// The table of docs/PROTOCOL.md section 3, by what real nodes counted. Messages may be repeated and syncs shared;
// rounds and entries are what the protocol says.
TEST_F(Outcomes, the_bill_is_what_the_protocol_costs) {
  struct Expected {
    const char* protocol;
    const char* rounds;
    const char* entries;
    const char* rounds_freed;
  };
  for (const Expected& expected : {Expected{"paxos-commit", "1", "2", "2"}, Expected{"two-phase", "2", "3", "3"}}) {
    SCOPED_TRACE(expected.protocol);
    const std::string id = client::new_txn_id().to_hex();
    const auto bill = json(with(transfer(id), {"--protocol", expected.protocol}), 0)["bill"];
    EXPECT_EQ(bill["protocol"], expected.protocol);
    EXPECT_EQ(bill["answered"]["rounds"], expected.rounds);
    EXPECT_EQ(bill["answered"]["logEntries"], expected.entries);
    EXPECT_GE(std::stoi(bill["answered"]["messages"].get<std::string>()), 4);
    EXPECT_GE(std::stoi(bill["answered"]["syncs"].get<std::string>()), std::stoi(expected.rounds));
    nlohmann::json later;
    EXPECT_TRUE(eventually(10s, [&] {
      later = json({"txn", "get", id}, 0)["bill"];
      return later.contains("freed");
    }));
    EXPECT_EQ(later["freed"]["rounds"], expected.rounds_freed);
    EXPECT_EQ(later["answered"], bill["answered"]);
  }
  const auto one = json({"txn", "exec", "--on", "s1", "UPDATE accounts SET balance = 5 WHERE id = 'b'"}, 0)["bill"];
  EXPECT_EQ(one["answered"]["rounds"], "1");
  EXPECT_EQ(one["answered"]["logEntries"], "1");
  EXPECT_EQ(one["answered"]["messages"], "0");
  EXPECT_EQ(one["freed"], one["answered"]);
  EXPECT_THAT(ctl({"sql", "--shard", "s1", "DELETE FROM accounts WHERE id = 'b'"}).output,
              HasSubstr("1 round, 0 messages, 1 log entry, "));
}

class ConfiguredProtocol : public OperatorTest {
 protected:
  ConfiguredProtocol() : OperatorTest("txn: { protocol: two-phase }\n") {}
};

TEST_F(ConfiguredProtocol, is_taken_where_the_client_leaves_it_open) {
  EXPECT_EQ(json(transfer(client::new_txn_id().to_hex()), 0)["protocol"], "two-phase");
  const auto chosen = with(transfer(client::new_txn_id().to_hex()), {"--protocol", "paxos-commit"});
  EXPECT_EQ(json(chosen, 0)["protocol"], "paxos-commit");
  EXPECT_EQ(json({"txn", "exec", "--on", "s1", "DELETE FROM accounts WHERE id = 'b'"}, 0)["protocol"], "one-phase");
}

class OldOutcomes : public OperatorTest {
 protected:
  OldOutcomes() : OperatorTest("raft: { snapshot_every: 100 }\n") {}

  // So many that the outcomes before are in the archive and out of the log: a snapshot brings them there.
  void run_many() {
    ASSERT_TRUE(eventually(120s, [&] {
      EXPECT_EQ(ctl({"bench", "run", "--workload", "hot", "--clients", "16", "--duration", "2s"}).status, 0);
      const auto status = json({"cluster", "status"}, 0);
      const auto& groups = status["groups"];
      const auto c0 = std::find_if(groups.begin(), groups.end(), [](const auto& one) { return one["name"] == "c0"; });
      return c0 != groups.end() && std::all_of((*c0)["replicas"].begin(), (*c0)["replicas"].end(),
                                               [](const auto& one) { return one["snapshotIndex"] != "0"; });
    }));
  }
  std::string inspect(const std::string& node) const {
    return run_command({program("assentd"), "inspect", cluster.data_of(node).string()}).output;
  }
  std::filesystem::path archive_of(const std::string& node) const {
    return cluster.data_of(node) / "coordinators" / "c0.db";
  }
  void restart_all() {
    cluster.kill_all();
    cluster.start_all();
    ASSERT_TRUE(cluster.wait_for_leaders());
  }
  // Until it answers; before that it does not know how to stop either.
  void start(const std::string& node) {
    cluster.start(node);
    ASSERT_TRUE(eventually(60s, [&] { return ctl({"cluster", "health"}).status == 0; }));
  }
  void expect_answered() const {
    for (const auto& [id, status] : told) {
      EXPECT_EQ(json({"txn", "get", id}, status)["state"], status == 0 ? "COMMITTED" : "ABORTED");
      EXPECT_EQ(json({"txn", "seal", id}, status)["seal"], status == 0 ? "had_committed" : "had_aborted");
    }
  }

  std::map<std::string, int> told;
};

TEST_F(OldOutcomes, are_answered_after_restarts_failovers_and_the_loss_of_the_archive) {
  for (const char* protocol : {"paxos-commit", "two-phase", "three-phase"}) {
    for (const int amount : {1, 1000}) {
      const std::string id = client::new_txn_id().to_hex();
      const int status = amount == 1 ? 0 : 6;
      ASSERT_EQ(ctl(with(transfer(id, amount), {"--protocol", protocol})).status, status);
      told.emplace(id, status);
    }
  }
  ASSERT_NO_FATAL_FAILURE(run_many());
  expect_answered();
  ASSERT_NO_FATAL_FAILURE(restart_all());
  expect_answered();

  const std::string leader = cluster.leader_of("c0");
  cluster.kill(leader);
  ASSERT_TRUE(eventually(30s, [&] { return ctl({"txn", "get", told.begin()->first}).status == told.begin()->second; }));
  expect_answered();
  ASSERT_NO_FATAL_FAILURE(start(leader));

  cluster.stop("n1");
  EXPECT_THAT(inspect("n1"), HasSubstr("coordinators/c0.db: up to entry "));
  std::filesystem::remove(archive_of("n1").string() + "-wal");  // which would mend it
  std::ofstream(archive_of("n1"), std::ios::binary) << std::string(10'000, 'x');
  EXPECT_THAT(inspect("n1"), HasSubstr("coordinators/c0.db: DAMAGED"));
  const std::size_t before = cluster.log_of("n1").size();
  ASSERT_NO_FATAL_FAILURE(start("n1"));
  EXPECT_THAT(cluster.log_of("n1").substr(before), HasSubstr("the file goes to the folder damaged"));
  cluster.stop("n1");
  std::filesystem::remove_all(archive_of("n1").parent_path());
  ASSERT_NO_FATAL_FAILURE(start("n1"));
  ASSERT_EQ(ctl({"group", "transfer-leader", "c0", "--to", "n1"}).status, 0);
  ASSERT_TRUE(eventually(30s, [&] { return cluster.leader_of("c0") == "n1"; }));
  expect_answered();
}

}  // namespace
}  // namespace assent::testing
