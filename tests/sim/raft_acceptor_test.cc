// C24: what the cores do under every fault is what Raft as published may do; and an acceptor that accepts anything
// would be seen, for each rule that it judges by is broken once by hand.
#include "raft_acceptor.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "traces.h"

namespace assent::sim {
namespace {

using nlohmann::json;
using testing::Trace;
using testing::trace_seeds;

Trace raft_trace(std::uint64_t seed, const Choices& choices) {
  return testing::trace_of(seed, choices, &RunOptions::raft_trace_path);
}

testing::TraceJudgement judge(const Trace& trace) { return testing::judge_trace<testing::RaftAcceptor>(trace); }

Choices mixed() {
  Choices choices;
  choices.workload = "mixed";
  // Raft as published knows no replica that gives up what it held, nor one that lost it.
  choices.plain_leaving = true;
  choices.plain_disks = true;
  return choices;
}

Choices few() {
  Choices choices;
  choices.faults = std::vector<std::string>{"crash"};
  choices.clients = 1;
  choices.requests = 10;
  choices.chaos = 2 * second;
  choices.plain_limits = true;
  return choices;
}

TEST(RaftAcceptor, C24_AcceptsWhatDrawnSeedsLeave) {
  for (std::uint64_t seed = 1; seed <= trace_seeds(); ++seed) {
    const Trace trace = raft_trace(seed, mixed());
    ASSERT_GT(trace.size(), 300U) << seed;
    const auto [why, line] = judge(trace);
    ASSERT_EQ(why, "") << "seed " << seed << ", line " << line + 1 << ": " << trace[line].dump();
  }
}

TEST(RaftAcceptor, C24_AcceptsChangesOfMembersAndLostDisks) {
  Choices choices = mixed();
  choices.faults =
      std::vector<std::string>{"membership", "lost-disk", "crash", "partition", "loss", "duplicate", "stale"};
  std::size_t changes = 0;
  std::size_t incarnations = 0;
  for (std::uint64_t seed = 1; seed <= trace_seeds() / 2; ++seed) {
    const Trace trace = raft_trace(seed, choices);
    const auto [why, line] = judge(trace);
    ASSERT_EQ(why, "") << "seed " << seed << ", line " << line + 1 << ": " << trace[line].dump();
    for (const json& one : trace) {
      changes += one["event"]["conf"][1].empty() ? 0 : 1;
      incarnations += one["event"]["nid"].get<std::string>().find('.') != std::string::npos ? 1 : 0;
    }
  }
  EXPECT_GT(changes, 0U) << "no joint membership was in any trace";
  EXPECT_GT(incarnations, 0U) << "nobody came back with another disk";
}

// ---- tampered with
// ---------------------------------------------------------------------------------------------------

struct Tampering {
  const char* name;
  std::function<bool(Trace&)> change;  // false when the trace has nothing of the kind
  const char* why;                     // what the acceptor must say
};

// Changes the last line for which `here` holds: by then there is something to break.
bool change_last(Trace& trace, const std::function<bool(const json&)>& here, const std::function<void(json&)>& change) {
  for (std::size_t i = trace.size(); i-- > 0;) {
    if (!here(trace[i]["event"])) continue;
    change(trace[i]["event"]);
    return true;
  }
  return false;
}
bool erase_all(Trace& trace, const std::function<bool(const json&)>& here) {
  return std::erase_if(trace, [&](const json& line) { return here(line["event"]); }) > 0;
}
auto message(std::string name, std::string type) {
  return [name, type](const json& event) { return event["name"] == name && event["msg"]["type"] == type; };
}
bool leads(const json& event) { return event["role"] == "StateLeader"; }
bool follows(const json& event) { return event["role"] == "StateFollower" && event["name"] != "InitState"; }

std::vector<Tampering> tamperings() {
  const auto raise = [](const char* part) {
    return [part](json& event) { event[part] = event[part].get<std::uint64_t>() + 1; };
  };
  const auto raise_state = [](const char* part) {
    return [part](json& event) { event["state"][part] = event["state"][part].get<std::uint64_t>() + 1; };
  };
  return {
      {"ATermThatNobodyBegan", [=](Trace& t) { return change_last(t, follows, raise_state("term")); },
       "a term that nobody began"},
      {"AnotherVote", [](Trace& t) { return change_last(t, leads, [](json& e) { e["state"]["vote"] = "9"; }); },
       "votes twice"},
      {"AVoteThatWasNotGiven",
       [](Trace& t) {
         return change_last(t, message("SendRequestVoteResponse", "MsgVoteResp"), [](json& e) {
           e["msg"]["reject"] = false;
           e["msg"]["to"] = "9";
         });
       },
       "a vote that it did not give"},
      {"NobodyVoted", [](Trace& t) { return erase_all(t, message("ReceiveRequestVoteResponse", "MsgVoteResp")); },
       "without the votes of a majority"},
      {"TwoLeaders", [](Trace& t) { return change_last(t, follows, [](json& e) { e["role"] = "StateLeader"; }); },
       "did not vote for itself"},
      {"NobodyAcknowledged",
       [](Trace& t) { return erase_all(t, message("ReceiveAppendEntriesResponse", "MsgAppResp")); },
       "without a majority"},
      {"AMessageOutOfNowhere",
       [](Trace& t) {
         return erase_all(t, [](const json& e) {
           return e["name"] == "SendAppendEntriesRequest" && e["msg"]["type"] == "MsgApp" && e["msg"]["entries"] > 0;
         });
       },
       "a message comes that nobody sent"},
      {"AnAcknowledgementOfMore",
       [](Trace& t) {
         return change_last(t, message("SendAppendEntriesResponse", "MsgAppResp"), [](json& e) {
           e["msg"]["reject"] = false;
           e["msg"]["index"] = e["log"].get<std::uint64_t>() + 5;
         });
       },
       "what it did not take in"},
      {"AnAppendOfMore",
       [](Trace& t) {
         return change_last(t, message("SendAppendEntriesRequest", "MsgApp"),
                            [](json& e) { e["msg"]["entries"] = e["msg"]["entries"].get<std::uint64_t>() + 50; });
       },
       "more entries than its leader"},
      {"AnAppendAfterAnotherEntry",
       [](Trace& t) {
         return change_last(t, message("SendAppendEntriesRequest", "MsgApp"),
                            [](json& e) { e["msg"]["logTerm"] = e["msg"]["logTerm"].get<std::uint64_t>() + 1; });
       },
       "names an entry that its leader does not have"},
      {"ALongerLog", [=](Trace& t) { return change_last(t, follows, raise("log")); }, "its log ends at"},
      {"AnotherLog", [=](Trace& t) { return change_last(t, follows, raise("logTerm")); }, "its log ends at"},
      {"AFollowerAhead",
       [](Trace& t) {
         return change_last(t, follows, [](json& e) { e["state"]["commit"] = e["log"].get<std::uint64_t>() + 1; });
       },
       "committed what it does not have"},
      {"ACommitTakenBack", [](Trace& t) { return change_last(t, leads, [](json& e) { e["state"]["commit"] = 0; }); },
       "commit index goes down"},
      {"OtherMembers", [](Trace& t) { return change_last(t, leads, [](json& e) { e["conf"][0].erase(0); }); },
       "know different members"},
      {"AForgottenTerm",
       [](Trace& t) {
         return change_last(
             t, [](const json& e) { return e["name"] == "InitState" && e["state"]["term"] > 0; },
             [](json& e) {
               e["state"]["term"] = 0;
               e["state"]["vote"] = "0";
             });
       },
       "forgot a term"},
      {"AForgottenLog",
       [](Trace& t) {
         return change_last(
             t, [](const json& e) { return e["name"] == "InitState" && e["log"] > 0; },
             [](json& e) {
               e["log"] = 0;
               e["logTerm"] = 0;
               e["state"]["commit"] = 0;
             });
       },
       "lost entries that it had acknowledged"},
      {"ACampaignWithAnotherLog",
       [](Trace& t) {
         return change_last(t, message("SendRequestVoteRequest", "MsgVote"),
                            [](json& e) { e["msg"]["index"] = e["msg"]["index"].get<std::uint64_t>() + 1; });
       },
       "names another log than its own"},
  };
}

// Of the first seed in which somebody comes back to what he had.
Trace trace_with_a_restart() {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Trace trace = raft_trace(seed, few());
    const bool restarts = std::any_of(trace.begin(), trace.end(), [](const json& line) {
      const json& event = line["event"];
      return event["name"] == "InitState" && event["state"]["term"] > 0 && event["log"] > 0;
    });
    if (restarts) return trace;
  }
  ADD_FAILURE() << "no seed restarts a member";
  return {};
}

TEST(RaftAcceptor, C24_RejectsALineThatWasTamperedWith) {
  const Trace honest = trace_with_a_restart();
  ASSERT_EQ(judge(honest).why, "");
  for (const Tampering& tampering : tamperings()) {
    SCOPED_TRACE(tampering.name);
    Trace trace = honest;
    ASSERT_TRUE(tampering.change(trace));
    EXPECT_NE(judge(trace).why.find(tampering.why), std::string::npos) << "it says \"" << judge(trace).why << '"';
  }
}

// Whichever line it is: only a leader may have appended.
TEST(RaftAcceptor, C24_RejectsAnotherLogAtAnyLine) {
  const Trace honest = raft_trace(3, few());
  for (std::size_t i = 0; i < std::min<std::size_t>(honest.size(), 400); ++i) {
    if (leads(honest[i]["event"])) continue;
    Trace trace(honest.begin(), honest.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    json& log = trace[i]["event"]["log"];
    log = log.get<std::uint64_t>() + 1;
    EXPECT_NE(judge(trace).why, "") << "line " << i + 1 << ": " << trace[i].dump();
  }
}

}  // namespace
}  // namespace assent::sim
