// What the write-ahead log says about each group: hard state, snapshot mark, and the live entries with the segment and
// batch that hold them. Changed in one way only, by the meaning of the records (docs/FORMATS.md 2.3), both when batches
// are written and when they are read back. Plain data; no I/O.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log_entry.h"
#include "storage/wal_format.h"

namespace assent {

struct WalSlot {
  EntryPtr entry;
  std::uint64_t segment = 0;
  std::uint64_t batch = 0;
};

class WalGroup {
 public:
  Bytes hard_state;

  // The node left the group: mark and entries are void, the hard state stays. What was said already says nothing.
  void leave(const LeftGroup& left);
  void install(const SnapshotMark& mark);
  void compact(const SnapshotMark& mark);
  // False when the index would leave a gap.
  [[nodiscard]] bool append(EntryPtr entry, std::uint64_t segment, std::uint64_t batch);
  // Where the place before the entry may be missing, because of what was lost.
  void append_anywhere(EntryPtr entry, std::uint64_t segment, std::uint64_t batch);
  // False when the index is not a place of the log.
  [[nodiscard]] bool carry(EntryPtr entry, std::uint64_t segment, std::uint64_t batch);
  // A record of the group's state: sets everything but the entries, and cuts those to the new bounds. `from`: as in
  // regrow().
  void restate(wal_format::GroupRecord record);

  // ---- what was damaged ----
  // The log ends there now, and what it has from `from` on may have been replaced by what is lost.
  void regrow(const wal_format::GrownRecord& grown);
  void forget_from(Index from) { erase(slots_.lower_bound(from), slots_.end()); }
  // Entries are missing: the log ends before the first of these, and it is kept where it ended. complete() must be
  // false, and the epoch of last() known.
  void cut_at_hole();
  // The highest place that the log ended at when entries of it were lost; a record of that, too.
  [[nodiscard]] const Position& lost() const { return lost_; }
  void lose(const Position& place) { lost_ = std::max(lost_, place); }

  [[nodiscard]] const LeftGroup& left() const { return left_; }
  // It left, and nothing came since.
  [[nodiscard]] bool gone() const { return left_.times > 0 && last_.index.none(); }
  [[nodiscard]] const SnapshotMark& mark() const { return mark_; }
  [[nodiscard]] Index last() const { return last_.index; }
  // Its epoch is none where nothing says it: in a log of an older program, when the last entry is damaged.
  [[nodiscard]] const Position& end() const { return last_; }
  [[nodiscard]] const std::map<Index, WalSlot>& slots() const { return slots_; }
  // Entries that a segment holds, and the bytes of their records.
  struct Held {
    std::size_t entries = 0;
    std::uint64_t bytes = 0;
  };
  // By segment, of those that hold any: what the slots come to. A rotation asks, and may not go through all of them.
  [[nodiscard]] const std::map<std::uint64_t, Held>& held() const { return held_; }
  // The entries in segments below this one, in their order.
  [[nodiscard]] std::vector<EntryPtr> entries_below(std::uint64_t segment) const;
  [[nodiscard]] bool complete() const { return slots_.size() == last_.index.value - mark_.last.index.value; }
  // The lowest place without an entry; complete() must be false.
  [[nodiscard]] Index first_missing() const;
  [[nodiscard]] DurableLog durable_log() const;

 private:
  using Slots = std::map<Index, WalSlot>;
  void put(Slots::iterator hint, Index index, WalSlot slot);  // where nothing is
  void erase(Slots::iterator first, Slots::iterator last);

  LeftGroup left_;
  Position lost_;
  SnapshotMark mark_;
  Position last_;
  Slots slots_;  // all above mark_ and up to last_; places may be empty while reading back only
  std::map<std::uint64_t, Held> held_;
};

using WalGroups = std::map<GroupId, WalGroup>;

}  // namespace assent
