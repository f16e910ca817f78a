// Which shard a key belongs to when the caller names none: a consistent-hash ring (Karger et al. 1997). Each shard has
// 128 points on it, at
//
//     XXH3-64(shard "#" i, seed 0)     for i from 0 to 127, in decimal
//
// and a key belongs to the shard of the first point at or after XXH3-64(key, seed 0), going round at the end; of equal
// points the smaller name wins. A shard that joins takes its share of the keys from all others and moves no other key.
//
// No data move with it: what was written under such a key stays at the shard that had it. Which shards are on the ring
// is part of the cluster map, and so of its epoch. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace assent {

class HashRing {
 public:
  static constexpr int points_per_shard = 128;

  explicit HashRing(std::vector<std::string> shards);
  // Empty when there are no shards.
  [[nodiscard]] std::string_view shard_of(std::string_view key) const;

 private:
  std::vector<std::string> shards_;                              // ascending
  std::vector<std::pair<std::uint64_t, std::uint32_t>> points_;  // ascending; a place in shards_
};

}  // namespace assent
