// The command line, parsed.
#include "cli/command.h"

#include <gmock/gmock.h>

#include <cstdlib>

namespace assent::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::variant<Invocation, Farewell> parse_line(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "assentctl");
  return parse(static_cast<int>(arguments.size()), arguments.data());
}

template <class Specific>
Specific parsed(const std::vector<const char*>& arguments) {
  const auto result = parse_line(arguments);
  if (const auto* farewell = std::get_if<Farewell>(&result)) ADD_FAILURE() << farewell->text;
  return std::get<Specific>(std::get<Invocation>(result).command);
}

Farewell farewell(const std::vector<const char*>& arguments) {
  const auto result = parse_line(arguments);
  if (std::holds_alternative<Invocation>(result)) {
    ADD_FAILURE() << "was accepted: " << ::testing::PrintToString(arguments);
    return {};
  }
  return std::get<Farewell>(result);
}

class CommandTest : public ::testing::Test {
 protected:
  void SetUp() override { ::unsetenv("ASSENT_ENDPOINTS"); }
};

TEST_F(CommandTest, GlobalOptionsStandBeforeOrAfterTheCommand) {
  for (const std::vector<const char*>& line :
       {std::vector<const char*>{"--endpoints", "a:1,b:2", "--timeout", "250ms", "-o", "json", "--no-headers",
                                 "cluster", "status"},
        std::vector<const char*>{"cluster", "status", "--endpoints", "a:1,b:2", "--timeout", "250ms", "-o", "json",
                                 "--no-headers"}}) {
    const GlobalOptions global = std::get<Invocation>(parse_line(line)).global;
    EXPECT_EQ(global.endpoints, "a:1,b:2");
    EXPECT_EQ(global.timeout, 250ms);
    EXPECT_EQ(global.output, OutputFormat::json);
    EXPECT_TRUE(global.no_headers);
  }
}

TEST_F(CommandTest, TheEnvironmentGivesEndpointsThatAFlagOverrides) {
  ::setenv("ASSENT_ENDPOINTS", "env:1", 1);
  EXPECT_EQ(std::get<Invocation>(parse_line({"cluster", "status"})).global.endpoints, "env:1");
  EXPECT_EQ(std::get<Invocation>(parse_line({"--endpoints", "flag:1", "cluster", "status"})).global.endpoints,
            "flag:1");
  ::setenv("ASSENT_ENDPOINTS", "nonsense", 1);
  EXPECT_EQ(farewell({"cluster", "status"}).exit_code, 2);
  ::unsetenv("ASSENT_ENDPOINTS");
}

TEST_F(CommandTest, Sql) {
  const auto command =
      parsed<SqlCommand>({"sql", "--shard", "s1", "SELECT ?1, ?2", "--param", "5", "--param", "text:5"});
  EXPECT_EQ(command.shard, "s1");
  EXPECT_EQ(command.statement, "SELECT ?1, ?2");
  EXPECT_EQ(command.parameters, (std::vector<SqlValue>{std::int64_t{5}, std::string("5")}));
  const auto first = parsed<SqlCommand>({"sql", "--shard", "s1", "--param", "-5", "SELECT ?1"});
  EXPECT_EQ(first.statement, "SELECT ?1");
  EXPECT_EQ(first.parameters, (std::vector<SqlValue>{std::int64_t{-5}}));
}

TEST_F(CommandTest, TxnExec) {
  const auto command = parsed<TxnExecCommand>({"txn", "exec", "--on", "s1", "UPDATE a", "--on", "s2", "UPDATE b",
                                               "--id", "0193A6B25E1C7C3FA1D0C9BE6F2277A4", "--protocol", "two-phase"});
  EXPECT_EQ(command.on, (std::vector<std::pair<std::string, std::string>>{{"s1", "UPDATE a"}, {"s2", "UPDATE b"}}));
  EXPECT_EQ(command.id.to_hex(), "0193a6b25e1c7c3fa1d0c9be6f2277a4");
  EXPECT_EQ(command.protocol, Protocol::two_phase);
  EXPECT_EQ((parsed<TxnExecCommand>({"txn", "exec", "--on", "s1", "X", "--protocol", "three-phase"}).protocol),
            Protocol::three_phase);
}

