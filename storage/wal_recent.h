// What the newest batches of a write-ahead log changed, for the next one to say again: should some of them turn out to
// be damaged later, it is known all the same which groups they concerned, and where the log of each went on
// (docs/FORMATS.md 2.5).
//
// How far back a batch says it is bounded: some tens of batches, fewer where they concern many groups, at least the
// last one. Plain data; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/ids.h"

namespace assent {

class WalRecent {
 public:
  static constexpr std::uint64_t batches_max = 32;  // of each of two spans
  static constexpr std::size_t groups_max = 64;     // that more batches than the last may concern

  struct Change {
    Index from;          // the lowest place of the log that was written or became void; 0: none
    bool whole = false;  // something besides entries: mark, hard state, or that the group was left
  };
  using Changes = std::map<GroupId, Change>;
  struct Window {
    std::uint64_t since = 0;  // batches from this number on
    Changes changes;
  };

  // What is noted from now on was changed by this batch.
  void begin(std::uint64_t batch);
  void entries(GroupId group, Index from) { note(current_.changes, group, {from, false}); }
  void whole(GroupId group, Index from = {}) { note(current_.changes, group, {from, true}); }

  // Up to the last batch that was begun.
  [[nodiscard]] Window window() const;

 private:
  struct Span {
    std::uint64_t since = 0;
    std::uint64_t batches = 0;
    Changes changes;
  };

  static void note(Changes& into, GroupId group, const Change& change);

  Span before_;  // its end is where the current one begins; no batches: there is none
  Span current_;
};

}  // namespace assent
