#include "storage/wal_state.h"

#include <algorithm>
#include <utility>

namespace assent {

void WalGroup::leave(const LeftGroup& left) {
  if (left.times <= left_.times) return;
  left_ = left;
  slots_.clear();
  mark_ = {};
  last_ = {};
}

void WalGroup::install(const SnapshotMark& mark) {
  slots_.clear();
  mark_ = mark;
  last_ = mark.last.index;
}

void WalGroup::compact(const SnapshotMark& mark) {
  if (mark.last.index <= mark_.last.index) return;
  slots_.erase(slots_.begin(), slots_.upper_bound(mark.last.index));
  mark_ = mark;
  last_ = std::max(last_, mark.last.index);
}

bool WalGroup::append(EntryPtr entry, std::uint64_t segment, std::uint64_t batch) {
  const Index index = entry->index;
  if (index.none() || index.previous() > last_) return false;
  if (index <= last_) slots_.erase(slots_.lower_bound(index), slots_.end());
  last_ = std::max(index.previous(), mark_.last.index);
  if (index <= mark_.last.index) return true;
  slots_.emplace_hint(slots_.end(), index, WalSlot{std::move(entry), segment, batch});
  last_ = index;
  return true;
}

bool WalGroup::carry(EntryPtr entry, std::uint64_t segment, std::uint64_t batch) {
  const Index index = entry->index;
  if (index <= mark_.last.index || index > last_) return false;
  slots_.insert_or_assign(index, WalSlot{std::move(entry), segment, batch});
  return true;
}

void WalGroup::restate(wal_format::GroupRecord record) {
  hard_state = std::move(record.hard_state);
  mark_ = std::move(record.mark);
  last_ = record.last;
  slots_.erase(slots_.begin(), slots_.upper_bound(mark_.last.index));
  slots_.erase(slots_.upper_bound(last_), slots_.end());
}

Index WalGroup::first_missing() const {
  Index expected = mark_.last.index.next();
  for (const auto& [index, slot] : slots_) {
    if (index != expected) break;
    expected = expected.next();
  }
  return expected;
}

DurableLog WalGroup::durable_log() const {
  DurableLog log{hard_state, mark_, {}};
  log.entries.reserve(slots_.size());
  for (const auto& [index, slot] : slots_) log.entries.push_back(slot.entry);
  return log;
}

}  // namespace assent
