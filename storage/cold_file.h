// A file that nobody writes any more until it goes: a closed segment of the log, a snapshot, and what a host keeps
// beside them. What the scrubber reads while the node runs (storage/scrubber.h). Plain data.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"

namespace assent {

struct ColdFile {
  enum class Kind : std::uint8_t {
    segment,   // of the write-ahead log
    snapshot,  // of a group
    other,     // the host knows how to look at it
  };
  Kind kind = Kind::segment;
  std::string path;            // relative to the data directory
  GroupId group;               // whose it is; none for a segment, which is of all groups
  std::uint64_t identity = 0;  // of a segment: the data directory's number
  std::uint64_t segment = 0;   // ... and its own
  std::uint64_t end = 0;       // ... and up to where it counts, in bytes

  bool operator==(const ColdFile&) const = default;
};

}  // namespace assent
