// What a replicated log is made of, as plain data: consensus makes it, storage keeps it, the node carries it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/membership.h"

namespace assent {

enum class EntryKind : std::uint8_t {
  command = 0,      // for the application
  epoch_start = 1,  // written by each new leader to commit an entry of its own epoch; empty, not for the application
  membership = 2,   // who belongs to the group from here on: encode_membership(); not for the application
};

struct Entry {
  Epoch epoch;
  Index index;
  ClusterMillis stamp;
  EntryKind kind = EntryKind::command;
  Bytes payload;

  bool operator==(const Entry&) const = default;
};

// Entries are immutable and shared between the core's log, the WAL batch and the application.
using EntryPtr = std::shared_ptr<const Entry>;

// The end of the prefix of a log that a snapshot stands for, and what a log must know to go on after it.
struct SnapshotMark {
  Position last;
  ClusterMillis stamp;  // of the entry at last
  Membership members;   // at last

  bool operator==(const SnapshotMark&) const = default;
};

// What survives on disk for one group, as a log is rebuilt from it.
struct DurableLog {
  Bytes hard_state;               // the core's own bytes; empty when the group is new
  SnapshotMark snapshot;          // last.index 0 when there is none
  std::vector<EntryPtr> entries;  // contiguous from snapshot.last.index + 1
};

}  // namespace assent
