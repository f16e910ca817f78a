#include "coordinator/outcome_history.h"

#include <algorithm>
#include <functional>

#include "base/check.h"

namespace assent {

std::size_t OutcomeHistory::home(const TxnId& txn) const { return std::hash<TxnId>{}(txn) & (slots_.size() - 1); }

void OutcomeHistory::index(std::uint32_t sequence) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = home(txn_of(sequence));
  while (slots_[slot] != free_slot) slot = (slot + 1) & mask;
  slots_[slot] = sequence;
}

// Knuth 6.4, algorithm R: closes the gap, so that a search may stop at the first free slot.
void OutcomeHistory::unindex(std::uint32_t sequence) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t gap = home(txn_of(sequence));
  while (slots_[gap] != sequence) gap = (gap + 1) & mask;
  for (std::size_t slot = (gap + 1) & mask; slots_[slot] != free_slot; slot = (slot + 1) & mask) {
    const std::size_t distance_from_home = (slot - home(txn_of(slots_[slot]))) & mask;
    const std::size_t distance_from_gap = (slot - gap) & mask;
    if (distance_from_home < distance_from_gap) continue;
    slots_[gap] = slots_[slot];
    gap = slot;
  }
  slots_[gap] = free_slot;
}

void OutcomeHistory::rebuild_index() {
  std::size_t slots = 16;
  while (slots < records_.size() * 4) slots *= 2;
  slots_.assign(slots, free_slot);
  first_ = 0;
  for (std::uint32_t sequence = 0; sequence < records_.size(); ++sequence) index(sequence);
}

void OutcomeHistory::add(const SettledOutcome& record) {
  ASSENT_CHECK(find(record.txn) == nullptr, "a transaction has one outcome");
  records_.push_back(record);
  const std::uint64_t sequence = std::uint64_t{first_} + records_.size() - 1;
  if (records_.size() * 2 > slots_.size() || sequence >= free_slot) {
    rebuild_index();
  } else {
    index(static_cast<std::uint32_t>(sequence));
  }
}

const SettledOutcome* OutcomeHistory::find(const TxnId& txn) const {
  if (records_.empty()) return nullptr;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = home(txn); slots_[slot] != free_slot; slot = (slot + 1) & mask) {
    const SettledOutcome& record = records_[slots_[slot] - first_];
    if (record.txn == txn) return &record;
  }
  return nullptr;
}

void OutcomeHistory::forget(ClusterMillis stamp, const HistoryBounds& bounds, const TimeWindow& window,
                            std::size_t most) {
  for (; most > 0 && !records_.empty(); --most) {
    const SettledOutcome& oldest = records_.front();
    const bool past_keep = oldest.decided_at.value + bounds.keep_millis < stamp.value;
    if (!past_keep && records_.size() <= bounds.records_max) return;
    if (!window.too_old(oldest.txn, stamp)) return;  // its id would be accepted again
    forgotten_up_to_ = std::max(forgotten_up_to_.value_or(ClusterMillis()), oldest.txn.created());
    unindex(first_);
    records_.pop_front();
    ++first_;
  }
}

void OutcomeHistory::restore(std::deque<SettledOutcome> records, std::optional<ClusterMillis> forgotten_up_to) {
  records_ = std::move(records);
  forgotten_up_to_ = forgotten_up_to;
  rebuild_index();
}

void OutcomeHistory::add_to(Digest& digest) const {
  digest.add(records_.size()).add(forgotten_up_to_.has_value() ? forgotten_up_to_->value + 1 : 0);
  for (const SettledOutcome& record : records_) {
    digest.add(record.txn).add(record.attempt.epoch).add(record.attempt.number).add(record.fingerprint);
    digest.add(record.decided_at).add(static_cast<std::uint64_t>(record.outcome));
    digest.add(static_cast<std::uint64_t>(record.protocol)).add(static_cast<std::uint64_t>(record.reason));
  }
}

}  // namespace assent
