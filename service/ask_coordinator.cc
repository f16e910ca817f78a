#include "service/ask_coordinator.h"

namespace assent::service {

AskFate ask_coordinator(client::Client& client) {
  return [&client](const InDoubt& one) -> Result<Fate> {
    const auto outcome = client.get_outcome(
        {.id = one.key.txn, .seal = true, .wait = std::chrono::milliseconds(0), .group = one.coordinator});
    if (!outcome) return fail(ErrorCode::io, outcome.error().text());
    return fate_of({.state = outcome->state,
                    .protocol = outcome->protocol,
                    .mode = outcome->mode,
                    .counted = {outcome->attempt.epoch.value, outcome->attempt.number},
                    .of_its_coordinator = !one.coordinator.empty()},
                   one.attempt);
  };
}

}  // namespace assent::service
