// What a configuration means for the parts of a node: options of consensus, log, machines and drivers. No I/O but the
// opening of shard databases when the loop asks for applications.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "consensus/raft/raft_options.h"
#include "node/application.h"
#include "node/loop.h"
#include "server/cluster_view.h"
#include "server/config.h"
#include "server/incarnation.h"
#include "server/peer_identity.h"
#include "sql_adapter/sqlite_store.h"

namespace assent {

[[nodiscard]] ClusterView cluster_view(const ServerConfig& config);
[[nodiscard]] std::vector<GroupId> shards_of(const ClusterView& cluster);
// The protocol level that this node tells others to use (base/protocol_level.h).
[[nodiscard]] std::uint32_t level_used(const ServerConfig& config);
[[nodiscard]] PeerIdentity peer_identity(const ServerConfig& config, const Incarnation& incarnation);
[[nodiscard]] NodeConfig node_config(const ServerConfig& config, const ClusterView& cluster, std::uint64_t incarnation);
// What the group's application keeps, as paths in the data directory: its database and what SQLite puts beside it.
[[nodiscard]] std::vector<std::string> application_files(const GroupConfig& group);
[[nodiscard]] RaftOptions raft_options(const ServerConfig& config);

// Of the shards that are open, owned by the loop.
using OpenStores = std::map<GroupId, SqliteStore*>;

// Opens <data_dir>/shards/<group>.db for each shard and coordinators/<group>.db for each coordinator. They are
// listed in stores so that a graceful stop can commit what they gather; who lets a group go takes it out.
[[nodiscard]] ApplicationFactory application_factory(const ServerConfig& config, OpenStores& stores);

}  // namespace assent
