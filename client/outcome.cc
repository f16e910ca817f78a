// Finding out what came of a transaction.
//
// Whoever knows where T belongs asks there: the coordinator group, or the shard of a one-phase transaction. Whoever
// does not know asks the coordinator first and then every shard, and the order matters when sealing:
//
//  * "unknown" from the coordinator proves nothing: T may have been one-phase on a shard, or never begun.
//  * A seal at the coordinator would write "aborted" there about a one-phase T that a shard has committed or is about
//  to.
//    So shards are sealed first. After that no shard can vote yes on T any more; and when a shard turns out to be
//    prepared, T is two-phase and its coordinator, sealed or not, has the last word.
#include <fmt/format.h>

#include "client/convert.h"
#include "client/operations.h"

namespace assent::client {

namespace {

using std::chrono::milliseconds;

// How long one question may be held back: short enough that a leader that died is noticed, and that the first attempt
// to ask does not end before its answer.
constexpr milliseconds long_poll_max{1'500};

milliseconds hold_max(const Options& options) { return std::min(long_poll_max, options.attempt_timeout * 7 / 10); }

bool undecided(const TxnOutcome& outcome) {
  return outcome.state == TxnState::running || outcome.state == TxnState::prepared;
}

TxnOutcome nothing_found(const TxnId& id, bool expired) {
  TxnOutcome outcome;
  outcome.id = id;
  outcome.state = expired ? TxnState::expired : TxnState::unknown;
  outcome.note = expired
                     ? "it is older than the history that is kept"
                     : "no group knows it: it was never begun, or its request has not arrived yet; --seal makes sure "
                       "that it never will";
  return outcome;
}

TxnOutcome sealed_everywhere(const TxnId& id) {
  TxnOutcome outcome;
  outcome.id = id;
  outcome.state = TxnState::aborted;
  outcome.abort.reason = AbortReason::sealed;
  outcome.abort.message = "no group knew it; it is sealed on every shard now and can never commit";
  return outcome;
}

// Asks every shard. Definite when one of them is; prepared when one is prepared; else unknown or expired. Errors when a
// shard could not be asked and the others do not settle it: it may be the one that knows.
Task<Result<TxnOutcome>> ask_shards(Courier& courier, TxnId id, bool seal, SteadyTime deadline) {
  const std::vector<std::string> shards = courier.directory().shards();
  std::optional<TxnOutcome> no;
  std::optional<Error> trouble;
  bool expired = false;
  std::size_t refused = 0;
  for (const std::string& shard : shards) {
    OutcomeRequest question{id, seal, milliseconds(0), shard};
    Result<TxnOutcome> told = co_await ask_group(courier, question, deadline);
    if (!told) {
      trouble = told.error();
      continue;
    }
    if (told->committed() || undecided(*told)) co_return std::move(told);
    if (told->aborted()) {
      refused += 1;
      // A no that a shard found proves an abort at once; one that this very seal wrote only once every shard has it.
      if (!seal || told->abort.reason != AbortReason::sealed) co_return std::move(told);
      no = std::move(*told);
    }
    expired = expired || told->state == TxnState::expired;
  }
  if (trouble) co_return tl::unexpected(*trouble);
  if (seal && no && refused == shards.size()) co_return sealed_everywhere(id);
  co_return nothing_found(id, expired);
}

}  // namespace

Task<Result<TxnOutcome>> ask_group(Courier& courier, OutcomeRequest request, SteadyTime deadline) {
  const SteadyTime wait_end = std::chrono::steady_clock::now() + request.wait;
  v1::GetOutcomeRequest message;
  message.set_txn_id(request.id.to_hex());
  message.set_seal(request.seal);
  message.set_group(request.group);
  for (;;) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(std::min(wait_end, deadline) - std::chrono::steady_clock::now());
    const milliseconds hold = std::clamp(left, milliseconds(0), hold_max(courier.options()));
    message.set_wait_millis(static_cast<std::uint32_t>(hold.count()));
    Result<Delivery<v1::Transaction>> delivery = co_await ask_until_answered(
        courier, request.group, &v1::Coordinator::Stub::AsyncGetOutcome, std::as_const(message), deadline);
    if (!delivery) co_return tl::unexpected(delivery.error());
    TxnOutcome outcome = decode(delivery->response);
    outcome.id = request.id;
    outcome.ask = request.group;
    const bool in_time = std::chrono::steady_clock::now() < std::min(wait_end, deadline);
    if (!undecided(outcome) || !in_time || courier.runtime().closing()) co_return outcome;
    co_await courier.runtime().sleep(milliseconds(20));  // the leader may answer at once that it does not know yet
  }
}

namespace {

// For a T of which nobody knows where it belongs: the coordinator's answer is there, and is neither definite nor a sign
// that it runs there.
Task<Result<TxnOutcome>> search_shards(Courier& courier, OutcomeRequest request, Result<TxnOutcome> coordinator,
                                       SteadyTime deadline) {
  Result<TxnOutcome> found = co_await ask_shards(courier, request.id, false, deadline);
  if (found && (found->definite() || undecided(*found))) co_return std::move(found);
  // Without the coordinator's word an outcome that the shards have long forgotten would be overlooked.
  if (!coordinator || coordinator->state == TxnState::expired) co_return std::move(coordinator);
  if (found && request.seal) found = co_await ask_shards(courier, request.id, true, deadline);
  co_return std::move(found);
}

}  // namespace

Task<Result<TxnOutcome>> get_outcome(Courier& courier, OutcomeRequest request, SteadyTime deadline) {
  if (!request.group.empty()) {
    Result<TxnOutcome> told = co_await ask_group(courier, request, deadline);
    co_return std::move(told);
  }
  const SteadyTime start = std::chrono::steady_clock::now();
  const SteadyTime half = start + (deadline - start) / 2;  // a coordinator that is away leaves time to ask the shards
  Result<std::string> coordinator = co_await courier.find_coordinator(request.id, half);
  if (!coordinator) co_return tl::unexpected(coordinator.error());
  OutcomeRequest question{request.id, false, milliseconds(0), *coordinator};
  Result<TxnOutcome> told = co_await ask_group(courier, question, half);
  if (told && told->definite()) co_return std::move(told);

  std::optional<TxnOutcome> prepared;
  if (!told || !undecided(*told)) {
    Result<TxnOutcome> found = co_await search_shards(courier, request, std::move(told), deadline);
    if (!found || !undecided(*found)) co_return std::move(found);
    prepared = std::move(*found);
  }
  question.seal = request.seal;
  question.wait = request.wait;
  told = co_await ask_group(courier, question, deadline);
  const bool coordinator_knows = told && (told->definite() || undecided(*told));
  if (prepared && told && !coordinator_knows) {
    prepared->note = "a shard is prepared and its coordinator has not told it the outcome yet";
    co_return std::move(*prepared);
  }
  co_return std::move(told);
}

}  // namespace assent::client
