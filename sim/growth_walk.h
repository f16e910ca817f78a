// Walks of a cluster that grows and shrinks under writers who go by stale maps: the production loops, the group that
// keeps the map (node/map_app.h), shards that are founded at runtime, and what a node does with a newer map, in the
// words of server/daemon.cc. Nodes crash, are cut off and come back; one at a time, so that every group keeps a
// majority.
//
// Judged:
//   map agreement   two nodes never go by different maps of one epoch, and no node goes back
//   stale map       no node takes in a write for a shard that by its own map does not have the key
//   lost write      a write that was acknowledged is in the shard that acknowledged it, at the end
//   convergence     at the end all nodes go by the newest map, and every group has one leader and equal replicas
//
// Apart from sim/world.h, whose clients name their shards: here keys are routed. One seed, one walk, the same each
// time.
#pragma once

#include <cstdint>
#include <string>

namespace assent::sim {

struct GrowthResult {
  std::string wrong;  // empty: nothing
  std::uint64_t epochs = 0;
  std::uint64_t written = 0;  // acknowledged
  std::uint64_t refused = 0;  // for an older map
  std::uint64_t behind = 0;   // refused by a node that had an older map
  std::uint64_t crashes = 0;
};

[[nodiscard]] GrowthResult walk_growth(std::uint64_t seed, bool narrate = false);

}  // namespace assent::sim
