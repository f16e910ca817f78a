// Since when what was read has not changed: for each thing that was written lately, the index of the last entry that
// applied a write of it. For validating reads without locks (caretaker.h).
//
// It is a leader's memory and no truth: what is older than its beginning, or was dropped for want of room, counts as
// changed. Two things that fall on one hash count as one: that may say "changed" for nothing, and never the contrary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

class ChangeIndex {
 public:
  // Remembers the last `most` changes, or half of them when it has just made room.
  explicit ChangeIndex(std::size_t most = 65'536) : most_(most) {}

  // Nothing is known of changes up to this index.
  void begin(Index at);
  // A transaction that held these locks was applied: what it held to write has changed. Indices do not go back.
  void note(std::span<const LockRequest> locks, Index at);
  // Has nothing that these locks keep from changing changed after this index?
  [[nodiscard]] bool unchanged_since(std::span<const LockRequest> locks, Index since) const;

 private:
  // By hash of key and of what was done to it, in one array: a write of each of thousands of rows a second goes here,
  // and its place in a table of nodes would be a miss of the processor's cache, and an allocation.
  class Changes {
   public:
    void put(std::uint64_t name, Index at);
    [[nodiscard]] Index last(std::uint64_t name) const;  // none: not here
    [[nodiscard]] std::size_t size() const { return used_; }

   private:
    struct Place {
      std::uint64_t name = 0;
      Index at;  // none: free
    };
    [[nodiscard]] std::size_t place_of(std::uint64_t name) const;
    void grow();

    std::vector<Place> places_;  // a power of two, at most half of them used; linear probing
    std::size_t used_ = 0;
  };

  Changes recent_;
  Changes older_;  // up to turned_
  Index known_from_;
  Index turned_;
  std::size_t most_;
};

}  // namespace assent
