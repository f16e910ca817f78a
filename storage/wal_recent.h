// What the newest batches of a write-ahead log changed, for the next one to say again: should one of them turn out to
// be damaged later, it is known all the same which groups it concerned, and where the log of each went on
// (docs/FORMATS.md 2.5).
//
// How far back a batch says it is bounded: whole batches, as many as have few groups between them, at least the last
// one. Plain data; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace assent {

class WalRecent {
 public:
  static constexpr std::size_t batches_max = 16;
  static constexpr std::size_t groups_max = 32;  // in more batches than the last one

  struct Change {
    Index from;          // the lowest place of the log that was written or became void; 0: none
    bool whole = false;  // something besides entries: mark, hard state, or that the group was left
  };
  struct Window {
    std::uint64_t since = 0;  // batches from this number on
    std::map<GroupId, Change> changes;
  };

  // What is noted from now on was changed by this batch.
  void begin(std::uint64_t batch);
  void entries(GroupId group, Index from) { note(group, {from, false}); }
  void whole(GroupId group, Index from = {}) { note(group, {from, true}); }

  // As of the last batch that was begun; since one above it when there was none.
  [[nodiscard]] Window window() const;

 private:
  struct Batch {
    std::uint64_t number = 0;
    std::vector<std::pair<GroupId, Change>> changes;
  };

  void note(GroupId group, const Change& change) { batches_.back().changes.emplace_back(group, change); }

  std::deque<Batch> batches_;
};

}  // namespace assent
