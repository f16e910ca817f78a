#include "service/register.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/check.h"
#include "base/planted.h"

namespace assent::service {

namespace {

using Named = std::pair<BranchState, std::string_view>;
constexpr std::array<Named, 8> states{{
    {BranchState::empty, "empty"},
    {BranchState::running, "running"},
    {BranchState::prepared, "prepared"},
    {BranchState::read_only, "read_only"},
    {BranchState::committed, "committed"},
    {BranchState::aborted, "aborted"},
    {BranchState::refused, "refused"},
    {BranchState::forgotten, "forgotten"},
}};

Ruling say(Answer answer) { return {false, std::move(answer)}; }
Ruling say(AnswerCode code, Reason reason, std::string message) {
  return say(make_answer(code, reason, std::move(message)));
}
Ruling write() { return {true, make_answer(AnswerCode::ok, Reason::none, {})}; }

// The register holds a yes or a read only, ended by a commit or not ended.
Ruling judge_live(Call call, const Register& found, const Attempt& attempt) {
  if (call == Call::prepare) {
    Answer answer = make_answer(AnswerCode::ok, Reason::none, {});
    answer.recorded = found.attempt;
    answer.read_only = found.state == BranchState::read_only;
    answer.result = found.result;
    return say(std::move(answer));
  }
  if (found.attempt != attempt) {
    const Attempt recorded = found.attempt.value_or(Attempt{});
    Answer answer =
        make_answer(AnswerCode::aborted, Reason::other_attempt,
                    fmt::format("the branch is recorded for attempt {}.{}, not for {}.{}; nothing was changed",
                                recorded.epoch, recorded.number, attempt.epoch, attempt.number));
    answer.recorded = found.attempt;
    return say(std::move(answer));
  }
  if (found.state == BranchState::prepared) return write();
  if (found.state == BranchState::read_only || call == Call::commit) return say(AnswerCode::ok, Reason::none, {});
  return say(AnswerCode::aborted, Reason::abort_after_commit,
             "the branch is committed and cannot be aborted any more: whoever decided has changed its mind");
}

// The register holds a no, or was aborted.
Ruling judge_dead(Call call, const Register& found) {
  const bool refused = found.state == BranchState::refused;
  switch (call) {
    case Call::abort: return say(AnswerCode::ok, Reason::none, {});
    case Call::commit:
      return say(AnswerCode::aborted, Reason::commit_after_abort,
                 refused ? "the branch voted no and cannot be committed" : "the branch is aborted for good");
    case Call::prepare: break;
  }
  if (!refused) {
    return say(AnswerCode::aborted, Reason::branch_aborted, "the branch was aborted, before this prepare or after one");
  }
  Answer answer = make_answer(AnswerCode::aborted, Reason::vote_no, found.message);
  answer.refusal = found.refusal;
  return say(std::move(answer));
}

Ruling judge_empty(Call call) {
  if (call == Call::abort && planted(Bug::abort_leaves_no_trace)) return say(AnswerCode::ok, Reason::none, {});
  if (call != Call::commit) return write();
  return say(AnswerCode::not_found, Reason::never_prepared,
             "the branch was never prepared here: is this the right service, and the database that it prepared in?");
}

Ruling judge_forgotten(Call call) {
  switch (call) {
    case Call::prepare:
      return say(AnswerCode::aborted, Reason::txn_too_old,
                 "the transaction is older than what is remembered here, and is not prepared any more");
    case Call::commit:
      return say(AnswerCode::not_found, Reason::branch_forgotten,
                 "the branch is not known any more; had it been prepared and not ended, it would be");
    case Call::abort: break;
  }
  return say(AnswerCode::ok, Reason::none, {});
}

}  // namespace

std::string_view to_string(BranchState state) {
  for (const auto& [value, name] : states) {
    if (value == state) return name;
  }
  return "?";
}

std::optional<BranchState> state_from(std::string_view text) {
  for (const auto& [state, name] : states) {
    const bool written =
        state != BranchState::empty && state != BranchState::running && state != BranchState::forgotten;
    if (written && name == text) return state;
  }
  return std::nullopt;
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::none: return "";
    case Reason::vote_no: return "VOTE_NO";
    case Reason::branch_aborted: return "BRANCH_ABORTED";
    case Reason::txn_too_old: return "TXN_TOO_OLD";
    case Reason::still_running: return "STILL_RUNNING";
    case Reason::never_prepared: return "NEVER_PREPARED";
    case Reason::branch_forgotten: return "BRANCH_FORGOTTEN";
    case Reason::commit_after_abort: return "COMMIT_AFTER_ABORT";
    case Reason::abort_after_commit: return "ABORT_AFTER_COMMIT";
    case Reason::other_attempt: return "OTHER_ATTEMPT";
    case Reason::invalid_argument: return "INVALID_ARGUMENT";
    case Reason::wrong_participant: return "WRONG_PARTICIPANT";
    case Reason::overloaded: return "OVERLOADED";
    case Reason::unavailable: return "UNAVAILABLE";
  }
  return "?";
}

Answer make_answer(AnswerCode code, Reason reason, std::string message) {
  Answer answer;
  answer.code = code;
  answer.reason = reason;
  answer.message = std::move(message);
  return answer;
}

Ruling judge(Call call, const Register& found, const Attempt& attempt) {
  switch (found.state) {
    case BranchState::empty: return judge_empty(call);
    case BranchState::forgotten: return judge_forgotten(call);
    case BranchState::prepared:
    case BranchState::read_only:
    case BranchState::committed: return judge_live(call, found, attempt);
    case BranchState::aborted:
    case BranchState::refused: return judge_dead(call, found);
    case BranchState::running: break;
  }
  return say(AnswerCode::running, Reason::still_running, "a call for the branch is running; ask again");
}

Register record_vote(const Branch& branch, Bytes payload, const Vote& vote, ClusterMillis now) {
  Register out;
  out.coordinator = branch.coordinator;
  out.changed_at = now;
  if (vote.kind == Vote::Kind::no) {
    out.state = BranchState::refused;
    out.refusal = tidy_text(vote.refusal, refusal_bytes_max);
    out.message = tidy_text(vote.message, message_bytes_max);
    return out;
  }
  out.attempt = branch.attempt;
  out.result = vote.result;
  if (vote.kind == Vote::Kind::read_only) {
    out.state = BranchState::read_only;
    return out;
  }
  out.state = BranchState::prepared;
  out.payload = std::move(payload);
  return out;
}

Register record_abort(const Branch& branch, ClusterMillis now) {
  Register out;
  out.state = BranchState::aborted;
  out.coordinator = branch.coordinator;
  out.changed_at = now;
  return out;
}

Register record_end(Register prepared, Call call, ClusterMillis now) {
  ASSENT_CHECK(prepared.state == BranchState::prepared && call != Call::prepare, "only a yes ends, and only once");
  prepared.state = call == Call::commit ? BranchState::committed : BranchState::aborted;
  prepared.payload.clear();
  if (call == Call::abort) prepared.result.clear();
  prepared.changed_at = now;
  return prepared;
}

}  // namespace assent::service
