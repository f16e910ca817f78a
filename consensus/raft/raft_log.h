// The log in memory, and how far the disk is with it. Entries stand after a base: the start of the log or a place at or
// before the newest snapshot; a tail of entries before the snapshot is kept for slow followers.
//
//     base < first ... snapshot ... durable ... saved ... last
//            |----------- entries in memory --------------|
//
// saved: handed to the host for writing; durable: the host said they are on disk. Cutting off a suffix takes both back,
// and a write that was under way when its entries were cut off vouches, once it is durable, only for what stands before
// the cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/log_entry.h"

namespace assent::raft {

class RaftLog {
 public:
  RaftLog() = default;
  explicit RaftLog(const DurableLog& durable);

  [[nodiscard]] const Position& base() const { return base_; }
  [[nodiscard]] const SnapshotMark& snapshot() const { return snapshot_; }
  [[nodiscard]] Index first_index() const { return base_.index.next(); }
  [[nodiscard]] Index last_index() const { return Index(base_.index.value + entries_.size()); }
  [[nodiscard]] Position last() const { return entries_.empty() ? base_ : place(*entries_.back()); }
  [[nodiscard]] ClusterMillis last_stamp() const { return entries_.empty() ? base_stamp_ : entries_.back()->stamp; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  // Known from base() to last(); nullopt elsewhere.
  [[nodiscard]] std::optional<Epoch> epoch_at(Index index) const;
  [[nodiscard]] bool holds(const Position& at) const { return epoch_at(at.index) == at.epoch; }
  // In memory: first_index() <= index <= last_index().
  [[nodiscard]] bool in_memory(Index index) const { return index > base_.index && index <= last_index(); }
  [[nodiscard]] const EntryPtr& at(Index index) const;
  // From `from` on: as many as bytes_max allows, at least one if there is one; none past `end`.
  [[nodiscard]] std::vector<EntryPtr> slice(Index from, Index end, std::size_t bytes_max) const;
  // The last index at or below limit whose epoch is not newer than the given one; base().index - 1 (at least 0) when
  // all in memory are newer: the place lies in what was compacted.
  [[nodiscard]] Index last_not_newer(Index limit, Epoch epoch) const;

  void append(EntryPtr entry);
  // Whether entries may stand where they say: no gap before them, epochs and stamps not going back.
  [[nodiscard]] bool fits(std::span<const EntryPtr> entries) const;
  // Cuts off everything from the first of these on and appends them; they fit.
  void replace(std::span<const EntryPtr> entries);

  [[nodiscard]] bool has_unsaved() const { return saved_ != last_index(); }
  // The entries that the disk was not given yet, which now leave with this output.
  [[nodiscard]] std::vector<EntryPtr> take_unsaved(std::uint64_t output_number);
  void durable(std::uint64_t output_number);
  [[nodiscard]] Index durable_index() const { return durable_; }

  // A durable snapshot up to mark exists: forgets entries before it but for a tail.
  void compact(const SnapshotMark& mark, std::size_t tail_entries_max, std::size_t tail_bytes_max);
  // The snapshot takes the place of everything.
  void install(const SnapshotMark& mark);

 private:
  struct Write {
    std::uint64_t output_number = 0;
    Index last;
  };

  [[nodiscard]] static Position place(const Entry& entry) { return {entry.epoch, entry.index}; }
  void cut_from(Index index);
  void forget_first();

  SnapshotMark snapshot_;
  Position base_;
  ClusterMillis base_stamp_;
  std::deque<EntryPtr> entries_;
  std::size_t bytes_ = 0;
  Index saved_;
  Index durable_;
  std::deque<Write> writes_;  // under way
};

}  // namespace assent::raft
