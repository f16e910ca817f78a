// What calls that come at the same time are answered.
#include <array>
#include <barrier>
#include <thread>

#include "cli/conformance/checks.h"

namespace assent::conformance {

namespace {

using grpc::StatusCode;

constexpr int callers = 8;
constexpr int rounds = 5;

// Each caller at the same moment, each until its answer is definite.
template <class CallOf>
std::vector<Told> together(int count, const CallOf& call) {
  std::vector<Told> told(static_cast<std::size_t>(count));
  std::barrier start(count);
  std::vector<std::thread> threads;
  threads.reserve(told.size());
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      told[static_cast<std::size_t>(i)] = call(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return told;
}

void parallel_duplicates(Case& c) {
  for (int round = 0; round < rounds && !c.failed(); ++round) {
    const BranchRef branch = c.fresh();
    const auto told = together(callers, [&](int) { return c.probe().prepare(branch, {1, 1}); });
    for (const Told& one : told) {
      c.expect_yes(one, {1, 1});
      c.expect_same(one, told[0]);
    }
    c.expect_state(branch, v1::BRANCH_PREPARED);
    const auto ended = together(callers, [&](int) { return c.probe().commit(branch, {1, 1}); });
    for (const Told& one : ended) c.expect_code(one, StatusCode::OK);
  }
}

void parallel_attempts(Case& c) {
  for (int round = 0; round < rounds && !c.failed(); ++round) {
    const BranchRef branch = c.fresh();
    const auto told = together(callers, [&](int i) {
      return c.probe().prepare(branch, {static_cast<std::uint64_t>(i) + 1, 1});
    });
    for (const Told& one : told) {
      c.expect(one.yes(), one.text(), "OK YES");
      c.expect_same(one, told[0]);
    }
    if (!c.failed()) c.expect_code(c.probe().abort(branch, told[0].attempt), StatusCode::OK);
  }
}

void prepare_beside_abort(Case& c) {
  for (int round = 0; round < 2 * rounds && !c.failed(); ++round) {
    const BranchRef branch = c.fresh();
    const auto told = together(2, [&](int i) {
      return i == 0 ? c.probe().prepare(branch, {1, 1}) : c.probe().abort(branch, {1, 1});
    });
    c.expect(told[0].yes() || told[0].code == StatusCode::ABORTED, told[0].text(), "OK YES or ABORTED");
    c.expect_code(told[1], StatusCode::OK);
    c.expect_state(branch, v1::BRANCH_ABORTED);
    c.expect_code(c.probe().commit(branch, {1, 1}), StatusCode::ABORTED);
  }
}

void commit_beside_abort(Case& c) {
  for (int round = 0; round < 2 * rounds && !c.failed(); ++round) {
    const BranchRef branch = c.fresh();
    c.expect_yes(c.probe().prepare(branch, {1, 1}), {1, 1});
    const auto told = together(2, [&](int i) {
      return i == 0 ? c.probe().commit(branch, {1, 1}) : c.probe().abort(branch, {1, 1});
    });
    const bool one_won = told[0].ok() != told[1].ok();
    c.expect(one_won, told[0].text() + ", and at the same time " + told[1].text(),
             "OK for one and ABORTED for the other");
    c.expect_state(branch, told[0].ok() ? v1::BRANCH_COMMITTED : v1::BRANCH_ABORTED);
  }
}

}  // namespace

const std::vector<Check>& parallel_checks() {
  static const std::vector<Check> checks{
      {"parallel-duplicates", "a retry that overtakes the first call runs the work twice at the same time",
       Needs::nothing, parallel_duplicates},
      {"parallel-attempts", "two coordinators each believe that the branch is prepared for them", Needs::nothing,
       parallel_attempts},
      {"prepare-beside-abort", "a Prepare that races its Abort leaves something reserved for ever", Needs::nothing,
       prepare_beside_abort},
      {"commit-beside-abort", "a branch is told both committed and aborted", Needs::nothing, commit_beside_abort},
  };
  return checks;
}

}  // namespace assent::conformance
