#include "service/ask_coordinator.h"

namespace assent::service {

namespace {

// Only the yes of the attempt that was decided was counted: if one id was used for two contents, the register may hold
// the yes of the other one. Services run in two phases: what another protocol committed was not theirs.
Fate fate_of_commit(const client::TxnOutcome& outcome, const Attempt& promised) {
  if (outcome.protocol != Protocol::two_phase) return Fate::aborted;
  const Attempt counted{outcome.attempt.epoch.value, outcome.attempt.number};
  if (counted == Attempt{}) return Fate::open;  // a node that does not tell it
  return counted == promised ? Fate::committed : Fate::aborted;
}

}  // namespace

AskFate ask_coordinator(client::Client& client) {
  return [&client](const InDoubt& one) -> Result<Fate> {
    const auto outcome = client.get_outcome(
        {.id = one.key.txn, .seal = true, .wait = std::chrono::milliseconds(0), .group = one.coordinator});
    if (!outcome) return fail(ErrorCode::io, outcome.error().text());
    if (outcome->committed()) return fate_of_commit(*outcome, one.attempt);
    // The group keeps a commit until every service has said that it committed: what it has forgotten was none. Another
    // group's "expired" proves nothing.
    const bool forgotten = outcome->state == TxnState::expired && !one.coordinator.empty();
    return outcome->aborted() || forgotten ? Fate::aborted : Fate::open;
  };
}

}  // namespace assent::service
