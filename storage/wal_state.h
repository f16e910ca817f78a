// What the write-ahead log says about each group: hard state, snapshot mark, and the live entries with the segment and
// batch that hold them. Changed in one way only, by the meaning of the records (docs/FORMATS.md 2.3), both when batches
// are written and when they are read back. Plain data; no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

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
  // False when the index is not a place of the log.
  [[nodiscard]] bool carry(EntryPtr entry, std::uint64_t segment, std::uint64_t batch);
  // A group record: sets everything but the entries, and cuts those to the new bounds.
  void restate(wal_format::GroupRecord record);

  [[nodiscard]] const LeftGroup& left() const { return left_; }
  // It left, and nothing came since.
  [[nodiscard]] bool gone() const { return left_.times > 0 && last_.none(); }
  [[nodiscard]] const SnapshotMark& mark() const { return mark_; }
  [[nodiscard]] Index last() const { return last_; }
  [[nodiscard]] const std::map<Index, WalSlot>& slots() const { return slots_; }
  [[nodiscard]] bool complete() const { return slots_.size() == last_.value - mark_.last.index.value; }
  // The lowest place without an entry; complete() must be false.
  [[nodiscard]] Index first_missing() const;
  [[nodiscard]] DurableLog durable_log() const;

 private:
  LeftGroup left_;
  SnapshotMark mark_;
  Index last_;
  std::map<Index, WalSlot> slots_;  // all above mark_ and up to last_; places may be empty while reading back only
};

using WalGroups = std::map<GroupId, WalGroup>;

}  // namespace assent
