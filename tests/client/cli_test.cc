// assentctl as a whole, against nodes that answer as told: what it prints and what it ends with.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/hook.h"
#include "tests/client/cli_fixture.h"
#include "txn_proto/api_error.h"

namespace assent::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_F(CliTest, ClusterStatusShowsGroupsAndNodes) {
  EXPECT_EQ(run({"cluster", "status"}), 0);
  EXPECT_THAT(out.str(),
              HasSubstr("GROUP  ROLE         LEADER  TERM  COMMIT  APPLIED  LAG  PREPARED  LOCKS  MEMBERS    HEALTH"));
  EXPECT_THAT(out.str(),
              HasSubstr("c0     coordinator  n1         1   1,234    1,233    1         0      0  n1* n2 n3  ok"));
  EXPECT_THAT(out.str(), HasSubstr(cluster.endpoint("n3")));
  EXPECT_EQ(run({"cluster", "status", "--no-headers"}), 0);
  EXPECT_THAT(out.str(), ::testing::Not(HasSubstr("GROUP")));
  EXPECT_EQ(run({"cluster", "status", "-o", "json"}), 0);
  EXPECT_THAT(document()["groups"], SizeIs(3));
  EXPECT_EQ(document()["groups"][0]["replicas"][0]["committedIndex"], "1234");
  EXPECT_EQ(document()["nodes"][0]["counters"]["walSyncs"], "42");
}

TEST_F(CliTest, HealthEndsAsTheClusterIs) {
  EXPECT_EQ(run({"cluster", "health"}), 0);
  cluster.stop("n2");
  cluster.lead("s1", "n1");
  EXPECT_EQ(run({"cluster", "health"}), 5);
  EXPECT_THAT(out.str(), HasSubstr("degraded: 2/3"));
  cluster.lead("s1", "");
  EXPECT_EQ(run({"cluster", "health", "-o", "json"}), 3);
  EXPECT_EQ(document()["healthy"], false);
}

TEST_F(CliTest, UnreachableIsThreeAndListsTheEndpointsAlsoInJson) {
  for (const char* node : test::FakeCluster::node_names) cluster.stop(node);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"cluster", "status"}, std::vector<std::string>{"sql", "--shard", "s1", "SELECT 1"},
        std::vector<std::string>{"txn", "exec", "--on", "s1", "DELETE FROM t"}}) {
    std::vector<std::string> line{"--timeout", "300ms", "-o", "json"};
    line.insert(line.end(), command.begin(), command.end());
    EXPECT_EQ(run(line), 3) << command.front();
    EXPECT_THAT(err.str(), HasSubstr(cluster.endpoint("n2") + ": connection refused"));
    EXPECT_EQ(document()["error"]["code"], "unreachable");
    EXPECT_THAT(document()["error"]["tried"], SizeIs(3));
  }
}

TEST_F(CliTest, ASelectIsAQueryAndPrintsATable) {
  cluster.on_query = [](const v1::QueryRequest& request, v1::QueryResponse& response) {
    EXPECT_EQ(request.operations(0).sql().parameters(0).integer(), 5);
    v1::OperationResult& result = *response.add_results();
    for (const char* column : {"id", "balance"}) result.add_columns(column);
    v1::Row& row = *result.add_rows();
    row.add_values()->set_text("alice");
    row.add_values()->set_integer(9007199254740993);
    response.set_index(12);
    return grpc::Status::OK;
  };
  EXPECT_EQ(run({"sql", "--shard", "s1", "SELECT id, balance FROM accounts LIMIT ?1", "--param", "5"}), 0);
  EXPECT_EQ(out.str(), "id              balance\nalice  9007199254740993\n");
  EXPECT_EQ(run({"sql", "--shard", "s1", "SELECT id, balance FROM accounts LIMIT ?1", "--param", "5", "-o", "json"}),
            0);
  EXPECT_EQ(document()["rows"], nlohmann::json::parse(R"([["alice","9007199254740993"]])"));
  EXPECT_EQ(document()["index"], "12");
}

TEST_F(CliTest, SqlThatIsRefusedIsAnErrorWithTheServicesWords) {
  cluster.on_query = [](const v1::QueryRequest&, v1::QueryResponse&) {
    return to_status(ApiError{ErrorCode::malformed, "INVALID_SQL", "near \"FORM\": syntax error", {}, 0});
  };
  EXPECT_EQ(run({"sql", "--shard", "s1", "SELECT * FORM t"}), 1);
  EXPECT_THAT(err.str(), HasSubstr("near \"FORM\": syntax error"));
}

