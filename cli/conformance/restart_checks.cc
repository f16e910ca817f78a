// What is left after the participant was killed and started again, between each pair of steps and in the middle of one.
#include <thread>

#include "cli/conformance/checks.h"

namespace assent::conformance {

namespace {

using grpc::StatusCode;

constexpr Attempt first{1, 1};
constexpr Attempt second{2, 1};

void restart_between_prepare_and_commit(Case& c) {
  const BranchRef branch = c.fresh();
  const Told yes = c.probe().prepare(branch, first);
  c.expect_yes(yes, first);
  c.restart();
  c.expect_state(branch, v1::BRANCH_PREPARED);
  c.expect_same(c.probe().prepare(branch, first), yes);
  c.expect_code(c.probe().commit(branch, second), StatusCode::ABORTED);
  c.expect_code(c.probe().commit(branch, first), StatusCode::OK);
}

void restart_after_commit(Case& c) {
  const BranchRef branch = c.fresh();
  const Told yes = c.probe().prepare(branch, first);
  c.expect_yes(yes, first);
  c.expect_code(c.probe().commit(branch, first), StatusCode::OK);
  c.restart();
  c.expect_state(branch, v1::BRANCH_COMMITTED);
  c.expect_code(c.probe().commit(branch, first), StatusCode::OK);
  c.expect_same(c.probe().prepare(branch, first), yes);
  c.expect_code(c.probe().abort(branch, first), StatusCode::ABORTED);
}

void restart_after_abort(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_yes(c.probe().prepare(branch, first), first);
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
  c.restart();
  c.expect_code(c.probe().prepare(branch, first), StatusCode::ABORTED);
  c.expect_code(c.probe().commit(branch, first), StatusCode::ABORTED);
  c.expect_state(branch, v1::BRANCH_ABORTED);
}

void restart_after_early_abort(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
  c.restart();
  c.expect_code(c.probe().prepare(branch, first), StatusCode::ABORTED);
  c.expect_code(c.probe().prepare(branch, second), StatusCode::ABORTED);
}

void restart_after_no(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_code(c.probe().prepare(branch, first, *c.plan().refused), StatusCode::ABORTED);
  c.restart();
  c.expect_code(c.probe().prepare(branch, second), StatusCode::ABORTED);
}

// Whatever became of the call, what is found afterwards is one of the two, and stays.
void restart_in_the_middle(Case& c) {
  for (int round = 0; round < 3 && !c.failed(); ++round) {
    const BranchRef branch = c.fresh();
    std::thread caller([&] { static_cast<void>(c.probe().once(c.probe().prepare_request(branch, first))); });
    c.restart();
    caller.join();
    const Told found = c.probe().tells_status() ? c.probe().status(branch) : Told();
    c.expect(!c.probe().tells_status() ||
                 (found.ok() && (found.state == v1::BRANCH_EMPTY || found.state == v1::BRANCH_PREPARED)),
             found.text(), "BRANCH_EMPTY or BRANCH_PREPARED");
    const Told told = c.probe().prepare(branch, second);
    c.expect(told.yes() && told.has_attempt, told.text(), "OK YES");
    if (found.ok() && found.state == v1::BRANCH_PREPARED) c.expect_yes(told, first);
    c.expect_code(c.probe().commit(branch, told.attempt), StatusCode::OK);
  }
}

}  // namespace

const std::vector<Check>& restart_checks() {
  static const std::vector<Check> checks{
      {"restart-between-prepare-and-commit", "a yes is forgotten: the transaction commits everywhere else and not here",
       Needs::restart, restart_between_prepare_and_commit},
      {"restart-after-commit", "a late duplicate runs committed work again after a restart", Needs::restart,
       restart_after_commit},
      {"restart-after-abort", "a late Prepare or Commit revives an aborted branch after a restart", Needs::restart,
       restart_after_abort},
      {"restart-after-early-abort", "a late Prepare reserves for a transaction that is over; nobody frees it",
       Needs::restart, restart_after_early_abort},
      {"restart-after-a-no", "a transaction that was told aborted because of this no can still commit here",
       Needs::both, restart_after_no},
      {"restart-in-the-middle", "a crash in the middle of a Prepare leaves half of it, which no retry finds",
       Needs::restart, restart_in_the_middle},
  };
  return checks;
}

}  // namespace assent::conformance
