// The snapshots that a node sends to others: how much may leave in a second, and what has. On the thread that waits on
// the node's completion queue.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/token_bucket.h"

namespace assent {

// Since the node started.
struct SnapshotTraffic {
  std::uint64_t bytes_sent = 0;    // of the data, with what was sent again
  std::uint64_t bytes_spared = 0;  // that a broken stream had brought, and that were not sent again
  std::uint64_t resumed = 0;       // streams that went on where another had broken
  std::uint64_t delivered = 0;
  std::uint64_t broken = 0;          // that ended before the snapshot was there
  std::uint64_t chunks_refused = 0;  // on their way in: damaged, or in the wrong place
};

struct SnapshotRate {
  // bytes_per_second 0: no bound.
  explicit SnapshotRate(std::uint64_t bytes_per_second)
      : per_second(bytes_per_second),
        bucket(bytes_per_second, std::max<std::uint64_t>(bytes_per_second / 10, 256ULL << 10U)) {}

  // How long one stream of so many bytes may take: four others may share the rate with it, and the network may be slow.
  [[nodiscard]] std::chrono::seconds time_for(std::uint64_t bytes) const {
    const std::uint64_t by_rate = per_second == 0 ? 0 : 8 * (bytes / per_second);
    return std::chrono::minutes(10) + std::chrono::seconds(by_rate);
  }

  std::uint64_t per_second;
  TokenBucket bucket;
};

}  // namespace assent
