#include "cluster/ring.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"

namespace assent {

HashRing::HashRing(std::vector<std::string> shards) : shards_(std::move(shards)) {
  std::sort(shards_.begin(), shards_.end());
  shards_.erase(std::unique(shards_.begin(), shards_.end()), shards_.end());
  points_.reserve(shards_.size() * points_per_shard);
  for (std::uint32_t shard = 0; shard < shards_.size(); ++shard) {
    for (int i = 0; i < points_per_shard; ++i)
      points_.emplace_back(xxh3(fmt::format("{}#{}", shards_[shard], i)), shard);
  }
  std::sort(points_.begin(), points_.end());
}

std::string_view HashRing::shard_of(std::string_view key) const {
  if (points_.empty()) return {};
  const auto found = std::lower_bound(points_.begin(), points_.end(), std::pair(xxh3(key), std::uint32_t{0}));
  return shards_[(found == points_.end() ? points_.front() : *found).second];
}

}  // namespace assent
