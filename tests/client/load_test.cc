// The bank's run against a bank in memory that loses answers, conflicts and cheats as the test tells it: the load must
// count what happened, resolve what is unknown by asking, and the judgement must see through the cheat.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/bank/run.h"
#include "cli/bank/setup.h"
#include "cli/run.h"
#include "tests/client/fake_cluster.h"

namespace assent::bank {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Knows the statements of the workload, and nothing else, by their first words.
class FakeBank {
 public:
  explicit FakeBank(test::FakeCluster& cluster) {
    cluster.on_execute = [this](const v1::ExecuteRequest& request, v1::Transaction& out) {
      return execute(request, out);
    };
    cluster.on_outcome = [this](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
      return outcome(request, out);
    };
    cluster.on_query = [this](const v1::QueryRequest& request, v1::QueryResponse& out) { return query(request, out); };
  }

  // Called for each transfer with its number; true: it happens to this one.
  std::function<bool(int)> conflict = [](int) { return false; };
  std::function<bool(int)> lose_before = [](int) { return false; };
  std::function<bool(int)> lose_after = [](int) { return false; };
  std::function<bool(int)> always_unknown = [](int) { return false; };  // applied, and Execute never says so
  std::function<bool(int)> steal = [](int) { return false; };           // the credit does not happen

 private:
  struct Shard {
    std::map<std::string, std::int64_t> accounts;
    std::map<std::string, std::vector<v1::Value>> transfers;
  };

  grpc::Status execute(const v1::ExecuteRequest& request, v1::Transaction& out) {
    const std::string& id = request.txn_id();
    if (mute_.contains(id)) return test::outcome_unknown();
    if (states_.contains(id)) return test::answer(out, id, states_[id]);
    const bool transfer = request.branches(0).operations(0).sql().text().starts_with("UPDATE");
    const int number = transfer ? transfers_++ : -1;
    if (transfer && lose_before(number)) return test::connection_lost();
    if (transfer && conflict(number)) {
      states_[id] = v1::ABORTED;
      return test::abort_with(out, id, "conflict");
    }
    for (const v1::Branch& branch : request.branches()) {
      v1::BranchResult& result = *out.add_results();
      result.set_shard(branch.shard());
      for (const v1::Operation& operation : branch.operations()) {
        run(shards_[branch.shard()], operation.sql(), *result.add_results(), transfer && steal(number));
      }
    }
    states_[id] = v1::COMMITTED;
    if (transfer && always_unknown(number)) mute_.insert(id);
    if (transfer && (lose_after(number) || always_unknown(number))) return test::connection_lost();
    return test::answer(out, id, v1::COMMITTED);
  }

  static void run(Shard& shard, const v1::SqlStatement& sql, v1::OperationResult& out, bool stolen) {
    const auto& values = sql.parameters();
    if (sql.text().starts_with("INSERT INTO accounts")) {
      for (int i = 1; i < values.size(); ++i) shard.accounts[values[i].text()] = values[0].integer();
    } else if (sql.text().starts_with("INSERT INTO transfers")) {
      shard.transfers[values[0].text()] = {values.begin(), values.end()};
    } else if (sql.text().starts_with("UPDATE")) {
      const bool debit = sql.text().find("balance - ") != std::string::npos;
      std::int64_t& balance = shard.accounts.at(values[1].text());
      if (debit || !stolen) balance += (debit ? -1 : 1) * values[0].integer();
      out.add_columns("balance");
      out.add_rows()->add_values()->set_integer(balance);
    }
  }

  grpc::Status outcome(const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    if (states_.contains(request.txn_id())) return test::answer(out, request.txn_id(), states_[request.txn_id()]);
    if (!request.seal()) return test::answer(out, request.txn_id(), v1::UNKNOWN);
    states_[request.txn_id()] = v1::ABORTED;
    return test::abort_with(out, request.txn_id(), "sealed");
  }

