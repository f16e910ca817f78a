// What strangers, and coordinators that are wrong, may send.
#include <fmt/format.h>

#include <limits>

#include "cli/conformance/checks.h"

namespace assent::conformance {

namespace {

using grpc::StatusCode;

void serves(Case& c, const std::string& after) {
  const BranchRef branch = c.fresh();
  const Told yes = c.probe().prepare(branch, {1, 1});
  c.expect(yes.yes(), "after " + after + ", " + yes.text(), "OK YES: it must go on serving");
}

void unreadable_requests(Case& c) {
  const BranchRef branch = c.fresh();
  const auto try_one = [&](const std::string& what, const v1::PrepareRequest& bad) {
    const Told told = c.probe().once(bad);
    c.expect(told.code == StatusCode::INVALID_ARGUMENT, "with " + what + ", " + told.text(), "INVALID_ARGUMENT");
    v1::CommitRequest commit;
    commit.ParseFromString(bad.SerializeAsString());  // the first five fields are the same
    const Told committed = c.probe().once(commit);
    c.expect(committed.code == StatusCode::INVALID_ARGUMENT, "with " + what + ", " + committed.text(),
             "INVALID_ARGUMENT");
    v1::AbortRequest abort;
    abort.ParseFromString(bad.SerializeAsString());
    const Told aborted = c.probe().once(abort);
    c.expect(aborted.code == StatusCode::INVALID_ARGUMENT, "with " + what + ", " + aborted.text(), "INVALID_ARGUMENT");
  };
  v1::PrepareRequest bad = c.probe().prepare_request(branch, {1, 1});
  for (const std::string& id : {std::string(), std::string("0193"), std::string(32, 'z'), std::string(64, 'a'),
                                std::string("0193A6B25E1C7C3FA1D0C9BE6F2277A4"), std::string(31, 'a') + "\n",
                                std::string("../../etc/passwd'; DROP TABLE--;")}) {
    bad.set_txn_id(id);
    try_one(fmt::format("a txn_id of {} bytes that is no id", id.size()), bad);
  }
  bad = c.probe().prepare_request(branch, {1, 1});
  bad.set_branch("");
  try_one("no branch", bad);
  bad.set_branch(std::string(201, 'b'));
  try_one("a branch of 201 bytes", bad);
  bad.set_branch("two\nlines");
  try_one("a branch with a control character", bad);
  bad = c.probe().prepare_request(branch, {1, 1});
  bad.set_coordinator(std::string(201, 'c'));
  try_one("a coordinator of 201 bytes", bad);
  bad = c.probe().prepare_request(branch, {1, 1});
  bad.clear_attempt();
  try_one("no attempt", bad);
  c.expect_state(branch, v1::BRANCH_EMPTY);
}

void bytes_that_are_no_message(Case& c) {
  for (const char* method : {"Prepare", "Commit", "Abort", "Status"}) {
    const Told told = c.probe().garbage(method);
    c.expect(!told.definite() && told.code != StatusCode::DEADLINE_EXCEEDED, told.text(), "an error, and soon");
  }
  serves(c, "bytes that are no message");
}

void another_participant(Case& c) {
  const BranchRef branch = c.fresh();
  const std::string wrong = "not-" + c.plan().participant + branch.txn.to_hex();
  auto prepare = c.probe().prepare_request(branch, {1, 1});
  prepare.set_participant(wrong);
  c.expect_code(c.probe().once(prepare), StatusCode::INVALID_ARGUMENT);
  auto commit = c.probe().request<v1::CommitRequest>(branch, {1, 1});
  commit.set_participant(wrong);
  c.expect_code(c.probe().once(commit), StatusCode::INVALID_ARGUMENT);
  auto abort = c.probe().request<v1::AbortRequest>(branch, {1, 1});
  abort.set_participant(wrong);
  c.expect_code(c.probe().once(abort), StatusCode::INVALID_ARGUMENT);
  c.expect_state(branch, v1::BRANCH_EMPTY);
}

void numbers_at_their_limits(Case& c) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  for (const Attempt& attempt : {Attempt{most, most}, Attempt{0, 0}, Attempt{1ULL << 63U, (1ULL << 53U) + 1}}) {
    const BranchRef branch = c.fresh();
    c.expect_yes(c.probe().prepare(branch, attempt), attempt);
    c.expect_yes(c.probe().prepare(branch, {5, 5}), attempt);
    c.expect_code(c.probe().commit(branch, {attempt.epoch, attempt.number - 1}), StatusCode::ABORTED);
    c.expect_code(c.probe().commit(branch, attempt), StatusCode::OK);
  }
}

void names_at_their_limits(Case& c) {
  for (const std::string& name : {std::string(200, 'n'), std::string("payment/1 \"quoted\" 'single' % _ \\ ä 漢 😀")}) {
    const BranchRef branch{c.fresh().txn, name};
    c.expect_yes(c.probe().prepare(branch, {1, 1}), {1, 1});
    c.expect_code(c.probe().commit(branch, {1, 1}), StatusCode::OK);
    c.expect_state(branch, v1::BRANCH_COMMITTED);
  }
}

// Whatever it says to them, it says one thing, and goes on.
void odd_payloads(Case& c) {
  constexpr std::size_t above_every_default = 20'000'000;
  Bytes huge;
  huge.resize(above_every_default, 'y');
  for (const Bytes& payload : {Bytes(), Bytes(1, '\0'), Bytes(1'000, '\xff'), Bytes(3'500'000, 'x'), huge}) {
    const BranchRef branch = c.fresh();
    const std::string what = fmt::format("a payload of {} bytes", payload.size());
    auto request = c.probe().prepare_request(branch, {1, 1});
    request.set_payload(payload);
    const Told told = c.probe().once(request);
    c.expect(told.code != StatusCode::DEADLINE_EXCEEDED, "with " + what + ", " + told.text(),
             "YES, READ_ONLY, ABORTED, or an error in time");
    const Told again = c.probe().once(request);
    if (told.definite()) c.expect_same(again, told);
    if (told.code == StatusCode::ABORTED) c.expect_code(c.probe().prepare(branch, {1, 1}), StatusCode::ABORTED);
    static_cast<void>(c.probe().abort(branch, {1, 1}));
    serves(c, what);
  }
}

}  // namespace

const std::vector<Check>& input_checks() {
  static const std::vector<Check> checks{
      {"unreadable-requests",
       "a caller's mistake is recorded as a vote or taken for done, under an id that nobody will ever end",
       Needs::nothing, unreadable_requests},
      {"bytes-that-are-no-message", "anybody who reaches the port stops the service", Needs::nothing,
       bytes_that_are_no_message},
      {"another-participant",
       "when an address is given to another service, it books a stranger's work, or tells a commit that it was never "
       "prepared",
       Needs::nothing, another_participant},
      {"numbers-at-their-limits", "attempts are rounded or cut, and taken for each other", Needs::nothing,
       numbers_at_their_limits},
      {"names-at-their-limits", "branches with long or unusual names fail, or are taken for each other", Needs::nothing,
       names_at_their_limits},
      {"odd-payloads", "one large or strange payload stops the service, or is voted for differently each time",
       Needs::nothing, odd_payloads},
  };
  return checks;
}

}  // namespace assent::conformance
