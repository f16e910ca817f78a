// Executing a transaction. The rules, which rest on PROTOCOL.md section 1 (a transaction id is attempted once and its
// outcome never changes):
//
//  * Sending the same T again is always safe: it joins the running attempt, or returns the outcome, or, when nothing of
//  the
//    first sending survived, begins. So whatever is lost on the way is sent again until the deadline.
//  * An answer that is not definite (running, prepared, unknown) is followed by a question that the leader may hold
//  back
//    until there is a decision.
//  * After a request that may have arrived, no error is proof that T did not happen: the caller then gets an outcome
//  that is
//    not definite, with the way to ask, and never an Error.
#include <fmt/format.h>

#include <set>

#include "client/convert.h"
#include "client/operations.h"

namespace assent::client {

namespace {

using std::chrono::milliseconds;

milliseconds left_until(SteadyTime deadline) {
  return std::max(milliseconds(0),
                  std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now()));
}

Result<bool> check(const Transaction& transaction) {
  if (transaction.branches.empty() && transaction.services.empty()) {
    return fail(ErrorCode::invalid, "the transaction has no branches");
  }
  std::set<std::string> shards;
  for (const Branch& branch : transaction.branches) {
    if (branch.shard.empty()) return fail(ErrorCode::invalid, "a branch names no shard");
    if (branch.work.empty()) return fail(ErrorCode::invalid, fmt::format("the branch on {} is empty", branch.shard));
    if (!shards.insert(branch.shard).second) {
      return fail(ErrorCode::invalid, fmt::format("shard {} has two branches; put their work into one", branch.shard));
    }
  }
  const bool two_phase = transaction.protocol == Protocol::automatic || transaction.protocol == Protocol::two_phase;
  if (!transaction.services.empty() && !two_phase) {
    return fail(ErrorCode::invalid, fmt::format("a service cannot take part in {}: its vote is not replicated; use "
                                                "two-phase",
                                                to_string(transaction.protocol)));
  }
  if (transaction.mode != Mode::atomic && transaction.services.empty()) {
    return fail(ErrorCode::invalid, fmt::format("{} is for services, and no service takes part; leave the mode at "
                                                "atomic",
                                                to_string(transaction.mode)));
  }
  if (transaction.protocol == Protocol::one_phase && shards.size() > 1) {
    return fail(ErrorCode::invalid, "one-phase is for transactions on one shard");
  }
  return true;
}

// One-phase transactions belong to their shard, all others to their coordinator.
bool is_one_phase(const Transaction& transaction) {
  if (transaction.branches.size() != 1 || !transaction.services.empty()) return false;
  return transaction.protocol == Protocol::automatic || transaction.protocol == Protocol::one_phase;
}

v1::ExecuteRequest make_request(const Transaction& transaction, SteadyTime deadline) {
  v1::ExecuteRequest request = encode(transaction);
  const milliseconds timeout = transaction.timeout.count() > 0 ? transaction.timeout : left_until(deadline) * 2 / 3;
  request.set_timeout_millis(static_cast<std::uint32_t>(std::clamp<std::int64_t>(timeout.count(), 1, 3'600'000)));
  return request;
}

// What is carried along while one transaction is being settled.
struct Settling {
  TxnId id;
  std::string group;
  bool may_have_arrived = false;
  std::uint32_t sends = 0;

  TxnOutcome finish(TxnOutcome outcome) const {
    outcome.id = id;
    outcome.ask = group;
    outcome.was_in_question = may_have_arrived;
    outcome.sends = sends;
    return outcome;
  }
  Result<TxnOutcome> give_up(const Error& error) const {
    if (!may_have_arrived) return tl::unexpected(error);
    TxnOutcome outcome;
    outcome.note = fmt::format(
        "the transaction was sent, but what came of it could not be learned in time ({}); it may have committed: "
        "find out with: assentctl txn get {} --wait 10s (--seal: and it can never commit after the answer, unless it "
        "has)",
        error.message, id.to_hex());
    return finish(std::move(outcome));
  }
};

}  // namespace

