// Since when what was read has not changed: for each thing that was written lately, the index of the last entry that
// applied a write of it. For validating reads without locks (caretaker.h).
//
// It is a leader's memory and no truth: what is older than its beginning, or was dropped for want of room, counts as
// changed. Two things that fall on one hash count as one: that may say "changed" for nothing, and never the contrary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>

#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

class ChangeIndex {
 public:
  explicit ChangeIndex(std::size_t most = 65'536) : most_(most) {}

  // Nothing is known of changes up to this index.
  void begin(Index at);
  // A transaction that held these locks was applied: what it held to write has changed.
  void note(std::span<const LockRequest> locks, Index at);
  // Has nothing that these locks keep from changing changed after this index?
  [[nodiscard]] bool unchanged_since(std::span<const LockRequest> locks, Index since) const;

 private:
  std::unordered_map<std::uint64_t, Index> last_;  // by hash of key and of what was done to it; never iterated
  Index known_from_;
  std::size_t most_;
};

}  // namespace assent
