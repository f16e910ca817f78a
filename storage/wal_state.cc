#include "storage/wal_state.h"

#include <algorithm>
#include <utility>

namespace assent {

void WalGroup::leave(const LeftGroup& left) {
  if (left.times <= left_.times) return;
  left_ = left;
  erase(slots_.begin(), slots_.end());
  mark_ = {};
  last_ = {};
}

void WalGroup::install(const SnapshotMark& mark) {
  erase(slots_.begin(), slots_.end());
  mark_ = mark;
  last_ = mark.last;
}

void WalGroup::compact(const SnapshotMark& mark) {
  if (mark.last.index <= mark_.last.index) return;
  erase(slots_.begin(), slots_.upper_bound(mark.last.index));
  mark_ = mark;
  if (last_.index < mark.last.index) last_ = mark.last;
}

bool WalGroup::append(EntryPtr entry, std::uint64_t segment, std::uint64_t batch) {
  const Index index = entry->index;
  if (index.none() || index.previous() > last_.index) return false;
  append_anywhere(std::move(entry), segment, batch);
  return true;
}

void WalGroup::append_anywhere(EntryPtr entry, std::uint64_t segment, std::uint64_t batch) {
  const Index index = entry->index;
  forget_from(index);
  if (index <= mark_.last.index) {
    last_ = mark_.last;
    return;
  }
  last_ = {entry->epoch, index};
  put(slots_.end(), index, {std::move(entry), segment, batch});
}

bool WalGroup::carry(EntryPtr entry, std::uint64_t segment, std::uint64_t batch) {
  const Index index = entry->index;
  if (index <= mark_.last.index || index > last_.index) return false;
  if (index == last_.index) last_.epoch = entry->epoch;
  const auto next = slots_.upper_bound(index);
  if (const auto here = slots_.find(index); here != slots_.end()) erase(here, next);
  put(next, index, {std::move(entry), segment, batch});
  return true;
}

void WalGroup::restate(wal_format::GroupRecord record) {
  hard_state = std::move(record.hard_state);
  mark_ = std::move(record.mark);
  erase(slots_.begin(), slots_.upper_bound(mark_.last.index));
  regrow({record.from, record.last});
}

// An entry of the epoch in which the log now ends was not replaced since: what replaces entries is of a newer epoch.
// And what stands before it in its log stood there when it was made.
void WalGroup::regrow(const wal_format::GrownRecord& grown) {
  const bool same_epoch = !slots_.empty() && slots_.rbegin()->second.entry->epoch == grown.last.epoch;
  if (!grown.from.none() && !same_epoch) forget_from(grown.from);
  last_ = grown.last;
  forget_from(last_.index.next());
  if (!last_.epoch.none()) return;
  if (last_.index == mark_.last.index) last_.epoch = mark_.last.epoch;
  if (const auto slot = slots_.find(last_.index); slot != slots_.end()) last_.epoch = slot->second.entry->epoch;
}

void WalGroup::cut_at_hole() {
  lose(last_);
  const Index first = first_missing();
  forget_from(first);
  last_ = slots_.empty() ? mark_.last : Position{slots_.rbegin()->second.entry->epoch, first.previous()};
}

Index WalGroup::first_missing() const {
  Index expected = mark_.last.index.next();
  for (const auto& [index, slot] : slots_) {
    if (index != expected) break;
    expected = expected.next();
  }
  return expected;
}

std::vector<EntryPtr> WalGroup::entries_below(std::uint64_t segment) const {
  std::size_t left = 0;
  for (auto held = held_.begin(); held != held_.lower_bound(segment); ++held) left += held->second.entries;
  std::vector<EntryPtr> entries;
  entries.reserve(left);
  for (auto slot = slots_.begin(); left > 0; ++slot) {
    if (slot->second.segment >= segment) continue;
    entries.push_back(slot->second.entry);
    --left;
  }
  return entries;
}

void WalGroup::put(Slots::iterator hint, Index index, WalSlot slot) {
  Held& held = held_[slot.segment];
  ++held.entries;
  held.bytes += wal_format::entry_record_bytes(*slot.entry);
  slots_.emplace_hint(hint, index, std::move(slot));
}

void WalGroup::erase(Slots::iterator first, Slots::iterator last) {
  for (; first != last; first = slots_.erase(first)) {
    const auto held = held_.find(first->second.segment);
    held->second.bytes -= wal_format::entry_record_bytes(*first->second.entry);
    if (--held->second.entries == 0) held_.erase(held);
  }
}

DurableLog WalGroup::durable_log() const {
  DurableLog log{hard_state, mark_, {}};
  log.entries.reserve(slots_.size());
  for (const auto& [index, slot] : slots_) log.entries.push_back(slot.entry);
  return log;
}

}  // namespace assent
