// Says in plain words what a data directory holds: whose it is, each segment of the log, each group as a restart would
// find it, each snapshot, and every damage with its offset. For `assentd inspect` and for tests that failed.
//
// Reads only, and goes on behind damage: what it reports never stops it. Made for a disk that nobody writes meanwhile.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/log_entry.h"
#include "base/result.h"
#include "storage/disk.h"

namespace assent {

struct InspectOptions {
  // Both may be empty: then payloads are told by their size, hard states in hex.
  std::function<std::string(GroupId, const Entry&)> describe_entry;
  std::function<std::string(GroupId, ByteView)> describe_hard_state;
  std::size_t entries_max = 0;  // the newest live entries of each group to print, one a line
  std::string wal_folder = "wal";
  std::string snapshot_folder = "snapshots";
};

struct Inspection {
  std::string text;
  std::vector<std::string> damages;  // each in a sentence
  bool refused = false;              // a node would refuse to start on some of them; on the others it starts

  [[nodiscard]] bool damaged() const { return !damages.empty(); }
};

// Errors only for what the operating system refuses.
[[nodiscard]] Result<Inspection> inspect_data_directory(Disk& disk, const InspectOptions& options = {});

}  // namespace assent
