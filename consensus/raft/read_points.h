// What a replica can prove of what it holds, for reads that may be stale but not older than they say: pure bookkeeping.
//
// A point (index, asked) says: whatever anybody was told to be committed before this replica's own clock showed
// `asked` stands at or below index. It is a fact for ever, whoever leads later; it only grows older.
// raft_read_points.cc has how a replica comes by one, and the safety argument.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/ids.h"
#include "consensus/log_contract.h"

namespace assent::raft {

// Real time that has passed at most while a clock that is wrong by at most so many millionths showed `measured`
// microseconds; drift_ppm: below 1'000'000.
[[nodiscard]] constexpr std::uint64_t elapsed_at_most(std::uint64_t measured, std::uint64_t drift_ppm) {
  constexpr std::uint64_t whole = 1'000'000;
  const std::uint64_t right = whole - std::min(drift_ppm, whole - 1);
  return measured + measured / right * drift_ppm + measured % right * drift_ppm / right + 2;  // and what was cut off
}

class ReadPoints {
 public:
  // asked: microseconds of the own clock, when it asked for the point. Points come in any order.
  void add(Index index, std::uint64_t asked) {
    if (!points_.empty() && asked <= points_.back().asked) return;
    const Index least = points_.empty() ? index : points_.back().index;  // what was committed earlier still is
    points_.push_back({std::max(index, least), asked});
    if (points_.size() > points_max) points_.pop_front();
  }
  // The youngest for which everything up to its index is applied.
  [[nodiscard]] std::optional<ReadPoint> youngest(Index applied, std::uint64_t now, std::uint64_t drift_ppm) const {
    for (auto point = points_.rbegin(); point != points_.rend(); ++point) {
      if (point->index > applied) continue;
      return ReadPoint{point->index, elapsed_at_most(now - std::min(now, point->asked), drift_ppm)};
    }
    return std::nullopt;
  }
  [[nodiscard]] bool empty() const { return points_.empty(); }
  [[nodiscard]] std::uint64_t newest_asked() const { return points_.empty() ? 0 : points_.back().asked; }

 private:
  struct Point {
    Index index;
    std::uint64_t asked = 0;
  };
  static constexpr std::size_t points_max = 4;  // the newest is soon applied; older ones serve until then
  std::deque<Point> points_;                    // both ascend
};

}  // namespace assent::raft