TEST_F(CommandTest, TxnGet) {
  const auto command =
      parsed<TxnGetCommand>({"txn", "get", "0193a6b25e1c7c3fa1d0c9be6f2277a4", "--seal", "--wait", "5s"});
  EXPECT_EQ(command.id.to_hex(), "0193a6b25e1c7c3fa1d0c9be6f2277a4");
  EXPECT_TRUE(command.seal);
  EXPECT_EQ(command.wait, 5s);
}

TEST_F(CommandTest, Kv) {
  EXPECT_EQ(parsed<KvCommand>({"kv", "get", "k", "--shard", "s1"}).operation, Operation(KvGet{"k"}));
  EXPECT_EQ(parsed<KvCommand>({"kv", "put", "k", "v", "--shard", "s1"}).operation, Operation(KvPut{"k", "v"}));
  EXPECT_EQ(parsed<KvCommand>({"kv", "erase", "k", "--shard", "s1"}).operation, Operation(KvErase{"k"}));
  EXPECT_EQ(parsed<KvCommand>({"kv", "expect", "k", "v", "--shard", "s1"}).operation, Operation(KvExpect{"k", "v"}));
  EXPECT_EQ(parsed<KvCommand>({"kv", "expect", "k", "--shard", "s1"}).operation,
            Operation(KvExpect{"k", std::nullopt}));
  EXPECT_EQ(parsed<KvCommand>({"kv", "add", "k", "-30", "--floor", "0", "--shard", "s1"}).operation,
            Operation(KvAdd{"k", -30, 0, std::nullopt}));
  EXPECT_EQ(parsed<KvCommand>({"kv", "add", "k", "3", "--ceiling", "-9", "--shard", "s1"}).shard, "s1");
}

