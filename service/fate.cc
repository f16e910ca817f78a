#include "service/fate.h"

namespace assent::service {

namespace {

// Only the yes of the attempt that was decided was counted: if one id was used for two contents, the register may hold
// the yes of the other one. Services run in two phases: what another protocol committed was not theirs.
Fate fate_of_commit(const ToldOutcome& told, const Attempt& promised) {
  if (told.protocol != Protocol::two_phase) return Fate::aborted;
  if (told.counted == Attempt{}) return Fate::open;  // a node that does not tell it
  return told.counted == promised ? Fate::committed : Fate::aborted;
}

}  // namespace

Fate fate_of(const ToldOutcome& told, const Attempt& promised) {
  if (told.state == TxnState::committed) return fate_of_commit(told, promised);
  // A saga's steps are compensated in the reverse order, and its coordinator tells each when it is its turn: whoever
  // went ahead because it asked would be before those behind it.
  if (told.state == TxnState::aborted && is_ordered(told.mode)) return Fate::open;
  // The group keeps a commit until every service has said that it committed: what it has forgotten was none. Another
  // group's "expired" proves nothing.
  const bool forgotten = told.state == TxnState::expired && told.of_its_coordinator;
  return told.state == TxnState::aborted || forgotten ? Fate::aborted : Fate::open;
}

}  // namespace assent::service
