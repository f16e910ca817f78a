// How a new node learns of the cluster that it joins: it asks a node that is part of it, once, before it has anything
// of its own. Waits; used by main alone.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "cluster/cluster_map.h"

namespace assent {

struct JoinedCluster {
  std::string cluster;
  std::uint64_t generation = 0;
  ClusterMap map;
};

// From the client port of a node; asks again while it does not answer. The error says what to do.
[[nodiscard]] Result<JoinedCluster> ask_for_cluster(const std::string& endpoint, std::chrono::milliseconds patience);

}  // namespace assent