  // ... WHERE id > ?1 ORDER BY id LIMIT ?2
  grpc::Status query(const v1::QueryRequest& request, v1::QueryResponse& out) {
    const v1::SqlStatement& sql = request.operations(0).sql();
    v1::OperationResult& result = *out.add_results();
    Shard& shard = shards_[request.shard()];
    const std::string& after = sql.parameters(0).text();
    const auto full = [&] { return result.rows_size() >= sql.parameters(1).integer(); };
    if (sql.text().find("FROM accounts") != std::string::npos) {
      for (auto it = shard.accounts.upper_bound(after); it != shard.accounts.end() && !full(); ++it) {
        v1::Row& row = *result.add_rows();
        row.add_values()->set_text(it->first);
        row.add_values()->set_integer(it->second);
      }
    } else {
      for (auto it = shard.transfers.upper_bound(after); it != shard.transfers.end() && !full(); ++it) {
        v1::Row& row = *result.add_rows();
        for (const v1::Value& value : it->second) *row.add_values() = value;
      }
    }
    return grpc::Status::OK;
  }

  std::map<std::string, Shard> shards_;
  std::map<std::string, v1::TxnState> states_;
  std::set<std::string> mute_;
  int transfers_ = 0;
};

class RunTest : public ::testing::Test {
 protected:
  client::Result<Report> run_bank(RunOptions options) {
    auto client = client::Client::connect({.endpoints = cluster.endpoints(), .timeout = 10s, .attempt_timeout = 2s});
    EXPECT_TRUE(client);
    options.accounts_per_shard = 20;
    options.duration = 300ms;
    options.settle_patience = 100ms;
    options.load.clients = 8;
    options.progress = &progress;
    return run(*client, options, {});
  }

  test::FakeCluster cluster;
  FakeBank bank{cluster};
  std::ostringstream progress;
};

TEST_F(RunTest, AGoodRunIsSoundAndCounted) {
  const auto report = run_bank({});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_TRUE(report->sound()) << ::testing::PrintToString(report->complaints());
  EXPECT_GT(report->tally.committed, 0U);
  EXPECT_EQ(report->tally.latency.count(), report->tally.committed);
  EXPECT_EQ(report->judgement.total_before, 2 * 20 * 1000);
  EXPECT_EQ(report->tally.unknown, 0U);
  EXPECT_THAT(progress.str(), HasSubstr("40 of 40 accounts"));
}

TEST_F(RunTest, LostAnswersAndConflictsAreCountedAndSettled) {
  bank.conflict = [](int n) { return n % 5 == 1; };
  bank.lose_before = [](int n) { return n % 7 == 2; };
  bank.lose_after = [](int n) { return n % 11 == 3; };
  const auto report = run_bank({});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_TRUE(report->sound()) << ::testing::PrintToString(report->complaints());
  EXPECT_GT(report->tally.conflicts, 0U);
  EXPECT_GT(report->tally.unknown, 0U);
  EXPECT_EQ(report->tally.unknown, report->tally.unknown_resolved);
}

TEST_F(RunTest, AnOutcomeThatExecuteNeverTellsIsLearnedByAsking) {
  bank.always_unknown = [](int n) { return n == 3; };
  RunOptions options;
  options.load.timeout = 500ms;
  const auto report = run_bank(options);
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_TRUE(report->sound()) << ::testing::PrintToString(report->complaints());
  EXPECT_GE(report->tally.unknown, 1U);
  EXPECT_EQ(report->tally.unknown, report->tally.unknown_resolved);
}

TEST_F(RunTest, StolenMoneyIsFound) {
  bank.steal = [](int n) { return n == 5; };
  const auto report = run_bank({});
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->sound());
  EXPECT_LT(report->judgement.total_after, report->judgement.total_before);
  EXPECT_EQ(report->judgement.accounts_off, 1U);
}

