// The register of a branch, and the rules of participant.proto as pure functions: what a call that finds a register is
// answered, whether it writes, and what the register becomes.
//
// No I/O, clock, lock or gRPC: local_transaction.h does what is ruled here, in the service's own database. Invariants,
// held by tests/service/register_test.cc against a twin that only keeps the history:
//   * the first of {Prepare, Abort} that finds a register empty fills it; no later call changes that it was the first;
//   * a yes ends at most once, and only by a call of its own attempt;
//   * a call that is not ruled to write leaves the register as it was, and is answered the same each time.
//
//            Prepare: yes                 Commit of its attempt
//   empty ----------------> prepared ------------------------------> committed
//     |  \                      \------------------------------> aborted
//     |   \ Prepare: read only           Abort of its attempt       ^
//     |    \--------------> read_only                               |
//     |  Prepare: no                                                |
//     |-------------------> refused          Abort                  |
//     \-------------------------------------------------------------/
//
//   running, and forgotten, are never written: a call is at it; or no row, and an id that is too old for one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "service/branch.h"

namespace assent::service {

enum class BranchState : std::uint8_t {
  empty,
  running,
  prepared,
  read_only,
  committed,
  aborted,
  refused,
  forgotten,
};
[[nodiscard]] std::string_view to_string(BranchState state);
// Of those that are written; nothing for any other text.
[[nodiscard]] std::optional<BranchState> state_from(std::string_view text);

struct Register {
  BranchState state = BranchState::empty;
  std::optional<Attempt> attempt;  // of a yes or a read only, ended or not
  std::string coordinator;
  std::string refusal;  // of a no, as Vote has it
  std::string message;
  Bytes result;
  Bytes payload;             // while prepared: the commit or abort gets it again
  ClusterMillis changed_at;  // by the service's clock
  bool operator==(const Register&) const = default;
};

enum class AnswerCode : std::uint8_t {
  ok,
  aborted,    // definite: not done, and never will be
  not_found,  // Commit of what is not there
  running,    // ask again
  invalid,    // the request breaks the limits; nothing was touched
  busy,       // too many at once; nothing was touched
  unknown,    // it may or may not have happened: ask again
};

enum class Reason : std::uint8_t {
  none,
  vote_no,
  branch_aborted,
  txn_too_old,
  still_running,
  never_prepared,
  branch_forgotten,
  commit_after_abort,
  abort_after_commit,
  other_attempt,
  invalid_argument,
  wrong_participant,
  overloaded,
  unavailable,
};
[[nodiscard]] std::string_view to_string(Reason reason);  // VOTE_NO, ...

struct Answer {
  AnswerCode code = AnswerCode::unknown;
  Reason reason = Reason::none;
  std::string message;              // what happened and what next, when it is not ok
  std::optional<Attempt> recorded;  // what a Prepare or the reason other_attempt tells
  bool read_only = false;           // of a Prepare that is ok
  Bytes result;                     // of a Prepare that is ok
  std::string refusal;              // with vote_no
  bool operator==(const Answer&) const = default;

  [[nodiscard]] bool ok() const { return code == AnswerCode::ok; }
};
[[nodiscard]] Answer make_answer(AnswerCode code, Reason reason, std::string message);

enum class Call : std::uint8_t { prepare, commit, abort };

// What a call is answered. When it writes, the answer holds once what it does is recorded; that of a Prepare that
// writes is for its work to find, and empty here.
struct Ruling {
  bool writes = false;
  Answer answer;
};
[[nodiscard]] Ruling judge(Call call, const Register& found, const Attempt& attempt);

// What the writing calls record.
[[nodiscard]] Register record_vote(const Branch& branch, Bytes payload, const Vote& vote, ClusterMillis now);
[[nodiscard]] Register record_abort(const Branch& branch, ClusterMillis now);        // on an empty one
[[nodiscard]] Register record_end(Register prepared, Call call, ClusterMillis now);  // commit or abort, of a yes

}  // namespace assent::service
