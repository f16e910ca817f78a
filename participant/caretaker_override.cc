// What an operator forces on a transaction that this shard is in doubt about (P25 of docs/TESTING.md).
#include <fmt/format.h>

#include <utility>

#include "participant/caretaker.h"

namespace assent {

// Said by a person, in words that can be kept.
bool Caretaker::may_decide(const ClientRequest& request, const TxnId& txn, const std::string& reason) {
  if (txn.none()) {
    fail_client(request.id, ErrorCode::malformed, "the transaction has no id");
    return false;
  }
  if (reason.empty() || reason.size() > override_reason_bytes_max) {
    fail_client(request.id, ErrorCode::malformed,
                fmt::format("a heuristic decision needs a reason of 1 to {} bytes", override_reason_bytes_max));
    return false;
  }
  return true;
}

bool Caretaker::is_first_forcer(const ClientRequest& request, const TxnId& txn) {
  std::vector<RequestId>& waiting = forcers_[txn];
  if (!waiting.empty()) {
    fail_client(request.id, ErrorCode::busy, "somebody else's decision about it is on its way into the log");
    return false;
  }
  waiting.push_back(request.id);
  return true;
}

void Caretaker::force(const ClientRequest& request, const Override& ask) {
  if (!may_decide(request, ask.txn, ask.reason)) return;
  const PreparedTxn* prepared = shard_->prepared(ask.txn);
  if (prepared == nullptr) {
    return fail_client(request.id, ErrorCode::refused,
                       "this shard is not in doubt about it; there is nothing to force");
  }
  if (prepared->heuristic) {
    return fail_client(request.id, ErrorCode::refused,
                       fmt::format("its {} was forced here before", prepared->heuristic->commit ? "commit" : "abort"));
  }
  if (finishes_in_log_.contains(ask.txn)) {
    return fail_client(request.id, ErrorCode::refused, "its outcome is known, and on its way into this shard's log");
  }
  if (!is_first_forcer(request, ask.txn)) return;
  output_.propose.emplace_back(OverrideWork{.txn = ask.txn, .commit = ask.commit, .reason = ask.reason});
}

void Caretaker::forget(const ClientRequest& request, const Forget& ask) {
  if (!may_decide(request, ask.txn, ask.reason)) return;
  if (!shard_->heuristics().contains(ask.txn)) {
    return fail_client(request.id, ErrorCode::refused, "nothing was forced on it here; there is nothing to forget");
  }
  if (shard_->finished(ask.txn) == nullptr) {
    return fail_client(request.id, ErrorCode::refused,
                       "it has not ended here; its outcome is still to be held against what was forced");
  }
  if (!is_first_forcer(request, ask.txn)) return;
  output_.propose.emplace_back(ForgetOverride{.txn = ask.txn, .reason = ask.reason});
}

void Caretaker::on_applied(const ForgetOverride& command, const Shard::Applied&) {
  answer_forcers(command.txn, std::nullopt);
}

// The true outcome may have stood in the log before it: then nothing was forced, and the answer says what it is.
void Caretaker::on_applied(const OverrideWork& command, const Shard::Applied& applied) {
  answer_forcers(command.txn, std::nullopt);
  if (!applied.changed) return;
  ended(command.txn);
  wake(applied.released);
}

void Caretaker::answer_forcers(const TxnId& txn, const std::optional<Error>& error) {
  const auto found = forcers_.find(txn);
  if (found == forcers_.end()) return;
  for (const RequestId id : std::exchange(found->second, {})) {
    error ? fail_client(id, error->code, error->message) : tell(id, outcome_of(txn));
  }
  forcers_.erase(found);
}

}  // namespace assent
