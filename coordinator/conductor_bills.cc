// What a transaction cost: the messages that are sent and heard about it, the entries and rounds that others report and
// those of this group. Known of what this leader ran; kept a while for those who ask later.
#include "coordinator/conductor.h"

namespace assent {

void Conductor::charge(Cost& part, const Cost& cost) const {
  if (options_.bills) part.beside(cost);
}

// An entry of this group's log, which this transaction waited for.
void Conductor::charge_own(const TxnId& txn, const RoundCost& round) {
  const auto found = running_.find(txn);
  if (options_.bills && found != running_.end()) found->second.own.then(Cost::of(round));
}

void Conductor::count_message(const TxnId& txn, bool of_finish) {
  if (!options_.bills) return;
  if (!of_finish) {
    if (const auto running = running_.find(txn); running != running_.end()) {
      running->second.own.messages += 1;
      return;
    }
  }
  if (const auto finishing = finishing_.find(txn); finishing != finishing_.end()) {
    finishing->second.finishes.messages += 1;
  }
}

Bill& Conductor::bill_answered(const TxnId& txn, const Running& running) {
  Bill& bill = bills_.of(txn);
  bill.answered = Cost(running.votes).then(running.seals).then(running.own);
  return bill;
}

void Conductor::bill_freed(const TxnId& txn, const Finishing& finishing) {
  const Bill* known = bills_.find(txn);
  if (!options_.bills || known == nullptr) return;  // of an earlier leader, or long ago
  Bill& bill = bills_.of(txn);
  bill.freed = Cost(bill.answered).then(finishing.finishes);
  bill.locked_millis = finishing.locked_millis;
}

}  // namespace assent
