// Whether somebody who goes by one epoch of the cluster map may be served by a node that goes by another. Pure; asked
// by whoever takes requests in, before anything is begun.
//
// Of two maps the newer one is true. Who goes by an older one than the node may have routed a key to a shard that does
// not have it any more, so it is told the node's epoch, and looks at the map again. Who goes by a newer one is right,
// whatever the node knows, unless it names what the node has not heard of: then it asks again, here or elsewhere.
#pragma once

#include <cstdint>

namespace assent {

enum class MapVerdict : std::uint8_t {
  fits,
  stale,   // the caller has to look at the map again
  behind,  // this node has not heard of what the caller names
};

// knows: the node knows what the caller names.
[[nodiscard]] MapVerdict judge_epoch(std::uint64_t theirs, std::uint64_t ours, bool knows);

}  // namespace assent
