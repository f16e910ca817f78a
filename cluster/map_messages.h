// The cluster map in the messages of the public API, both ways, for servers and clients. Pure.
#pragma once

#include "assent/v1/assent.pb.h"
#include "base/result.h"
#include "cluster/map_change.h"

namespace assent {

// Nodes, groups and epoch; the rest of the answer is the caller's.
void write_map(const ClusterMap& map, v1::GetMapResponse& out);
// malformed when it is no map that keeps its invariants.
[[nodiscard]] Result<ClusterMap> read_map(const v1::GetMapResponse& from);
void write_change(const MapChange& change, v1::ChangeMapRequest& out);
// malformed when nothing, or something unknown, is wanted.
[[nodiscard]] Result<MapChange> read_change(const v1::ChangeMapRequest& from);

}  // namespace assent
