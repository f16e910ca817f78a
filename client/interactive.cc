#include "client/interactive.h"

namespace assent::client {

namespace {

constexpr std::size_t optimistic_attempts_max = 3;  // of what only reads; then it locks

}  // namespace

Interaction::Interaction(Courier& courier, const RunOptions& options)
    : courier_(courier), options_(options), backoff_(options.retry.pause, courier.seed()) {}

TxnId Interaction::begin() {
  id_ = new_txn_id();
  if (first_id_.none()) first_id_ = id_;
  return id_;
}

Task<std::optional<Result<TxnOutcome>>> Interaction::commit(Txn::Intent intent, SteadyTime deadline) {
  if (intent.given_up) {
    Error why{ErrorCode::refused, "the transaction's function gave up: " + *intent.given_up, {}, {}};
    co_return co_await end_in_vain(intent, std::move(why), deadline);
  }
  if (intent.failure) {
    if (intent.failure->code != ErrorCode::refused) co_return Result<TxnOutcome>(tl::unexpected(*intent.failure));
    co_return co_await end_in_vain(intent, *intent.failure, deadline);
  }
  Result<TxnOutcome> outcome = co_await settle(std::move(intent), deadline);
  if (!outcome) co_return std::move(outcome);
  const bool again = outcome->aborted() && worth_a_new_attempt(outcome->abort.reason) && may_try_again(deadline);
  if (again) co_return co_await try_again();
  outcome->earlier = std::move(earlier_);
  co_return std::move(outcome);
}

// The function gave up, or a shard refused what it tried. If that followed from reads of different moments it may
// follow from a state that never was: then it gets another try.
Task<Interaction::Ended> Interaction::end_in_vain(const Txn::Intent& intent, Error why, SteadyTime deadline) {
  if (!intent.seen.empty() && may_try_again(deadline)) {
    const Result<bool> held = co_await still_true(intent, deadline);
    if (held && !*held) co_return co_await try_again();
  }
  co_return Result<TxnOutcome>(tl::unexpected(std::move(why)));
}

bool Interaction::may_try_again(SteadyTime deadline) const {
  return earlier_.size() + 1 < options_.retry.attempts_max && std::chrono::steady_clock::now() < deadline &&
         !courier_.runtime().closing();
}

Task<Interaction::Ended> Interaction::try_again() {
  earlier_.push_back(id_);
  const std::chrono::microseconds pause = backoff_.next();
  co_await courier_.runtime().sleep(pause);
  co_return std::nullopt;
}

// Reads alone need no log: when nothing of it has changed by now, all of it held when the last one was made.
Task<Result<TxnOutcome>> Interaction::settle(Txn::Intent intent, SteadyTime deadline) {
  TxnOutcome outcome;
  outcome.id = id_;
  outcome.state = TxnState::committed;
  for (const Branch& branch : intent.transaction.branches) outcome.participants.push_back(branch.shard);
  if (intent.transaction.branches.empty()) co_return outcome;
  const bool one_read = intent.transaction.branches.size() == 1 && intent.transaction.branches[0].work.size() == 1;
  if (!intent.writes && one_read) co_return outcome;
  if (!intent.writes && earlier_.size() < optimistic_attempts_max) {
    const Result<bool> held = co_await still_true(intent, deadline);
    if (!held) co_return tl::unexpected(held.error());
    if (*held) co_return outcome;
    outcome.state = TxnState::aborted;
    outcome.abort.reason = AbortReason::conflict;
    outcome.abort.message = "what it read has changed meanwhile";
    co_return outcome;
  }
  intent.transaction.first_id = first_id_;
  intent.transaction.protocol = options_.protocol;
  co_return co_await execute(courier_, std::move(intent.transaction), deadline);
}

Task<Result<bool>> Interaction::still_true(const Txn::Intent& intent, SteadyTime deadline) {
  for (const Branch& branch : intent.transaction.branches) {
    const auto seen = intent.seen.find(branch.shard);
    if (seen == intent.seen.end()) continue;  // nothing was read there
    Work work(branch.work.begin(), branch.work.begin() + static_cast<std::ptrdiff_t>(seen->second.operations));
    Validation validation{branch.shard, std::move(work), seen->second.since, intent.writes};
    const Result<bool> held = co_await unchanged(courier_, std::move(validation), deadline);
    if (!held || !*held) co_return held;
  }
  co_return true;
}

}  // namespace assent::client