Task<Result<TxnOutcome>> execute(Courier& courier, Transaction transaction, SteadyTime deadline) {
  const Result<bool> sound = check(transaction);
  if (!sound) co_return tl::unexpected(sound.error());
  if (transaction.id.none()) transaction.id = new_txn_id();

  Settling settling{transaction.id, {}, false, 0};
  if (is_one_phase(transaction)) {
    settling.group = transaction.branches.front().shard;
  } else {
    Result<std::string> coordinator = co_await courier.find_coordinator(transaction.id, deadline);
    if (!coordinator) co_return tl::unexpected(coordinator.error());
    settling.group = *coordinator;
  }

  const v1::ExecuteRequest request = make_request(transaction, deadline);
  Pace pace(courier, deadline);
  for (;;) {
    const SteadyTime attempt_deadline = pace.attempt_deadline();
    Result<Delivery<v1::Transaction>> delivery =
        co_await courier.deliver(settling.group, &v1::Coordinator::Stub::AsyncExecute, request, attempt_deadline,
                                 deadline, transaction.routed_by);
    if (!delivery) co_return settling.give_up(delivery.error());
    settling.sends += 1;
    switch (delivery->error.verdict) {
      case Verdict::answered: {
        TxnOutcome outcome = decode(delivery->response);
        if (outcome.definite()) co_return settling.finish(std::move(outcome));
        settling.may_have_arrived = true;
        OutcomeRequest question{settling.id, false, left_until(deadline), settling.group};
        Result<TxnOutcome> told = co_await ask_group(courier, question, deadline);
        if (told && told->definite()) co_return settling.finish(std::move(*told));
        if (told && told->state == TxnState::expired) {
          told->note = "the service no longer keeps what came of it";
          co_return settling.finish(std::move(*told));
        }
        break;
      }
      case Verdict::lost: settling.may_have_arrived = true; break;
      case Verdict::invalid:
      case Verdict::not_found:
      case Verdict::refused: co_return settling.give_up(to_error(delivery->error));
      default: break;
    }
    const Error last = time_is_up(courier, delivery->target, delivery->error);
    const std::chrono::microseconds pause = pace.pause(delivery->follow_now);
    co_await courier.runtime().sleep(pause);
    if (courier.runtime().closing()) {
      co_return settling.give_up(Error{ErrorCode::cancelled, "the client is shutting down", {}, {}});
    }
    if (pace.over()) co_return settling.give_up(last);
  }
}

bool worth_a_new_attempt(AbortReason reason) {
  return reason == AbortReason::conflict || reason == AbortReason::superseded || reason == AbortReason::presumed;
}

Task<Result<TxnOutcome>> run_with_retry(Courier& courier, BuildTransaction build, RetryPolicy policy,
                                        SteadyTime deadline) {
  Backoff backoff(policy.pause, courier.seed());
  std::vector<TxnId> earlier;
  TxnId first_id;
  for (std::uint32_t attempt = 1;; ++attempt) {
    const TxnId id = new_txn_id();
    Transaction transaction = build(id);
    transaction.id = id;
    if (attempt == 1) first_id = id;
    transaction.first_id = first_id;
    Result<TxnOutcome> outcome = co_await execute(courier, std::move(transaction), deadline);
    // Not begun, and every attempt before it aborted: nothing happened.
    if (!outcome) co_return std::move(outcome);
    const bool again = outcome->aborted() && worth_a_new_attempt(outcome->abort.reason) &&
                       attempt < policy.attempts_max && std::chrono::steady_clock::now() < deadline &&
                       !courier.runtime().closing();
    if (!again) {
      outcome->earlier = std::move(earlier);
      co_return std::move(outcome);
    }
    earlier.push_back(id);
    const std::chrono::microseconds pause = backoff.next();
    co_await courier.runtime().sleep(pause);
  }
}

}  // namespace assent::client