TEST_F(RunTest, WhatStaysPreparedIsReported) {
  cluster.set_prepared("s2", 3);
  const auto report = run_bank({});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->judgement.in_doubt_left, 3U);
  EXPECT_FALSE(report->sound());
}

TEST_F(RunTest, ASecondRunUsesTheAccountsThatAreThere) {
  ASSERT_TRUE(run_bank({}));
  const auto again = run_bank({});
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->sound()) << ::testing::PrintToString(again->complaints());
}

// Replays the history: every read must see what the write before it left, for each key and in the order of the values.
TEST_F(RunTest, TheHistoryPairsInvocationsWithCompletionsAndItsValuesAddUp) {
  bank.lose_after = [](int n) { return n % 11 == 3; };
  RunOptions options;
  options.history_path = testing::TempDir() + "run_history_" + std::to_string(::getpid()) + ".jsonl";
  ASSERT_TRUE(run_bank(options));
  std::ifstream in(options.history_path);
  std::map<int, bool> busy;
  std::size_t known = 0;
  std::size_t unknown = 0;
  for (std::string line; std::getline(in, line);) {
    const nlohmann::json event = nlohmann::json::parse(line);
    bool& running = busy[event["process"].get<int>()];
    EXPECT_EQ(event["type"] == "invoke", !running) << line;
    running = event["type"] == "invoke";
    if (event["type"] != "ok" || event["value"].size() != 4) continue;
    const auto& value = event["value"];
    if (value[0][2].is_null()) {
      ++unknown;
      continue;
    }
    ++known;
    EXPECT_EQ(value[0][1], value[1][1]);
    EXPECT_EQ(value[0][2].get<int>() - value[1][2].get<int>(), value[3][2].get<int>() - value[2][2].get<int>()) << line;
  }
  for (const auto& [process, running] : busy) EXPECT_FALSE(running) << process;
  EXPECT_GT(known, 0U);
  EXPECT_GT(unknown, 0U) << "a commit whose answer was lost has no values";
  std::filesystem::remove(options.history_path);
}

TEST_F(RunTest, TheDemoKillsTheCoordinatorsLeaderAndEndsWithItsLine) {
  const std::string marks = testing::TempDir() + "hooks_" + std::to_string(::getpid());
  const std::string endpoints = cluster.endpoint_list();
  const std::string kill = "echo killed >>" + marks + ";echo";
  const std::string restart = "echo started >>" + marks + ";echo";
  const std::vector<const char*> line{
      "assentctl",    "--endpoints", endpoints.c_str(), "demo", "bank",        "--seconds",  "1",
      "--clients",    "4",           "--accounts",      "10",   "--kill-hook", kill.c_str(), "--restart-hook",
      restart.c_str()};
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(cli::assentctl(static_cast<int>(line.size()), line.data(), {out, err, std::cin}), 0) << err.str();
  std::ifstream in(marks);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "killed\nstarted\n");
  std::filesystem::remove(marks);
  EXPECT_THAT(out.str(), HasSubstr("killing n1"));
  const std::string text = out.str();
  const std::string last = text.substr(text.rfind('\n', text.size() - 2) + 1);
  const nlohmann::json report = nlohmann::json::parse(last);
  EXPECT_EQ(report["leader_kills"], 1);
  EXPECT_EQ(report["total_before"], report["total_after"]);
  EXPECT_EQ(report.size(), 13U);
}

TEST_F(RunTest, TheDemoFailsWhenAHookFails) {
  const std::string endpoints = cluster.endpoint_list();
  const std::vector<const char*> line{"assentctl", "--endpoints", endpoints.c_str(), "demo", "bank",
                                      "--seconds", "1",           "--accounts",      "10",   "--kill-hook",
                                      "exit 3;"};
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(cli::assentctl(static_cast<int>(line.size()), line.data(), {out, err, std::cin}), 1);
  EXPECT_THAT(err.str(), HasSubstr("the kill hook ended with 3"));
}

}  // namespace
}  // namespace assent::bank
