// Reads a write-ahead log back: finds the head and the chain of segments behind it, replays them, and tells a torn tail
// from damage (docs/FORMATS.md 2.7). Changes nothing on the disk; what to do about what it found is the WAL's business.
//
// Batches that are damaged are passed over. What they changed is said again by later ones, so it is known which groups
// they concerned: of such a group term, vote, snapshot and the end of its log are what they were, and only entries are
// missing. Its log is given up to the first of these, with the place where it ended (WalGroup::lost). Groups that are
// whole are not touched by it. Only where nothing tells what was lost is the whole log refused, as corruption.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"
#include "storage/lost_entries.h"
#include "storage/wal_format.h"
#include "storage/wal_recent.h"
#include "storage/wal_state.h"

namespace assent {

struct WalScan {
  struct Head {
    wal_format::SegmentHeader header;
    std::uint64_t last_batch = 0;  // number
    std::uint64_t last_batch_offset = 0;
    bool last_batch_opens = false;
  };

  std::optional<Head> head;                     // none: a new log
  std::vector<std::uint64_t> chain;             // segments that were read, ascending
  std::map<std::uint64_t, std::uint64_t> ends;  // up to where each counts that has a successor
  std::vector<std::uint64_t> left_overs;        // other segments in the folder
  std::uint64_t highest = 0;                    // number of any segment in the folder
  std::uint64_t records = 0;
  std::uint64_t torn_bytes = 0;
  WalGroups groups;                     // each complete, up to where entries are lost
  std::map<GroupId, LostEntries> lost;  // found now; those that were found before stand in WalGroup::lost() alone
  std::set<std::uint64_t> damaged;      // segments of the chain
  std::vector<std::string> damages;     // each in a sentence
  WalRecent recent;                     // as of the last batch
};

// corruption, unsupported (newer format), refused (another directory's segments), io. The message names file, offset,
// group.
[[nodiscard]] Result<WalScan> scan_wal(Disk& disk, const std::string& folder, std::uint64_t identity);

}  // namespace assent
