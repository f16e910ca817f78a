// Runs of whole worlds: what they leave in files is read back, and what the command line decides is obeyed.
#include "sim/world.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/report.h"

namespace assent::sim {
namespace {

struct WorldTest : testing::Test {
  std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / fmt::format("assent-world-{}-{}", ::getpid(), ++folders);
  static inline unsigned folders = 0;

  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }

  [[nodiscard]] std::string path(const std::string& name) const { return (folder / name).string(); }
  [[nodiscard]] static std::vector<nlohmann::json> lines(const std::string& file) {
    std::vector<nlohmann::json> all;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }
  static RunResult run(const RunOptions& options) {
    World world(options);
    auto result = world.run();
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->verdict, Verdict::ok) << result->why;
    return *result;
  }
};

Choices small() {
  Choices choices;
  choices.faults = {"crash", "partition", "loss"};
  choices.clients = 3;
  choices.requests = 60;
  choices.chaos = 3 * second;
  return choices;
}

TEST_F(WorldTest, TheRaftTraceFollowsEachCore) {
  RunOptions options{3, small(), std::nullopt, {}, path("raft"), {}};
  run(options);
  const auto events = lines(options.raft_trace_path);
  ASSERT_GT(events.size(), 1'000U);
  std::set<std::string> names;
  std::map<std::pair<std::string, std::string>, std::uint64_t> terms;
  std::map<std::tuple<std::string, std::string, std::string, std::string>, int> under_way;
  for (const auto& line : events) {
    EXPECT_EQ(line.at("tag"), "trace");
    const auto& event = line.at("event");
    const std::string name = event.at("name");
    const std::string node = event.at("nid");
    const std::string group = event.at("gid");
    names.insert(name);
    const std::uint64_t term = event.at("state").at("term");
    if (name != "InitState") {
      EXPECT_GE(term, (terms[{group, node}])) << "terms never go down";
    }
    terms[{group, node}] = term;
    EXPECT_LE(event.at("state").at("commit"), event.at("log"));
    EXPECT_EQ(event.at("conf").at(0).size(), 3U);
    if (!event.contains("msg")) continue;
    const auto& message = event.at("msg");
    const std::string kind = message.dump();
    if (name.starts_with("Send")) ++under_way[{group, message.at("from"), message.at("to"), kind}];
    if (name.starts_with("Receive")) {
      EXPECT_GT((under_way[{group, message.at("from"), message.at("to"), kind}]), 0) << "received before it was sent";
    }
  }
  for (const char* name : {"InitState", "BecomeCandidate", "BecomeLeader", "BecomeFollower", "Commit", "Replicate",
                           "Ready", "SendAppendEntriesRequest", "ReceiveAppendEntriesRequest",
                           "SendAppendEntriesResponse", "ReceiveAppendEntriesResponse", "SendRequestVoteRequest",
                           "ReceiveRequestVoteRequest", "SendRequestVoteResponse", "ReceiveRequestVoteResponse"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST_F(WorldTest, TheCommitTraceShowsVotesBeforeDecisionsBeforeAnswers) {
  RunOptions options{3, small(), std::nullopt, {}, {}, path("commit")};
  run(options);
  std::map<std::string, std::vector<nlohmann::json>> transactions;
  for (const auto& line : lines(options.commit_trace_path)) transactions[line.at("id")].push_back(line);
  ASSERT_GT(transactions.size(), 20U);
  std::set<std::string> events;
  for (const auto& [id, story] : transactions) {
    bool decided = false;
    std::set<std::string> yes;
    for (const auto& line : story) {
      const std::string event = line.at("event");
      events.insert(event);
      if (event == "prepare" && line.at("vote") == "yes") yes.insert(line.at("participant"));
      if (event == "vote received" && line.at("vote") == "yes") {
        EXPECT_TRUE(yes.contains(line.at("participant"))) << id << ": a vote is heard before it is in a log";
      }
      if (event == "decide") {
        EXPECT_FALSE(decided) << id;
        EXPECT_GT(line.at("index"), 0);
        decided = true;
      }
      if (event == "finish applied" || event == "outcome told") {
        if (line.at("outcome") == "committed") {
          EXPECT_TRUE(decided) << id;
        }
      }
    }
  }
  EXPECT_EQ(events, (std::set<std::string>{"prepare", "vote received", "decide", "finish applied", "outcome told"}));
}

TEST_F(WorldTest, AHistoryEndsWhatItBegins) {
  RunOptions options{5, small(), std::nullopt, path("history"), {}, {}};
  run(options);
  std::map<int, std::string> open;
  std::set<int> dead;
  std::size_t ended = 0;
  for (const auto& line : lines(options.history_path)) {
    const int process = line.at("process");
    EXPECT_FALSE(dead.contains(process)) << "a process does nothing after an info";
    if (line.at("type") == "invoke") {
      EXPECT_TRUE(open.emplace(process, line.at("id")).second);
      continue;
    }
    EXPECT_EQ(open[process], line.at("id"));
    open.erase(process);
    ++ended;
    if (line.at("type") == "info") dead.insert(process);
  }
  EXPECT_GT(ended, 5U) << "a run that does little shows little";
  EXPECT_TRUE(open.empty());
}

TEST_F(WorldTest, FilesChangeNothingInARun) {
  const RunResult plain = run({3, small(), std::nullopt, {}, {}, {}});
  const RunResult written = run({3, small(), std::nullopt, path("h"), path("r"), path("c")});
  EXPECT_EQ(plain.digest, written.digest);
}

TEST_F(WorldTest, ChoicesAreObeyed) {
  Choices choices = small();
  choices.faults = std::vector<std::string>{"crash"};
  const RunResult result = run({9, choices, std::nullopt, {}, {}, {}});
  EXPECT_NE(result.shape.find(" faults=crash "), std::string::npos) << result.shape;
  for (const auto& [name, count] : result.faults) {
    EXPECT_TRUE(name == "process crash" || name == "power loss") << name;
  }
  choices.requests = 0;
  EXPECT_FALSE(run({9, choices, std::nullopt, {}, {}, {}}).outcomes.contains("committed"));
}

TEST(Choices, AReplayCommandNamesAllOfThem) {
  Choices choices = small();
  choices.plain_limits = true;
  choices.protocol = Protocol::two_phase;
  EXPECT_EQ(replay_command("assent-sim", 7, choices),
            "assent-sim replay --seed 7 --faults crash,partition,loss --protocol two-phase --clients 3 --requests 60 "
            "--chaos 3000 --plain-limits");
  EXPECT_EQ(replay_command("assent-sim", 7, {}), "assent-sim replay --seed 7");
}

TEST(Choices, FaultsAreReadAsTheyAreWritten) {
  EXPECT_EQ(*parse_faults("all"), std::nullopt);
  EXPECT_EQ(*parse_faults("none"), std::vector<std::string>());
  EXPECT_EQ(*parse_faults("loss,crash"), (std::vector<std::string>{"loss", "crash"}));
  EXPECT_FALSE(parse_faults("loss,,crash"));
  EXPECT_FALSE(parse_faults("lost"));
}

TEST(Report, ARuleStandsBeforeTheFirstColon) {
  RunResult result;
  result.verdict = Verdict::wrong;
  result.why = "A1 agreement: transaction 7 is committed: yes";
  EXPECT_EQ(rule_of(result), "wrong: A1 agreement");
}

}  // namespace
}  // namespace assent::sim
