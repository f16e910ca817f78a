#include "cli/conformance/conformance.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "cli/conformance/checks.h"
#include "cli/conformance/probe.h"
#include "client/transaction.h"
#include "txn_proto/api_error.h"

namespace assent::conformance {

namespace {

constexpr std::chrono::seconds restart_time{30};

Finding carry_out(const Check& check, Probe& probe, const Plan& plan) {
  Finding finding;
  finding.check = check.name;
  if ((check.needs == Needs::refused_payload || check.needs == Needs::both) && !plan.refused) {
    finding.verdict = Verdict::skipped;
    finding.seen = "needs --refused, a payload that the participant says no to";
    return finding;
  }
  if ((check.needs == Needs::restart || check.needs == Needs::both) && !plan.restart) {
    finding.verdict = Verdict::skipped;
    finding.seen = "needs --restart-hook, a command that kills the participant and starts it again";
    return finding;
  }
  if (check.needs == Needs::status && !probe.tells_status()) {
    finding.verdict = Verdict::skipped;
    finding.seen = "needs a status, which this service does not tell";
    return finding;
  }
  Case one(probe, plan);
  check.run(one);
  if (!one.failed()) return finding;
  finding.verdict = Verdict::failed;
  finding.seen = one.seen();
  finding.cost = check.cost;
  return finding;
}

// Without a yes nothing else can be judged.
Finding first_yes(Probe& probe, const Plan& plan) {
  Finding finding;
  finding.check = "a-yes";
  Case one(probe, plan);
  const BranchRef branch = one.fresh();
  const Told told = probe.prepare(branch);
  one.expect(told.yes(), told.text(), "OK YES: give --payload with something that the participant says yes to");
  if (!one.failed()) one.expect_yes(told, {});
  if (!one.failed()) static_cast<void>(probe.status(branch));  // whether it tells it
  if (!one.failed()) static_cast<void>(probe.abort(branch));
  if (!one.failed()) return finding;
  finding.verdict = Verdict::failed;
  finding.seen = one.seen();
  finding.cost = "no transaction with this participant can commit, and none of the other checks can be made";
  return finding;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed: return "passed";
    case Verdict::failed: return "failed";
    case Verdict::skipped: return "skipped";
  }
  return "?";
}

bool Report::conforms() const { return count(Verdict::failed) == 0; }

std::size_t Report::count(Verdict verdict) const {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(), [&](const Finding& one) { return one.verdict == verdict; }));
}

Report prove(const Plan& plan, const std::function<void(const Finding&)>& told) {
  Probe probe({plan.target, plan.participant, plan.payload, plan.patience, plan.ca_file});
  Report report;
  const auto add = [&](Finding finding) {
    if (told) told(finding);
    report.findings.push_back(std::move(finding));
  };
  add(first_yes(probe, plan));
  if (!report.conforms()) return report;
  for (const auto* checks : {&order_checks(), &parallel_checks(), &input_checks(), &restart_checks()}) {
    for (const Check& check : *checks) add(carry_out(check, probe, plan));
  }
  return report;
}

// ---- one check under way ----

BranchRef Case::fresh(std::string_view suffix) const {
  return {client::new_txn_id(), plan_.branch + std::string(suffix)};
}

void Case::expect(bool right, const std::string& seen, const std::string& wanted) {
  if (right || failed()) return;
  seen_ = fmt::format("{}; it should have been {}", seen, wanted);
}

void Case::expect_code(const Told& told, grpc::StatusCode code) {
  expect(told.code == code, told.text(), name_of(code));
}

void Case::expect_yes(const Told& told, Attempt attempt) {
  expect(told.yes() && told.has_attempt && told.attempt == attempt, told.text(),
         fmt::format("OK YES of attempt {}", to_string(attempt)));
}

void Case::expect_same(const Told& told, const Told& first) {
  const bool same = told.code == first.code && told.vote == first.vote && told.has_attempt == first.has_attempt &&
                    told.attempt == first.attempt && told.result == first.result;
  const bool other_result = told.ok() && first.ok() && told.result != first.result;
  expect(same, told.text() + (other_result ? ", with another result than the first" : ""),
         "as the first: " + first.text());
}

void Case::expect_state(const BranchRef& branch, v1::BranchState state) {
  if (!probe_.tells_status()) return;
  const Told told = probe_.status(branch);
  if (!probe_.tells_status()) return;
  expect(told.ok() && told.state == state, told.text(), v1::BranchState_Name(state));
}

void Case::restart() {
  if (failed()) return;
  expect(plan_.restart(), "the restart hook failed", "a command that ends with 0");
  if (failed()) return;
  const BranchRef nobody = fresh();
  const auto end = std::chrono::steady_clock::now() + restart_time;
  for (;;) {
    probe_.reconnect();
    const Told told = probe_.tells_status() ? probe_.once(probe_.request<v1::BranchStatusRequest>(nobody, {}))
                                            : probe_.once(probe_.request<v1::AbortRequest>(nobody, {}));
    if (told.ok()) return;
    if (std::chrono::steady_clock::now() >= end) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  expect(false, "the participant did not answer after its restart", "up again within 30 s");
}

}  // namespace assent::conformance
