// What the outcome of a transaction, as its coordinator group tells it, means for a branch that is in doubt. Pure.
#pragma once

#include <cstdint>

#include "service/branch.h"
#include "txn_proto/types.h"

namespace assent::service {

// What came of a transaction, as far as whoever was asked knows.
enum class Fate : std::uint8_t { open, committed, aborted };

// What was told to a question with seal.
struct ToldOutcome {
  TxnState state = TxnState::unknown;
  Protocol protocol = Protocol::automatic;
  Mode mode = Mode::atomic;
  Attempt counted;                  // whose yes-es were counted, of a commit
  bool of_its_coordinator = false;  // the group that the branch was prepared for was asked, and no other
};
// promised: the attempt of the branch's yes.
[[nodiscard]] Fate fate_of(const ToldOutcome& told, const Attempt& promised);

}  // namespace assent::service
