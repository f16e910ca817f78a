#include "coordinator/outcome_queue.h"

#include <functional>

namespace assent {

std::size_t OutcomeQueue::home(const TxnId& txn) const { return std::hash<TxnId>{}(txn) & (slots_.size() - 1); }

void OutcomeQueue::index(std::uint32_t number) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = home(txn_of(number));
  while (slots_[slot] != free_slot) slot = (slot + 1) & mask;
  slots_[slot] = number;
}

// Knuth 6.4, algorithm R: closes the gap, so that a search may stop at the first free slot.
void OutcomeQueue::unindex(std::uint32_t number) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t gap = home(txn_of(number));
  while (slots_[gap] != number) gap = (gap + 1) & mask;
  for (std::size_t slot = (gap + 1) & mask; slots_[slot] != free_slot; slot = (slot + 1) & mask) {
    const std::size_t distance_from_home = (slot - home(txn_of(slots_[slot]))) & mask;
    const std::size_t distance_from_gap = (slot - gap) & mask;
    if (distance_from_home < distance_from_gap) continue;
    slots_[gap] = slots_[slot];
    gap = slot;
  }
  slots_[gap] = free_slot;
}

void OutcomeQueue::rebuild_index() {
  std::size_t slots = 16;
  while (slots < records_.size() * 4) slots *= 2;
  slots_.assign(slots, free_slot);
  first_ = 0;
  for (std::uint32_t number = 0; number < records_.size(); ++number) index(number);
}

void OutcomeQueue::push(const SettledOutcome& record) {
  records_.push_back(record);
  const std::uint64_t number = std::uint64_t{first_} + records_.size() - 1;
  if (records_.size() * 2 > slots_.size() || number >= free_slot) {
    rebuild_index();
  } else {
    index(static_cast<std::uint32_t>(number));
  }
}

void OutcomeQueue::pop() {
  unindex(first_);
  records_.pop_front();
  ++first_;
}

const SettledOutcome* OutcomeQueue::find(const TxnId& txn) const {
  if (records_.empty()) return nullptr;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = home(txn); slots_[slot] != free_slot; slot = (slot + 1) & mask) {
    const SettledOutcome& record = records_[slots_[slot] - first_];
    if (record.txn == txn) return &record;
  }
  return nullptr;
}

}  // namespace assent
