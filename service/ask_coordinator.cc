#include "service/ask_coordinator.h"

namespace assent::service {

AskFate ask_coordinator(client::Client& client) {
  return [&client](const InDoubt& one) -> Result<Fate> {
    const auto outcome = client.get_outcome(
        {.id = one.key.txn, .seal = true, .wait = std::chrono::milliseconds(0), .group = one.coordinator});
    if (!outcome) return fail(ErrorCode::io, outcome.error().text());
    if (outcome->committed()) return Fate::committed;
    // The group keeps a commit until every service has said that it committed: what it has forgotten was none. Another
    // group's "expired" proves nothing.
    const bool forgotten = outcome->state == TxnState::expired && !one.coordinator.empty();
    return outcome->aborted() || forgotten ? Fate::aborted : Fate::open;
  };
}

}  // namespace assent::service