TEST_F(CommandTest, BenchAndDemo) {
  const auto bench =
      parsed<BenchRunCommand>({"bench", "run", "--workload", "bank", "--clients", "128", "--duration", "90s",
                               "--warmup", "2s", "--accounts", "500", "--cross-shard", "0.5", "--history", "h.jsonl"});
  EXPECT_EQ(bench.clients, 128U);
  EXPECT_EQ(bench.duration, 90s);
  EXPECT_EQ(bench.warmup, 2s);
  EXPECT_EQ(bench.accounts_per_shard, 500U);
  EXPECT_EQ(bench.cross_shard, 0.5);
  EXPECT_EQ(bench.history, "h.jsonl");
  EXPECT_EQ(bench.workload, BenchWorkload::bank);
  EXPECT_EQ(parsed<BenchRunCommand>({"bench", "run"}).workload, BenchWorkload::bank);
  EXPECT_EQ(parsed<BenchRunCommand>({"bench", "run"}).protocol, Protocol::automatic);
  const auto hot = parsed<BenchRunCommand>(
      {"bench", "run", "--workload", "hot", "--sql", "--no-escrow", "--protocol", "three-phase"});
  EXPECT_EQ(hot.workload, BenchWorkload::hot);
  EXPECT_TRUE(hot.sql);
  EXPECT_FALSE(hot.escrow);
  EXPECT_EQ(hot.protocol, Protocol::three_phase);
  const auto keys = parsed<BenchRunCommand>({"bench", "run", "--workload", "keys", "--accounts", "10000"});
  EXPECT_EQ(keys.workload, BenchWorkload::keys);
  EXPECT_EQ(keys.accounts_per_shard, 10'000U);
  EXPECT_EQ(parsed<BenchRunCommand>({"bench", "run", "--workload", "append"}).workload, BenchWorkload::append);
  EXPECT_EQ(parsed<BenchRunCommand>({"bench", "run", "--workload", "register"}).workload, BenchWorkload::registers);
  const auto failover =
      parsed<BenchFailoverCommand>({"bench", "failover", "--group", "c0", "--trials", "7", "--election-timeout",
                                    "300ms", "--kill-hook", "kill it", "--restart-hook", "start it"});
  EXPECT_EQ(failover.group, "c0");
  EXPECT_EQ(failover.trials, 7U);
  EXPECT_EQ(failover.election_timeout, 300ms);
  EXPECT_EQ(failover.kill_hook, "kill it");
  EXPECT_EQ(failover.restart_hook, "start it");
  EXPECT_EQ(parsed<BenchFailoverCommand>({"bench", "failover", "--kill-hook", "k", "--restart-hook", "r"}).trials,
            100U);
  const auto demo = parsed<DemoBankCommand>(
      {"demo", "bank", "--seconds", "7", "--kill-hook", "kill it", "--restart-hook", "start it"});
  EXPECT_EQ(demo.bench.duration, 7s);
  EXPECT_EQ(demo.kill_hook, "kill it");
  EXPECT_EQ(demo.restart_hook, "start it");
}

TEST_F(CommandTest, MistakesAreUsageErrorsThatNameTheArgument) {
  struct Mistake {
    std::vector<const char*> line;
    const char* names;
  };
  for (const Mistake& mistake : {Mistake{{}, "subcommand"},
                                 Mistake{{"clutter"}, "clutter"},
                                 Mistake{{"cluster"}, "subcommand"},
                                 Mistake{{"--timeout", "5x", "cluster", "status"}, "--timeout"},
                                 Mistake{{"-o", "yaml", "cluster", "status"}, "yaml"},
                                 Mistake{{"--endpoints", "host", "cluster", "status"}, "--endpoints"},
                                 Mistake{{"sql", "SELECT 1"}, "--shard"},
                                 Mistake{{"sql", "--shard", "s1"}, "statement"},
                                 Mistake{{"sql", "--shard", "s1", "SELECT 1", "SELECT 2"}, "SELECT 2"},
                                 Mistake{{"sql", "--shard", "s1", "SELECT ?1", "--param", "int:x"}, "--param"},
                                 Mistake{{"txn", "exec"}, "--on"},
                                 Mistake{{"txn", "exec", "--on", "s1"}, "--on"},
                                 Mistake{{"txn", "exec", "--on", "s1", "X", "--id", "123"}, "--id"},
                                 Mistake{{"txn", "exec", "--on", "s1", "X", "--protocol", "paxos"}, "--protocol"},
                                 Mistake{{"txn", "get"}, "id"},
                                 Mistake{{"kv", "add", "k", "x", "--shard", "s1"}, "delta"},
                                 Mistake{{"bench", "run", "--workload", "ycsb"}, "ycsb"},
                                 Mistake{{"bench", "run", "--protocol", "one-phase"}, "several shards"},
                                 Mistake{{"bench", "run", "--clients", "0"}, "--clients"},
                                 Mistake{{"bench", "run", "--cross-shard", "2"}, "--cross-shard"}}) {
    const Farewell said = farewell(mistake.line);
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_THAT(said.text, HasSubstr(mistake.names));
  }
}

TEST_F(CommandTest, HelpIsPrintedForTheCommandThatWasAskedAbout) {
  EXPECT_EQ(farewell({"--help"}).exit_code, 0);
  EXPECT_THAT(farewell({"--help"}).text, HasSubstr("Exit codes"));
  EXPECT_THAT(farewell({"txn", "exec", "--help"}).text, HasSubstr("--protocol"));
}

TEST_F(CommandTest, RecordedTransactionsAreListedByStateAndDuration) {
  const auto list =
      parsed<TxnListCommand>({"txn", "list", "--state", "preparing,Aborted", "--slower-than", "200ms", "--limit", "7"});
  EXPECT_EQ(list.filter.states, (std::vector<std::string>{"PREPARING", "ABORTED"}));
  EXPECT_EQ(list.filter.slower_than, 200ms);
  EXPECT_EQ(list.filter.limit, 7U);
  EXPECT_EQ(parsed<TxnWatchCommand>({"txn", "watch", "--for", "3s"}).at_most, 3s);
  EXPECT_EQ(farewell({"txn", "list", "--state", "sleeping"}).exit_code, 2);
  EXPECT_EQ(farewell({"txn", "list", "--limit", "0"}).exit_code, 2);
  EXPECT_EQ(farewell({"txn", "trace", "nonsense"}).exit_code, 2);
}

}  // namespace
}  // namespace assent::cli
