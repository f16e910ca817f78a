// What one call after the other is answered.
#include "cli/conformance/checks.h"

namespace assent::conformance {

namespace {

using grpc::StatusCode;

constexpr Attempt first{1, 1};
constexpr Attempt second{2, 1};

void duplicate_prepare(Case& c) {
  const BranchRef branch = c.fresh();
  const Told yes = c.probe().prepare(branch, first);
  c.expect_yes(yes, first);
  c.expect_same(c.probe().prepare(branch, first), yes);
  c.expect_state(branch, v1::BRANCH_PREPARED);
}

void prepare_of_another_attempt(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_yes(c.probe().prepare(branch, first), first);
  c.expect_yes(c.probe().prepare(branch, second), first);
  c.expect_code(c.probe().commit(branch, first), StatusCode::OK);
}

void commit_and_its_duplicates(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_yes(c.probe().prepare(branch, first), first);
  c.expect_code(c.probe().commit(branch, first), StatusCode::OK);
  c.expect_code(c.probe().commit(branch, first), StatusCode::OK);
  c.expect_state(branch, v1::BRANCH_COMMITTED);
}

void late_prepare_after_commit(Case& c) {
  const BranchRef branch = c.fresh();
  const Told yes = c.probe().prepare(branch, first);
  c.expect_yes(yes, first);
  c.expect_code(c.probe().commit(branch, first), StatusCode::OK);
  c.expect_same(c.probe().prepare(branch, first), yes);
  c.expect_state(branch, v1::BRANCH_COMMITTED);
}

void abort_after_commit(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_yes(c.probe().prepare(branch, first), first);
  c.expect_code(c.probe().commit(branch, first), StatusCode::OK);
  c.expect_code(c.probe().abort(branch, first), StatusCode::ABORTED);
  c.expect_state(branch, v1::BRANCH_COMMITTED);
}

void abort_and_its_duplicates(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_yes(c.probe().prepare(branch, first), first);
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
  c.expect_state(branch, v1::BRANCH_ABORTED);
}

void late_commit_after_abort(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_yes(c.probe().prepare(branch, first), first);
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
  c.expect_code(c.probe().commit(branch, first), StatusCode::ABORTED);
  c.expect_state(branch, v1::BRANCH_ABORTED);
}

void prepare_after_abort(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_yes(c.probe().prepare(branch, first), first);
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
  c.expect_code(c.probe().prepare(branch, first), StatusCode::ABORTED);
  c.expect_code(c.probe().prepare(branch, second), StatusCode::ABORTED);
  c.expect_state(branch, v1::BRANCH_ABORTED);
}

void abort_before_prepare(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
  c.expect_code(c.probe().prepare(branch, first), StatusCode::ABORTED);
  c.expect_code(c.probe().prepare(branch, second), StatusCode::ABORTED);
  c.expect_code(c.probe().commit(branch, first), StatusCode::ABORTED);
  c.expect_state(branch, v1::BRANCH_ABORTED);
}

void commit_without_prepare(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_code(c.probe().commit(branch, first), StatusCode::NOT_FOUND);
  c.expect_state(branch, v1::BRANCH_EMPTY);
  c.expect_yes(c.probe().prepare(branch, first), first);
}

void commit_of_another_attempt(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_yes(c.probe().prepare(branch, first), first);
  c.expect_code(c.probe().commit(branch, second), StatusCode::ABORTED);
  c.expect_code(c.probe().commit(branch, {1, 2}), StatusCode::ABORTED);
  c.expect_state(branch, v1::BRANCH_PREPARED);
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
}

void abort_of_another_attempt(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_yes(c.probe().prepare(branch, second), second);
  c.expect_code(c.probe().abort(branch, first), StatusCode::ABORTED);
  c.expect_code(c.probe().abort(branch, {2, 2}), StatusCode::ABORTED);
  c.expect_state(branch, v1::BRANCH_PREPARED);
  c.expect_code(c.probe().commit(branch, second), StatusCode::OK);
}

void truthful_status(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_state(branch, v1::BRANCH_EMPTY);
  c.expect_state(branch, v1::BRANCH_EMPTY);
  c.expect_yes(c.probe().prepare(branch, second), second);
  const Told prepared = c.probe().status(branch);
  c.expect(prepared.ok() && prepared.state == v1::BRANCH_PREPARED && prepared.attempt == second, prepared.text(),
           "BRANCH_PREPARED of attempt 2.1");
  c.expect(prepared.coordinator == "conformance", "Status told the coordinator '" + prepared.coordinator + "'",
           "'conformance', as Prepare had it");
  c.expect_code(c.probe().commit(branch, second), StatusCode::OK);
  const Told committed = c.probe().status(branch);
  c.expect(committed.ok() && committed.state == v1::BRANCH_COMMITTED && committed.attempt == second, committed.text(),
           "BRANCH_COMMITTED of attempt 2.1");
}

void branches_apart(Case& c) {
  const BranchRef one = c.fresh("/a");
  const BranchRef two{one.txn, c.plan().branch + "/A"};
  const BranchRef three{one.txn, one.branch + " "};
  const BranchRef other{c.fresh().txn, one.branch};
  std::uint64_t epoch = 0;
  for (const BranchRef& branch : {one, two, three, other}) {
    const Attempt attempt{++epoch, 1};
    c.expect_yes(c.probe().prepare(branch, attempt), attempt);
  }
  c.expect_code(c.probe().commit(one, {1, 1}), StatusCode::OK);
  c.expect_code(c.probe().abort(two, {2, 1}), StatusCode::OK);
  c.expect_state(one, v1::BRANCH_COMMITTED);
  c.expect_state(two, v1::BRANCH_ABORTED);
  c.expect_state(three, v1::BRANCH_PREPARED);
  c.expect_state(other, v1::BRANCH_PREPARED);
}

void a_no_stays(Case& c) {
  const BranchRef branch = c.fresh();
  c.expect_code(c.probe().prepare(branch, first, *c.plan().refused), StatusCode::ABORTED);
  c.expect_state(branch, v1::BRANCH_REFUSED);
  c.expect_code(c.probe().prepare(branch, first), StatusCode::ABORTED);
  c.expect_code(c.probe().prepare(branch, second), StatusCode::ABORTED);
  c.expect_code(c.probe().commit(branch, first), StatusCode::ABORTED);
  c.expect_code(c.probe().abort(branch, first), StatusCode::OK);
  c.expect_state(branch, v1::BRANCH_REFUSED);
}

}  // namespace

const std::vector<Check>& order_checks() {
  static const std::vector<Check> checks{
      {"duplicate-prepare",
       "when the answer to a Prepare is lost, its retry reserves or books a second time, or changes the vote",
       Needs::nothing, duplicate_prepare},
      {"prepare-of-another-attempt",
       "a coordinator that was replaced counts the old one's yes as its own, and commits what was prepared for "
       "another run",
       Needs::nothing, prepare_of_another_attempt},
      {"commit-and-its-duplicates", "a commit whose answer was lost is repeated for ever, or books twice",
       Needs::nothing, commit_and_its_duplicates},
      {"late-prepare-after-commit",
       "a duplicate that the network held back runs the work a second time after the commit, and nobody ends it",
       Needs::nothing, late_prepare_after_commit},
      {"abort-after-commit", "what the customer was told is done is undone by a message that came late", Needs::nothing,
       abort_after_commit},
      {"abort-and-its-duplicates", "an abort whose answer was lost is repeated for ever, or gives back twice",
       Needs::nothing, abort_and_its_duplicates},
      {"late-commit-after-abort", "half of an aborted transaction happens: the goods are sent and nobody paid",
       Needs::nothing, late_commit_after_abort},
      {"prepare-after-abort", "a Prepare that comes late reserves for a transaction that is over; nobody frees it",
       Needs::nothing, prepare_after_abort},
      {"abort-before-prepare",
       "when the Abort overtakes its Prepare, the service reserves for a transaction that is over; nobody frees it",
       Needs::nothing, abort_before_prepare},
      {"commit-without-prepare",
       "a commit that went to the wrong service or database is taken for done, and the work is lost without a trace",
       Needs::nothing, commit_without_prepare},
      {"commit-of-another-attempt", "a run that the others never voted for is committed here alone", Needs::nothing,
       commit_of_another_attempt},
      {"abort-of-another-attempt",
       "a late Abort of an earlier run undoes the yes of the one that commits everywhere else", Needs::nothing,
       abort_of_another_attempt},
      {"truthful-status", "operators and the conformance kit are misled about what is in doubt", Needs::status,
       truthful_status},
      {"branches-apart", "one branch's end commits or aborts another branch, of this or of another transaction",
       Needs::nothing, branches_apart},
      {"a-no-stays", "a transaction that was told aborted because of this no can still commit here",
       Needs::refused_payload, a_no_stays},
  };
  return checks;
}

}  // namespace assent::conformance