TEST_F(CliTest, AWriteIsATransactionThatIsTriedAgainAfterAConflict) {
  int calls = 0;
  cluster.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& response) {
    if (++calls == 1) return test::abort_with(response, request.txn_id(), "conflict");
    v1::BranchResult& branch = *response.add_results();
    branch.set_shard("s1");
    branch.add_results()->set_rows_affected(3);
    return test::answer(response, request.txn_id(), v1::COMMITTED);
  };
  EXPECT_EQ(run({"sql", "--shard", "s1", "UPDATE t SET a = 1"}), 0);
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(out.str(), HasSubstr("COMMITTED"));
  EXPECT_THAT(out.str(), HasSubstr("3 rows affected"));
}

TEST_F(CliTest, TxnExecSendsItsIdAndEndsWithTheOutcome) {
  EXPECT_EQ(run({"txn", "exec", "--on", "s1", "UPDATE a", "--on", "s2", "UPDATE b", "--id", id, "-o", "json"}), 0);
  EXPECT_EQ(document()["txnId"], id);
  EXPECT_EQ(document()["state"], "COMMITTED");
  ASSERT_THAT(cluster.executed(), SizeIs(1));
  EXPECT_EQ(cluster.executed()[0].branches_size(), 2);

  cluster.on_execute = [](const v1::ExecuteRequest& request, v1::Transaction& response) {
    response.mutable_abort()->set_constraint("balance >= 0");
    return test::abort_with(response, request.txn_id(), "constraint", "s1", "CHECK constraint failed: balance >= 0");
  };
  EXPECT_EQ(run({"txn", "exec", "--on", "s1", "UPDATE a"}), 6);
  EXPECT_THAT(out.str(), HasSubstr("constraint   balance >= 0"));
  EXPECT_THAT(out.str(), HasSubstr("refused by   s1"));

  cluster.on_execute = [](const v1::ExecuteRequest&, v1::Transaction&) { return test::outcome_unknown(); };
  EXPECT_EQ(run({"--timeout", "300ms", "txn", "exec", "--on", "s1", "UPDATE a", "--id", id, "-o", "json"}), 7);
  EXPECT_EQ(document()["state"], "UNKNOWN");
  EXPECT_THAT(document()["note"].get<std::string>(), HasSubstr(std::string("assentctl txn get ") + id));
}

TEST_F(CliTest, TxnGetEndsWithTheState) {
  v1::TxnState state = v1::COMMITTED;
  cluster.on_outcome = [&](const v1::GetOutcomeRequest& request, v1::Transaction& response) {
    return test::answer(response, request.txn_id(), state);
  };
  const std::vector<std::string> get{"txn", "get", id, "--group", "c0"};
  EXPECT_EQ(run(get), 0);
  state = v1::ABORTED;
  EXPECT_EQ(run(get), 6);
  state = v1::PREPARED;
  EXPECT_EQ(run(get), 7);
  state = v1::EXPIRED;
  EXPECT_EQ(run(get), 4);
  state = v1::UNKNOWN;
  EXPECT_EQ(run({"txn", "get", id, "-o", "json"}), 4);
  EXPECT_EQ(document()["state"], "UNKNOWN");
}

TEST_F(CliTest, ATimeOutIs124AndAMissingShardIs4) {
  cluster.on_query = [](const v1::QueryRequest&, v1::QueryResponse&) { return test::connection_lost(); };
  EXPECT_EQ(run({"--timeout", "300ms", "sql", "--shard", "s1", "SELECT 1"}), 124);
  EXPECT_EQ(run({"sql", "--shard", "s9", "SELECT 1"}), 4);
}

