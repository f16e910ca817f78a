// How a cluster map changes: commands of the log of the group that keeps it, and the pure function that carries one out
// or refuses it with a sentence. Decided when the entry is applied, on every replica alike; a leader asks the same
// function first, so that who asked hears the reason.
//
// What is not judged here, because it stands in other logs: whether a node still has replicas. The command line moves
// them away first (cli/grow_commands.cc); a node that is removed with replicas is a node that is down for its groups,
// and nothing worse.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "cluster/cluster_map.h"

namespace assent {

struct AddNode {
  MapNode node;
  bool operator==(const AddNode&) const = default;
};
struct RemoveNode {
  std::string name;
  bool operator==(const RemoveNode&) const = default;
};
// A shard with an odd number of founders. in_ring: keys are routed to it from now on; data do not move.
struct CreateShard {
  std::string name;
  std::vector<MapFounder> founders;
  bool in_ring = false;
  bool operator==(const CreateShard&) const = default;
};
// Keys are, or are not, routed to this shard from now on; data do not move.
struct PutInRing {
  std::string shard;
  bool in_ring = true;
  bool operator==(const PutInRing&) const = default;
};
using MapChange = std::variant<AddNode, RemoveNode, CreateShard, PutInRing>;

struct MapCommand {
  std::uint64_t expected = 0;  // the epoch that the change follows; another one: nothing happens
  ClusterMap base;             // with expected 0: what the leader goes by, which is in no log yet
  MapChange change;
  bool operator==(const MapCommand&) const = default;
};

// The next map. refused, with the reason and what to do; not_found for a name that is not there.
[[nodiscard]] Result<ClusterMap> changed(const ClusterMap& map, const MapChange& change);
// conflict when the command follows another epoch.
[[nodiscard]] Result<ClusterMap> changed(const ClusterMap& map, const MapCommand& command);

// Founders in any order come back ascending.
[[nodiscard]] Bytes encode(const MapCommand& command);
[[nodiscard]] Result<MapCommand> decode_map_command(ByteView bytes);

}  // namespace assent
