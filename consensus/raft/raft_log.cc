#include "consensus/raft/raft_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "consensus/raft/message_codec.h"

namespace assent::raft {

RaftLog::RaftLog(const DurableLog& durable)
    : snapshot_(durable.snapshot), base_(durable.snapshot.last), base_stamp_(durable.snapshot.stamp) {
  for (const EntryPtr& entry : durable.entries) append(entry);
  saved_ = last_index();
  durable_ = last_index();
}

std::optional<Epoch> RaftLog::epoch_at(Index index) const {
  if (index == base_.index) return base_.epoch;
  if (!in_memory(index)) return std::nullopt;
  return at(index)->epoch;
}

const EntryPtr& RaftLog::at(Index index) const {
  ASSENT_CHECK(in_memory(index), "the entry is not in memory");
  return entries_[index.value - base_.index.value - 1];
}

std::vector<EntryPtr> RaftLog::slice(Index from, Index end, std::size_t bytes_max) const {
  std::vector<EntryPtr> taken;
  std::size_t bytes = 0;
  for (Index index = from; index <= end && in_memory(index); index = index.next()) {
    const EntryPtr& entry = at(index);
    bytes += entry_bytes(*entry);
    if (!taken.empty() && bytes > bytes_max) break;
    taken.push_back(entry);
  }
  return taken;
}

Index RaftLog::last_not_newer(Index limit, Epoch epoch) const {
  const Index highest = std::min(limit, last_index());
  if (highest < base_.index || base_.epoch > epoch) return std::min(highest, base_.index.previous());
  // Epochs never go down along a log, so the entries that are not newer come first.
  const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(highest.value - base_.index.value);
  const auto newer =
      std::partition_point(entries_.begin(), end, [epoch](const EntryPtr& e) { return e->epoch <= epoch; });
  return Index(base_.index.value + static_cast<std::uint64_t>(newer - entries_.begin()));
}

void RaftLog::append(EntryPtr entry) {
  ASSENT_CHECK(entry->index == last_index().next(), "entries follow each other");
  bytes_ += entry_bytes(*entry);
  entries_.push_back(std::move(entry));
}

bool RaftLog::fits(std::span<const EntryPtr> entries) const {
  if (entries.empty()) return true;
  const Entry& first = *entries.front();
  const std::optional<Epoch> before = epoch_at(first.index.previous());
  if (first.index.none() || !before || *before > first.epoch) return false;
  const Index previous = first.index.previous();
  const ClusterMillis stamp = previous == base_.index ? base_stamp_ : at(previous)->stamp;
  return stamp <= first.stamp;
}

void RaftLog::replace(std::span<const EntryPtr> entries) {
  if (entries.empty()) return;
  cut_from(entries.front()->index);
  for (const EntryPtr& entry : entries) append(entry);
}

std::vector<EntryPtr> RaftLog::take_unsaved(std::uint64_t output_number) {
  if (saved_ == last_index()) return {};
  const auto from = entries_.begin() + static_cast<std::ptrdiff_t>(saved_.value - base_.index.value);
  std::vector<EntryPtr> taken(from, entries_.end());
  saved_ = last_index();
  writes_.push_back({output_number, saved_});
  return taken;
}

void RaftLog::durable(std::uint64_t output_number) {
  while (!writes_.empty() && writes_.front().output_number <= output_number) {
    durable_ = std::max(durable_, writes_.front().last);
    writes_.pop_front();
  }
}

void RaftLog::compact(const SnapshotMark& mark, std::size_t tail_entries_max, std::size_t tail_bytes_max) {
  snapshot_ = mark;
  std::size_t tail_bytes = 0;
  for (Index index = first_index(); index <= mark.last.index; index = index.next())
    tail_bytes += entry_bytes(*at(index));
  while (base_.index < mark.last.index &&
         (mark.last.index.value - base_.index.value > tail_entries_max || tail_bytes > tail_bytes_max)) {
    tail_bytes -= entry_bytes(*entries_.front());
    forget_first();
  }
}

void RaftLog::install(const SnapshotMark& mark) {
  snapshot_ = mark;
  base_ = mark.last;
  base_stamp_ = mark.stamp;
  entries_.clear();
  bytes_ = 0;
  saved_ = mark.last.index;
  durable_ = mark.last.index;
  writes_.clear();
}

void RaftLog::cut_from(Index index) {
  while (last_index() >= index && !entries_.empty()) {
    bytes_ -= entry_bytes(*entries_.back());
    entries_.pop_back();
  }
  saved_ = std::min(saved_, last_index());
  durable_ = std::min(durable_, last_index());
  for (Write& write : writes_) write.last = std::min(write.last, last_index());
}

void RaftLog::forget_first() {
  const Entry& entry = *entries_.front();
  bytes_ -= entry_bytes(entry);
  base_ = place(entry);
  base_stamp_ = entry.stamp;
  entries_.pop_front();
}

}  // namespace assent::raft