TEST_F(CliTest, KvGetPrintsTheValueOrEndsWith4) {
  cluster.on_query = [](const v1::QueryRequest& request, v1::QueryResponse& response) {
    v1::OperationResult& result = *response.add_results();
    if (request.operations(0).get().key() == "there") result.add_rows()->add_values()->set_blob("value");
    return grpc::Status::OK;
  };
  EXPECT_EQ(run({"kv", "get", "there", "--shard", "s1"}), 0);
  EXPECT_EQ(out.str(), "value\n");
  EXPECT_EQ(run({"kv", "get", "absent", "--shard", "s1"}), 4);
  EXPECT_EQ(run({"kv", "get", "absent", "--shard", "s1", "-o", "json"}), 4);
  EXPECT_EQ(document()["found"], false);
  EXPECT_EQ(run({"kv", "put", "k", "v", "--shard", "s1"}), 0);
  EXPECT_EQ(cluster.executed().back().branches(0).operations(0).put().value(), "v");
}

TEST_F(CliTest, LeadersCanBeMoved) {
  EXPECT_EQ(run({"group", "transfer-leader", "s1", "--to", "n3"}), 0);
  EXPECT_EQ(run({"cluster", "status", "-o", "json"}), 0);
  EXPECT_EQ(document()["groups"][1]["leader"], "n3");
}

TEST_F(CliTest, Version) {
  EXPECT_EQ(run({"version"}), 0);
  EXPECT_THAT(out.str(), HasSubstr("assentctl "));
  EXPECT_EQ(run({"version", "-o", "json"}), 0);
  EXPECT_TRUE(document().contains("version"));
}

TEST(Hook, PassesTheArgumentAndGivesTheStatus) {
  EXPECT_EQ(run_hook("test n1 =", "n1"), 0);
  EXPECT_EQ(run_hook("test n1 =", "$(echo n1)"), 1) << "the argument is passed, not pasted";
  EXPECT_EQ(run_hook("exit 7;", "x"), 7);
  EXPECT_EQ(run_hook("kill -9 $$;", "x"), 128 + 9);
}

// ---- histories, which no cluster is asked about ----

class CheckHistory : public CliTest {
 protected:
  int check(const std::string& lines, const std::vector<std::string>& more = {}) {
    const std::string path = testing::TempDir() + "check_history_" + std::to_string(::getpid()) + ".jsonl";
    std::ofstream(path) << lines;
    std::vector<std::string> arguments{"check", "history", path};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const int code = run(arguments);
    std::filesystem::remove(path);
    return code;
  }

  static std::string event(const std::string& type, int process, const std::string& value) {
    return R"({"type":")" + type + R"(","process":)" + std::to_string(process) + R"(,"time":1,"f":"txn","value":[)" +
           value + "]}\n";
  }
  static std::string both(int process, const std::string& invoked, const std::string& heard) {
    return event("invoke", process, invoked) + event("ok", process, heard);
  }

  const std::string append = both(0, R"(["append","x",1])", R"(["append","x",1])");
};

TEST_F(CheckHistory, EndsAsTheHistoryIs) {
  EXPECT_EQ(check(append + both(1, R"(["r","x",null])", R"(["r","x",[1]])")), 0);
  EXPECT_THAT(out.str(), HasSubstr("strictly serializable"));
  EXPECT_EQ(check(append + both(1, R"(["r","x",null])", R"(["r","x",[]])")), 1);
  EXPECT_THAT(out.str(), HasSubstr("lost append"));
  EXPECT_THAT(out.str(), HasSubstr("NOT strictly serializable"));
  EXPECT_EQ(check(append + append), 7);
  EXPECT_THAT(out.str(), HasSubstr("not judged"));
}

TEST_F(CheckHistory, IsOneDocumentInJson) {
  EXPECT_EQ(check(append + both(1, R"(["r","x",null])", R"(["r","x",[]])"), {"-o", "json"}), 1);
  EXPECT_EQ(document()["judgement"], "wrong");
  EXPECT_EQ(document()["anomalies"][0]["name"], "lost append");
}

TEST_F(CheckHistory, WhatIsNoHistoryIsAWrongArgument) {
  EXPECT_EQ(check(append + "nonsense\n"), 2);
  EXPECT_THAT(err.str(), HasSubstr("line 3"));
  EXPECT_EQ(run({"check", "history", "/nonexistent/file"}), 2);
  EXPECT_THAT(err.str(), HasSubstr("/nonexistent/file: No such file"));
  EXPECT_EQ(run({"check", "history"}), 2);
}

TEST_F(CheckHistory, AsksNobody) {
  for (const char* node : {"n1", "n2", "n3"}) cluster.stop(node);
  EXPECT_EQ(check(append), 0);
}

}  // namespace
}  // namespace assent::cli
