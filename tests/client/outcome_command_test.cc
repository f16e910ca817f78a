// txn get, wait and seal: the words and the exit codes.
#include "tests/client/cli_fixture.h"
#include "txn_proto/api_error.h"

namespace assent::cli {
namespace {

using ::testing::HasSubstr;

class OutcomeCommand : public CliTest {
 protected:
  void say(v1::TxnState state, const std::string& reason = {}) {
    cluster.on_outcome = [=](const v1::GetOutcomeRequest& request, v1::Transaction& response) {
      if (state == v1::ABORTED) return test::abort_with(response, request.txn_id(), reason);
      return test::answer(response, request.txn_id(), state);
    };
  }
};

TEST_F(OutcomeCommand, WaitEndsWithTheOutcome) {
  say(v1::COMMITTED);
  EXPECT_EQ(run({"txn", "wait", id}), 0);
  EXPECT_THAT(out.str(), HasSubstr("COMMITTED"));
  say(v1::ABORTED, "timeout");
  EXPECT_EQ(run({"txn", "wait", id}), 6);
  say(v1::UNKNOWN);
  EXPECT_EQ(run({"txn", "wait", id}), 4);
}

TEST_F(OutcomeCommand, WaitLetsTheLeaderHoldTheAnswerBackUntilThereIsOne) {
  int asked = 0;
  cluster.on_outcome = [&](const v1::GetOutcomeRequest& request, v1::Transaction& response) {
    ++asked;
    const bool decided = request.wait_millis() > 0 && asked > 3;
    return test::answer(response, request.txn_id(), decided ? v1::COMMITTED : v1::RUNNING);
  };
  EXPECT_EQ(run({"txn", "wait", id, "--for", "20s"}), 0);
  EXPECT_EQ(asked, 4);
}

TEST_F(OutcomeCommand, WaitForWhatStaysUndecidedIsATimeOut) {
  say(v1::RUNNING);
  EXPECT_EQ(run({"txn", "wait", id, "--for", "50ms", "-o", "json"}), 124);
  EXPECT_EQ(document()["state"], "RUNNING");
  EXPECT_THAT(document()["note"].get<std::string>(), HasSubstr("undecided after 50 ms"));
}

TEST_F(OutcomeCommand, SealOfACommittedOneSaysCommitted) {
  say(v1::COMMITTED);
  EXPECT_EQ(run({"txn", "seal", id}), 0);
  EXPECT_THAT(out.str(), HasSubstr("COMMITTED"));
  EXPECT_THAT(out.str(), HasSubstr("had committed before; nothing was changed"));
  EXPECT_EQ(run({"txn", "seal", id, "-o", "json"}), 0);
  EXPECT_EQ(document()["seal"], "had_committed");
}

TEST_F(OutcomeCommand, SealTellsItsOwnAbortFromAnEarlierOne) {
  say(v1::ABORTED, "sealed");
  EXPECT_EQ(run({"txn", "seal", id, "-o", "json"}), 6);
  EXPECT_EQ(document()["seal"], "sealed");
  say(v1::ABORTED, "conflict");
  EXPECT_EQ(run({"txn", "seal", id, "-o", "json"}), 6);
  EXPECT_EQ(document()["seal"], "had_aborted");
}

TEST_F(OutcomeCommand, SealOfWhatNobodyKnowsSealsEveryShard) {
  cluster.on_outcome = [](const v1::GetOutcomeRequest& request, v1::Transaction& response) {
    if (request.seal() && request.group() != "c0") return test::abort_with(response, request.txn_id(), "sealed");
    return test::answer(response, request.txn_id(), v1::UNKNOWN);
  };
  EXPECT_EQ(run({"txn", "seal", id}), 6);
  EXPECT_THAT(out.str(), HasSubstr("sealed now and can never commit"));
}

TEST_F(OutcomeCommand, SealOfWhatStaysUndecidedIsUnknown) {
  say(v1::RUNNING);
  EXPECT_EQ(run({"txn", "seal", id, "--wait", "50ms", "-o", "json"}), 7);
  EXPECT_EQ(document()["seal"], "open");
}

TEST_F(OutcomeCommand, MistakesAreUsageErrors) {
  EXPECT_EQ(run({"txn", "seal"}), 2);
  EXPECT_EQ(run({"txn", "wait", "not-an-id"}), 2);
  EXPECT_THAT(err.str(), HasSubstr("not-an-id"));
  EXPECT_EQ(run({"txn", "wait", id, "--for", "soon"}), 2);
  EXPECT_THAT(err.str(), HasSubstr("--for"));
}

}  // namespace
}  // namespace assent::cli
