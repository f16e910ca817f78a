// txn in-doubt, explain, resolve and forget: what they print and what they end with.
#include "tests/client/cli_fixture.h"
#include "txn_proto/api_error.h"

namespace assent::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class ExplainCommand : public CliTest {
 protected:
  // s1 is in doubt about it; s2 has not said what it voted.
  void in_doubt() {
    cluster.on_explain = [](const v1::ExplainRequest& request, v1::ExplainResponse& response) {
      if (request.group() != "s1") return grpc::Status::OK;
      v1::Sight& sight = *response.add_sights();
      sight.set_txn_id(id);
      sight.set_stage("resolving");
      sight.set_protocol(v1::PAXOS_COMMIT);
      sight.set_coordinator("c0");
      for (const char* group : {"s1", "s2"}) sight.add_participants(group);
      sight.add_missing("s2");
      sight.add_blocks("0193a6b2614a7b119a4d0f53c1e09b10");
      sight.set_millis(42'000);
      return grpc::Status::OK;
    };
  }
  // Its commit was forced at both shards; at s2 it has not ended, unless `over`.
  void forced(bool over) {
    cluster.on_explain = [over](const v1::ExplainRequest& request, v1::ExplainResponse& response) {
      if (request.group() == "c0") return grpc::Status::OK;
      v1::Sight& sight = *response.add_sights();
      sight.set_txn_id(id);
      sight.set_stage(over || request.group() == "s1" ? "forced" : "resolving");
      sight.set_protocol(v1::PAXOS_COMMIT);
      sight.set_coordinator("c0");
      sight.mutable_heuristic()->set_commit(true);
      sight.mutable_heuristic()->set_reason("s3 burnt");
      return grpc::Status::OK;
    };
    cluster.on_forget = [this](const v1::ForgetRequest& request, v1::Transaction& response) {
      forgotten.push_back(request);
      return test::answer(response, request.txn_id(), v1::ABORTED);
    };
  }
  std::vector<v1::ForgetRequest> forgotten;

  void runs() {
    cluster.on_explain = [](const v1::ExplainRequest& request, v1::ExplainResponse& response) {
      if (request.group() != "c0") return grpc::Status::OK;
      v1::Sight& sight = *response.add_sights();
      sight.set_txn_id(id);
      sight.set_stage("collecting");
      sight.add_participants("s2");
      sight.add_missing("s2");
      sight.set_left_millis(1'000);
      return grpc::Status::OK;
    };
  }
  void outcome(v1::TxnState state) {
    cluster.on_outcome = [state](const v1::GetOutcomeRequest& request, v1::Transaction& response) {
      return test::answer(response, request.txn_id(), state);
    };
  }
};

TEST_F(ExplainCommand, LocksListsWhoBlocksWhom) {
  cluster.on_explain = [](const v1::ExplainRequest& request, v1::ExplainResponse& response) {
    EXPECT_EQ(request.txn_id(), "");
    if (request.group() != "s1") return grpc::Status::OK;
    v1::Sight& alone = *response.add_sights();
    alone.set_txn_id("0193a6b2614a7b119a4d0f53c1e09b11");
    alone.set_stage("in-doubt");
    v1::Sight& waiter = *response.add_sights();
    waiter.set_txn_id("0193a6b2614a7b119a4d0f53c1e09b10");
    waiter.set_stage("waiting");
    waiter.add_waits_for(id);
    waiter.set_millis(1'500);
    return grpc::Status::OK;
  };
  EXPECT_EQ(run({"group", "locks"}), 0);
  EXPECT_THAT(out.str(),
              HasSubstr("s1     0193a6b2614a7b119a4d0f53c1e09b10  waiting  1.5s      0  " + std::string(id)));
  EXPECT_THAT(out.str(), Not(HasSubstr("c1e09b11"))) << "nobody waits for it";
  EXPECT_EQ(run({"group", "locks", "-o", "json"}), 0);
  ASSERT_THAT(document()["locks"], SizeIs(1));
  EXPECT_EQ(document()["locks"][0]["waitsFor"][0], id);
  in_doubt();
  EXPECT_EQ(run({"group", "locks"}), 0);
  EXPECT_THAT(out.str(), HasSubstr("0193a6b2614a7b119a4d0f53c1e09b10")) << "whom it blocks";
}

TEST_F(ExplainCommand, InDoubtListsWhyAndWhom) {
  EXPECT_EQ(run({"txn", "in-doubt"}), 0);
  EXPECT_EQ(out.str(), "TXID  PROTOCOL  AGE  LOCKS  BLOCKS  WHY\n");
  in_doubt();
  EXPECT_EQ(run({"txn", "in-doubt"}), 0);
  EXPECT_THAT(out.str(), HasSubstr(std::string(id) + "  paxos-commit  42.0s"));
  EXPECT_THAT(out.str(), HasSubstr("s2 has not said"));
  EXPECT_EQ(run({"txn", "in-doubt", "-o", "json"}), 0);
  ASSERT_THAT(document()["inDoubt"], SizeIs(1));
  EXPECT_EQ(document()["inDoubt"][0]["ageMillis"], "42000");
  EXPECT_THAT(document()["inDoubt"][0]["blocks"], SizeIs(1));
}

TEST_F(ExplainCommand, AListThatMayLackSomeSaysSo) {
  cluster.lead("s2", "");
  EXPECT_EQ(run({"--timeout", "2s", "txn", "in-doubt"}), 5);
  EXPECT_THAT(err.str(), HasSubstr("s2 could not be asked: it has no leader"));
}

TEST_F(ExplainCommand, ExplainSaysWhyAndWhatNext) {
  in_doubt();
  EXPECT_EQ(run({"txn", "explain", id}), 7);
  EXPECT_THAT(out.str(), HasSubstr("state        IN_DOUBT"));
  EXPECT_THAT(out.str(), HasSubstr("why          s1 voted yes"));
  EXPECT_THAT(out.str(), HasSubstr("next         "));
}

TEST_F(ExplainCommand, OfWhatIsOverTheOutcomeIsTheExplanation) {
  outcome(v1::COMMITTED);
  EXPECT_EQ(run({"txn", "explain", id, "-o", "json"}), 0);
  EXPECT_EQ(document()["state"], "COMMITTED");
  outcome(v1::UNKNOWN);
  EXPECT_EQ(run({"txn", "explain", id}), 4);
}

TEST_F(ExplainCommand, ResolveRefusesWhatTheVotesDoNotProve) {
  in_doubt();
  outcome(v1::PREPARED);
  EXPECT_EQ(run({"txn", "resolve", id, "--wait", "10ms", "-o", "json"}), 8);
  EXPECT_THAT(document()["refused"].get<std::string>(), HasSubstr("the vote of s2 is not known"));
}

TEST_F(ExplainCommand, ResolveEndsAsTheProtocolDecides) {
  in_doubt();
  outcome(v1::COMMITTED);
  EXPECT_EQ(run({"txn", "resolve", id}), 0);
  cluster.on_outcome = [](const v1::GetOutcomeRequest& request, v1::Transaction& response) {
    return test::abort_with(response, request.txn_id(), "sealed");
  };
  EXPECT_EQ(run({"txn", "resolve", id}), 6);
}

TEST_F(ExplainCommand, ResolveOfARunningAFinishedAndAnUnknownTransaction) {
  runs();
  EXPECT_EQ(run({"txn", "resolve", id}), 8);
  EXPECT_THAT(out.str(), HasSubstr("c0 attends to it"));
  cluster.on_explain = {};
  outcome(v1::COMMITTED);
  EXPECT_EQ(run({"txn", "resolve", id}), 8);
  EXPECT_THAT(out.str(), HasSubstr("it is over: it committed"));
  outcome(v1::UNKNOWN);
  EXPECT_EQ(run({"txn", "resolve", id}), 4);
}

TEST_F(ExplainCommand, P25_AHeuristicIsConfirmedAndToldToTheShardsInDoubt) {
  in_doubt();
  outcome(v1::PREPARED);
  std::vector<v1::OverrideRequest> forced;
  cluster.on_override = [&](const v1::OverrideRequest& request, v1::Transaction& response) {
    forced.push_back(request);
    return test::answer(response, request.txn_id(), v1::PREPARED);
  };
  const std::vector<std::string> command{"txn",         "resolve", id,         "--wait",  "10ms",
                                         "--heuristic", "commit",  "--reason", "s2 burnt"};
  in.str("2277a5\n");
  EXPECT_EQ(run(command), 8);
  EXPECT_THAT(out.str(), HasSubstr("nothing was forced"));
  EXPECT_THAT(err.str(), HasSubstr("the vote of s2 is not known"));
  EXPECT_TRUE(forced.empty());
  in.clear();
  in.str("2277a4\n");
  EXPECT_EQ(run(command), 0);
  ASSERT_THAT(forced, SizeIs(1));
  EXPECT_EQ(forced[0].shard(), "s1");
  EXPECT_TRUE(forced[0].commit());
  EXPECT_EQ(forced[0].reason(), "s2 burnt");
  std::vector<std::string> elsewhere = command;
  elsewhere.insert(elsewhere.end(), {"--yes", "--on", "s2"});
  EXPECT_EQ(run(elsewhere), 8) << "s2 is not in doubt";
  EXPECT_THAT(forced, SizeIs(1));
}

TEST_F(ExplainCommand, P25_WhatWasForcedIsForgottenAtEachShardThatListsIt) {
  forced(true);
  const std::vector<std::string> command{"txn", "forget", id, "--reason", "repaired"};
  in.str("2277a5\n");
  EXPECT_EQ(run(command), 8);
  EXPECT_THAT(out.str(), HasSubstr("nothing was forgotten"));
  EXPECT_THAT(err.str(), HasSubstr("its commit was forced at s1: s3 burnt; it aborted"));
  EXPECT_TRUE(forgotten.empty());
  in.clear();
  in.str("2277a4\n");
  EXPECT_EQ(run(command), 0);
  ASSERT_THAT(forgotten, SizeIs(2));
  EXPECT_EQ(forgotten[0].shard(), "s1");
  EXPECT_EQ(forgotten[1].shard(), "s2");
  EXPECT_EQ(forgotten[0].reason(), "repaired");
  EXPECT_EQ(run({"txn", "forget", id, "--reason", "repaired", "--yes", "--on", "s2", "-o", "json"}), 0);
  EXPECT_EQ(document()["forgotten"], nlohmann::json::parse(R"(["s2"])"));
}

TEST_F(ExplainCommand, P25_WhatIsStillNeededIsNotForgotten) {
  forced(false);
  EXPECT_EQ(run({"txn", "forget", id, "--reason", "repaired", "--yes"}), 8);
  EXPECT_THAT(out.str(), HasSubstr("it has not ended at s2"));
  in_doubt();
  EXPECT_EQ(run({"txn", "forget", id, "--reason", "repaired", "--yes"}), 8);
  EXPECT_THAT(out.str(), HasSubstr("nothing that was forced on it is listed"));
  EXPECT_TRUE(forgotten.empty());
  EXPECT_EQ(run({"txn", "forget", id, "--yes"}), 2) << "it needs a reason";
  forced(true);
  cluster.lead("s2", "");
  EXPECT_EQ(run({"--timeout", "2s", "txn", "forget", id, "--reason", "repaired", "--yes"}), 5);
  EXPECT_THAT(err.str(), HasSubstr("s2 could not be asked, and may still list it"));
  EXPECT_THAT(forgotten, SizeIs(1));
}

TEST_F(ExplainCommand, P25_AHeuristicIsNotForWhatEndsByItself) {
  runs();
  EXPECT_EQ(run({"txn", "resolve", id, "--heuristic", "abort", "--reason", "why", "--yes"}), 8);
  in_doubt();
  outcome(v1::COMMITTED);
  EXPECT_EQ(run({"txn", "resolve", id, "--heuristic", "abort", "--reason", "why", "--yes"}), 0) << "as it came out";
  EXPECT_EQ(run({"txn", "resolve", id, "--heuristic", "abort"}), 2);
  EXPECT_EQ(run({"txn", "resolve", id, "--heuristic", "maybe", "--reason", "why"}), 2);
  EXPECT_EQ(run({"txn", "resolve", id, "--reason", "why"}), 2);
}

}  // namespace
}  // namespace assent::cli
