// The cluster map and the configuration. A configuration says how the cluster was founded; once the map was changed, a
// node goes by the map, and of the configuration's nodes and groups only its own entry counts.
//
// The newest map that a node knows stands in its data directory (docs/FORMATS.md section 6), so that it comes up with
// it: with the groups that it founded since, and the addresses of nodes that no configuration names. load_map() and
// save_map() do I/O; the rest is pure.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "cluster/cluster_map.h"
#include "node/application.h"
#include "server/config.h"

namespace assent {

// Epoch 0.
[[nodiscard]] ClusterMap configured_map(const ServerConfig& config);
// The configuration with the map's nodes and groups. This node stays among its peers even where the map has it no more.
[[nodiscard]] ServerConfig with_map(ServerConfig config, const ClusterMap& map);
// The group that keeps the map: founded by the members of the first coordinator group that was configured.
[[nodiscard]] GroupConfig map_group(const ServerConfig& config);

struct KeptMap {
  std::string cluster;
  ClusterMap map;
};
// nullopt: none was kept yet. corruption, io.
[[nodiscard]] Result<std::optional<KeptMap>> load_map(const std::string& data_dir);
// Durable on return. io; what was there before then stays.
[[nodiscard]] Result<void> save_map(const std::string& data_dir, const KeptMap& kept);

}  // namespace assent
