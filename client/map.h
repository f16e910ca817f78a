// The cluster map, as a client sees it, and where it sends a key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/cluster_map.h"
#include "cluster/map_change.h"
#include "cluster/ring.h"

namespace assent::client {

// Error::reason of what was routed by a map that is not the newest any more: nothing was done; ask route() again.
inline constexpr std::string_view stale_map_reason = "STALE_MAP";

struct Route {
  std::string shard;
  std::uint64_t epoch = 0;  // of the map that says so
};

}  // namespace assent::client
