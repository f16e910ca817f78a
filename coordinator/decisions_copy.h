// A snapshot of Decisions made in steps, between which the machine goes on: the settled outcomes, which never change,
// are copied a part at a time; those that come meanwhile are copied as well, those that are forgotten are left out
// again, and the rest of the machine, which is small, is written with the last step. So the bytes are those of
// snapshot() at that moment.
//
// Pure but for the archive that Decisions reads. Called from the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/bytes.h"
#include "base/result.h"
#include "base/snapshot_data.h"

namespace assent {

class Decisions;

class DecisionsCopy {
 public:
  // Copies outcomes of about so many bytes, at least one. Null while there are more; else the whole, and the next step
  // begins anew. An error is the archive's.
  [[nodiscard]] Result<SnapshotDataPtr> step(const Decisions& machine, std::size_t bytes);
  void drop() { blocks_.clear(); }

 private:
  struct Block {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    Bytes bytes;
  };
  void leave_out_before(std::uint64_t first);
  [[nodiscard]] SnapshotDataPtr finish(const Decisions& machine);

  std::deque<Block> blocks_;  // one behind the other
};

}  // namespace assent
