// The cluster map: which nodes there are, with their addresses, and which groups, with their founders. Its epoch grows
// by one with each change; of two maps the one of the higher epoch is true, and the other one is old.
//
// Epoch 0 is what the configuration of a node says, and every later one is replicated (node/map_app.h). Who belongs to
// a group now is not in it: that is in the group's own log, which wins over the founders named here. Plain values, no
// I/O.
//
// Invariants: nodes and groups ascend by name; a name stands for one group for ever, and no two names of nodes, nor of
// groups, have the same number (txn_proto/names.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "txn_proto/names.h"

namespace assent {

struct MapNode {
  std::string name;
  std::string client;  // host:port that clients reach; may be empty
  std::string peer;    // host:port that other nodes reach
  bool operator==(const MapNode&) const = default;
};

// Who founded a group: a node with the disk that it had (base/membership.h).
struct MapFounder {
  std::string node;
  std::uint64_t disk = 0;
  bool operator==(const MapFounder&) const = default;
};

struct MapGroup {
  std::string name;
  GroupKind kind = GroupKind::shard;
  std::vector<MapFounder> founders;  // ascending by node
  std::uint64_t since = 0;           // the epoch that it came with; 0: configured
  bool in_ring = true;               // of a shard: keys are routed to it (cluster/ring.h)
  bool operator==(const MapGroup&) const = default;
};

struct ClusterMap {
  std::uint64_t epoch = 0;
  std::vector<MapNode> nodes;
  std::vector<MapGroup> groups;

  [[nodiscard]] const MapNode* node(std::string_view name) const;
  [[nodiscard]] const MapGroup* group(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> ring_shards() const;
  bool operator==(const ClusterMap&) const = default;
};

inline constexpr std::size_t map_nodes_max = 1'000;
inline constexpr std::size_t map_groups_max = 10'000;

// docs/FORMATS.md section 6. Decoding is total: any bytes give a map that keeps the invariants, or malformed.
[[nodiscard]] Bytes encode(const ClusterMap& map);
[[nodiscard]] Result<ClusterMap> decode_cluster_map(ByteView bytes);

}  // namespace assent
