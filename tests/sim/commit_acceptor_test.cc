// P30: what becomes of transactions under every fault is what the specification of two-phase commit allows; and each of
// its rules rejects a trace that breaks it.
#include "commit_acceptor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "traces.h"

namespace assent::sim {
namespace {

using nlohmann::json;
using testing::Trace;

testing::TraceJudgement judge(const Trace& trace) { return testing::judge_trace<testing::CommitAcceptor>(trace); }

TEST(CommitAcceptor, P30_AcceptsWhatDrawnSeedsLeave) {
  std::size_t decided = 0;
  std::size_t aborted = 0;
  for (std::uint64_t seed = 1; seed <= 3 * testing::trace_seeds(); ++seed) {
    Choices choices;
    choices.workload = "mixed";
    // The trace does not show what services vote.
    if (!draw_swarm(Rng(seed).split("swarm"), choices).services.empty()) continue;
    const Trace trace = testing::trace_of(seed, choices, &RunOptions::commit_trace_path);
    const auto [why, line] = judge(trace);
    ASSERT_EQ(why, "") << "seed " << seed << ", line " << line + 1 << ": " << trace[line].dump();
    for (const json& one : trace) {
      decided += one["event"] == "decide" && one["participants"].size() > 1 ? 1 : 0;
      aborted += one["event"] == "finish applied" && one["outcome"] == "aborted" ? 1 : 0;
    }
  }
  EXPECT_GT(decided, 1'000U) << "hardly anything spanned several shards";
  EXPECT_GT(aborted, 100U) << "hardly anything was aborted";
}

// ---- tampered with
// ---------------------------------------------------------------------------------------------------

json prepare(const char* at, bool yes = true, int attempt = 1) {
  return {
      {"id", "a"}, {"event", "prepare"}, {"participant", at}, {"vote", yes ? "yes" : "no"}, {"attempt", {1, attempt}}};
}
json hear(const char* from, int attempt = 1) {
  return {{"id", "a"}, {"event", "vote received"}, {"participant", from}, {"vote", "yes"}, {"attempt", {1, attempt}}};
}
json decide(int attempt = 1) {
  return {{"id", "a"},
          {"event", "decide"},
          {"participant", "1"},
          {"outcome", "committed"},
          {"attempt", {1, attempt}},
          {"participants", {"2", "3"}}};
}
json finish(const char* at, const char* outcome = "committed") {
  return {{"id", "a"}, {"event", "finish applied"}, {"participant", at}, {"outcome", outcome}};
}
json tell(const char* outcome = "committed") {
  return {{"id", "a"}, {"event", "outcome told"}, {"participant", "1"}, {"outcome", outcome}};
}

TEST(CommitAcceptor, P30_AcceptsACommitAndAnAbort) {
  EXPECT_EQ(judge({prepare("2"), hear("2"), prepare("3"), hear("3"), decide(), tell(), finish("2"), finish("3")}).why,
            "");
  EXPECT_EQ(judge({prepare("2"), prepare("3", false), tell("aborted"), finish("2", "aborted")}).why, "");
}

TEST(CommitAcceptor, P30_RejectsWhatBreaksARule) {
  const std::vector<std::pair<Trace, const char*>> broken = {
      {{hear("2")}, "a yes is heard that no log held"},
      {{prepare("2"), hear("2", 2)}, "a yes is heard that no log held"},
      {{prepare("2"), prepare("2", false)}, "votes twice"},
      {{prepare("2"), decide()}, "not everybody is prepared"},
      {{prepare("2"), prepare("3", false), decide()}, "not everybody is prepared"},
      {{prepare("2"), prepare("3", true, 2), decide()}, "a yes to another attempt"},
      {{prepare("2"), prepare("3"), decide(), decide()}, "decided twice"},
      {{prepare("2"), prepare("3"), tell("aborted"), decide()}, "after somebody saw it abort"},
      {{prepare("2"), prepare("3"), finish("3", "aborted"), decide()}, "after somebody saw it abort"},
      {{prepare("2"), prepare("3"), finish("2")}, "nothing is decided"},
      {{prepare("2"), prepare("3"), decide(), finish("4")}, "that is not prepared"},
      {{prepare("2"), prepare("3"), decide(), finish("2", "aborted")}, "aborts what is committed"},
      {{prepare("2"), prepare("3"), decide(), finish("2"), finish("2", "aborted")}, "aborts what it had committed"},
      {{prepare("2"), prepare("3"), tell()}, "a commit that is not decided"},
      {{prepare("2"), prepare("3"), decide(), tell("aborted")}, "the abort of what is committed"},
  };
  for (const auto& [trace, why] : broken) {
    const auto judgement = judge(trace);
    EXPECT_NE(judgement.why.find(why), std::string::npos) << "for " << why << " it says \"" << judgement.why << '"';
    EXPECT_EQ(judgement.line, trace.size() - 1);
  }
}

}  // namespace
}  // namespace assent::sim
