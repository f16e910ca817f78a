// The JSON documents: names and types that programs rely on.
#include "cli/documents.h"

#include <gtest/gtest.h>

#include <limits>

namespace assent::cli {
namespace {

TEST(Documents, ValuesKeepWhatJsonNumbersWouldLose) {
  EXPECT_EQ(to_json(SqlValue(std::int64_t{9007199254740993})), "9007199254740993");
  EXPECT_EQ(to_json(SqlValue(1.5)), 1.5);
  EXPECT_EQ(to_json(SqlValue(std::numeric_limits<double>::infinity())), "inf");
  EXPECT_EQ(to_json(SqlValue(std::string("text"))), "text");
  EXPECT_TRUE(to_json(SqlValue(SqlNull{})).is_null());
  EXPECT_EQ(to_json(SqlValue(SqlBlob{std::string("\x00\xff", 2)})).dump(), R"({"blob":"00ff"})");
}

TEST(Documents, AnyBytesGiveValidJson) {
  const std::string line = line_of(to_json(SqlValue(std::string("\xff\xfe"))));
  EXPECT_FALSE(Json::parse(line, nullptr, false).is_discarded());
}

TEST(Documents, AnAbortSaysWhyAndByWhom) {
  client::TxnOutcome outcome;
  outcome.id.bytes[15] = 1;
  outcome.state = TxnState::aborted;
  outcome.protocol = Protocol::two_phase;
  outcome.abort = {AbortReason::conflict, "s1", "held", "", outcome.id};
  outcome.participants = {"s1", "s2"};
  outcome.answered_by = "c0";
  outcome.decided_at = ClusterMillis(1'700'000'000'123);
  EXPECT_EQ(line_of(to_json(outcome)),
            R"({"txnId":"00000000000000000000000000000001","state":"ABORTED","protocol":"two-phase",)"
            R"("participants":["s1","s2"],"answeredBy":"c0","decidedAt":"2023-11-14T22:13:20.123Z",)"
            R"("abort":{"reason":"conflict","participant":"s1","message":"held",)"
            R"("holder":"00000000000000000000000000000001"},"results":[]})");
}

TEST(Documents, AnUnknownOutcomeCarriesTheNote) {
  client::TxnOutcome outcome;
  outcome.note = "ask";
  outcome.ask = "c0";
  const Json document = to_json(outcome);
  EXPECT_EQ(document["state"], "UNKNOWN");
  EXPECT_EQ(document["note"], "ask");
  EXPECT_EQ(document["ask"], "c0");
}

TEST(Documents, ErrorsListWhatWasTried) {
  const client::Error error{
      client::ErrorCode::unreachable, "no endpoint answers", "", {{"a:1", "n1", "connection refused"}}};
  EXPECT_EQ(line_of(to_json(error)), R"({"error":{"code":"unreachable","message":"no endpoint answers",)"
                                     R"("tried":[{"endpoint":"a:1","node":"n1","said":"connection refused"}]}})");
}

TEST(Documents, TheDemosLastLineHasExactlyThePromisedFieldsAsNumbers) {
  bank::Report report;
  report.seconds = 2;
  report.committed_in_time = 3;
  report.tally.committed = 4;
  report.tally.latency.add(1'500);
  report.judgement.total_before = 2'000'000;
  report.judgement.total_after = 2'000'000;
  report.unavailable_max = std::chrono::milliseconds(321);
  EXPECT_EQ(line_of(demo_json(report, 1)),
            R"({"committed":4,"aborted":0,"unknown":0,"unknown_resolved":0,"in_doubt_left":0,"acknowledged_missing":0,)"
            R"("total_before":2000000,"total_after":2000000,"leader_kills":1,"unavailable_ms_max":321,"tps":1.5,)"
            R"("p50_ms":1.5,"p99_ms":1.5})");
}

TEST(Documents, BenchFiguresAreNumbers) {
  bank::Report report;
  report.bank.shards = {"s1", "s2"};
  report.bank.accounts_per_shard = 10;
  const Json document = to_json(report, 8);
  EXPECT_EQ(document["accounts"], 20);
  EXPECT_EQ(document["clients"], 8);
  for (const char* name :
       {"tps", "p50_ms", "p95_ms", "p99_ms", "fsyncs_per_txn", "server_cpu_us_per_txn", "unavailable_ms_max"}) {
    EXPECT_TRUE(document[name].is_number()) << name;
  }
  EXPECT_EQ(document["sound"], true);
}

TEST(Documents, HealthSaysWhatIsMissing) {
  client::GroupView group;
  group.members = {"n1", "n2", "n3"};
  client::ReplicaStatus leader;
  for (const char* name : {"n1", "n2", "n3"}) leader.membership.push_back({name, 0, "voter", 0, true});
  leader.membership.push_back({"n4", 0, "learner", 0, false});
  group.replicas.push_back({"n1", leader});
  client::ClusterStatus status;
  for (const char* name : {"n1", "n2", "n3"}) {
    client::NodeView node;
    node.name = name;
    node.reachable = true;
    status.nodes.push_back(node);
  }
  EXPECT_EQ(health_of(group, status), "no leader");
  group.leader = "n1";
  EXPECT_EQ(health_of(group, status), "ok");
  status.nodes[1].reachable = false;
  EXPECT_EQ(health_of(group, status), "degraded: 2/3") << "a learner's absence costs nothing";
  status.nodes[1].reachable = true;
  status.nodes[2].disk = 9;
  EXPECT_EQ(health_of(group, status), "degraded: 2/3") << "it has lost the disk that votes";
}

TEST(Documents, ANodeSaysWhichOfItsFilesAreDamaged) {
  client::NodeView node;
  node.name = "n1";
  node.reachable = true;
  client::ClusterStatus status;
  status.nodes = {node, node};
  status.nodes[1].damaged_files = {"shards/s1.db: page 7 is damaged"};
  const Json nodes = to_json(status)["nodes"];
  EXPECT_FALSE(nodes[0].contains("damagedFiles"));
  EXPECT_EQ(nodes[1]["damagedFiles"], Json({"shards/s1.db: page 7 is damaged"}));
}

}  // namespace
}  // namespace assent::cli
