#include "server/node_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/digest.h"
#include "base/protocol_level.h"
#include "node/coordinator_app.h"
#include "node/leaving.h"
#include "node/map_app.h"
#include "node/shard_app.h"
#include "server/map_config.h"
#include "sql_adapter/schema_cache.h"
#include "sql_adapter/sqlite_archive.h"
#include "storage/data_directory.h"
#include "txn_proto/api_codec.h"
#include "txn_proto/names.h"

namespace assent {

namespace {

std::uint64_t ticks_of(std::chrono::milliseconds duration) {
  return std::max<std::uint64_t>(1, ticks_of_millis(static_cast<std::uint64_t>(duration.count())));
}

TimeWindow time_window(const ServerConfig& config) {
  return {.retention_millis = static_cast<std::uint64_t>(config.retention.count()),
          .clock_skew_max_millis = static_cast<std::uint64_t>(config.clock_skew_max.count())};
}

TxnLimits txn_limits(const ServerConfig& config) {
  TxnLimits limits;
  limits.branches_max = config.participants_max;
  limits.statement_bytes_max = config.statement_bytes_max;
  limits.transaction_bytes_max = config.transaction_bytes_max;
  limits.result_bytes_max = config.result_bytes_max;
  return limits;
}

Result<std::string> path_in(const ServerConfig& config, std::string_view folder, const GroupConfig& group) {
  const std::filesystem::path path = std::filesystem::path(config.data_dir) / folder;
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(ErrorCode::io, fmt::format("cannot make {}: {}", path.string(), error.message()));
  return (path / (group.name + ".db")).string();
}

// What to do with a file that cannot be used; the log and the snapshots have all that is in it.
Error rebuildable(const Error& error, std::string_view kind, const GroupConfig& group) {
  return {error.code,
          fmt::format("{} {}: {}{}", kind, group.name, error.message,
                      error.code == ErrorCode::corruption
                          ? "; the file goes to the folder damaged, and is made again from snapshot and log"
                          : ""),
          {}};
}

Result<std::unique_ptr<Application>> make_coordinator(const ServerConfig& config, const GroupConfig& group) {
  CoordinatorAppOptions options;
  for (const GroupSetting& other : config.groups) {
    if (other.role == "shard" && other.since == 0) options.conductor.shards.push_back(group_id(other.name));
  }
  options.decisions.window = time_window(config);
  options.decisions.history.keep_millis = static_cast<std::uint64_t>(config.history_keep.count());
  options.decisions.history.records_max = config.history_records_max;
  options.conductor.limits = txn_limits(config);
  options.conductor.timeout_ticks = ticks_of(config.txn_timeout);
  options.conductor.timeout_ticks_max = std::max(options.conductor.timeout_ticks_max, options.conductor.timeout_ticks);
  options.conductor.attempts_max = config.active_txns_max;
  options.conductor.service_failures_max = config.services_failures_max;
  SqliteArchiveOptions sqlite;
  auto path = path_in(config, "coordinators", group);
  if (!path) return fail(path.error());
  sqlite.path = std::move(*path);
  auto archive = SqliteArchive::open(sqlite);
  if (!archive) return fail(rebuildable(archive.error(), "coordinator", group));
  auto application = make_coordinator_application(group.id, std::move(options), std::move(*archive));
  if (!application) return fail(rebuildable(application.error(), "coordinator", group));
  return application;
}

Result<std::unique_ptr<Application>> make_shard(const ServerConfig& config, const GroupConfig& group,
                                                const std::shared_ptr<sql::SchemaCache>& schemas, OpenStores& stores) {
  SqliteOptions sqlite;
  auto path = path_in(config, "shards", group);
  if (!path) return fail(path.error());
  sqlite.path = std::move(*path);
  sqlite.copy_path = sqlite.path + ".copy";
  sqlite.statement_bytes_max = config.statement_bytes_max;
  sqlite.result_bytes_max = config.result_bytes_max;
  sqlite.change_bytes_max = config.transaction_bytes_max;
  sqlite.lets_go = config.sleep_after.count() > 0;
  sqlite.schemas = schemas;
  Result<std::unique_ptr<SqliteStore>> store = SqliteStore::open(sqlite);
  if (!store) return fail(rebuildable(store.error(), "shard", group));
  SqliteStore* const kept = store->get();
  ShardAppOptions options;
  options.shard.window = time_window(config);
  options.caretaker.limits = txn_limits(config);
  options.caretaker.tick_millis = tick_millis;
  options.caretaker.prepare_timeout_ticks = ticks_of(config.prepare_timeout);
  options.caretaker.jobs_max = config.active_txns_max;
  options.caretaker.queries_max = config.active_txns_max;
  Result<std::unique_ptr<Application>> application = make_shard_application(group.id, options, std::move(*store));
  if (application) stores[group.id] = kept;
  return application;
}

}  // namespace

// Where path_in() puts them, what SQLite keeps beside, and a copy in the making whose name a crash has left.
std::vector<std::string> application_files(const GroupConfig& group) {
  if (group.role == GroupRole::map) return {};
  const std::string file =
      fmt::format("{}/{}.db", group.role == GroupRole::coordinator ? "coordinators" : "shards", group.name);
  return {file, file + "-wal", file + "-shm", file + "-journal", file + ".copy"};
}

std::vector<GroupId> shards_of(const ClusterView& cluster) {
  std::vector<GroupId> shards;
  for (const GroupConfig& group : cluster.group_configs) {
    if (group.role == GroupRole::shard) shards.push_back(group.id);
  }
  return shards;
}

ClusterView cluster_view(const ServerConfig& config) {
  ClusterView view;
  view.self = node_id(config.node_name);
  view.cluster = config.cluster_name;
  view.epoch = config.map_epoch;
  view.uses_level = level_used(config);
  view.map = configured_map(config);
  view.map.epoch = config.map_epoch;
  for (const auto& [name, peer] : config.peers) {
    const auto client = config.clients.find(name);
    view.nodes[node_id(name)] = {
        .name = name,
        .client_endpoint = client == config.clients.end() ? std::string() : client->second.text(),
        .peer_endpoint = peer.text()};
  }
  for (const GroupSetting& group : config.groups) {
    const bool coordinates = group.role == "coordinator";
    // Checked with the configuration: names are unique.
    static_cast<void>(view.groups.add(group.name, coordinates ? GroupKind::coordinator : GroupKind::shard));
    GroupConfig out{.id = group_id(group.name),
                    .name = group.name,
                    .role = coordinates ? GroupRole::coordinator : GroupRole::shard,
                    .members = {}};
    for (const std::string& member : group.members) out.members.push_back(node_id(member));
    if (std::any_of(group.disks.begin(), group.disks.end(), [](std::uint64_t disk) { return disk != 0; })) {
      for (std::size_t i = 0; i < group.members.size(); ++i) {
        out.founders.emplace_back(node_id(group.members[i]), i < group.disks.size() ? group.disks[i] : 0);
      }
      std::sort(out.founders.begin(), out.founders.end());
    }
    std::sort(out.members.begin(), out.members.end());
    view.group_configs.push_back(std::move(out));
  }
  return view;
}

std::uint32_t level_used(const ServerConfig& config) {
  const std::uint64_t most = config.level_max == 0 ? protocol_level() : config.level_max;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(most, protocol_level()));
}

PeerIdentity peer_identity(const ServerConfig& config, const Incarnation& incarnation) {
  PeerIdentity identity{.cluster = config.cluster_name,
                        .self = node_id(config.node_name),
                        .incarnation = incarnation.now,
                        .previous = incarnation.previous,
                        .nodes = {}};
  identity.uses_level = level_used(config);
  for (const auto& [name, endpoint] : config.peers)
    identity.nodes[node_id(name)] = {.name = name, .endpoint = endpoint};
  return identity;
}

NodeConfig node_config(const ServerConfig& config, const ClusterView& cluster, std::uint64_t incarnation) {
  NodeConfig node;
  node.self = cluster.self;
  node.incarnation = incarnation;
  node.seed = Digest().add(cluster.self).add(incarnation).value();
  for (const auto& [id, ignored] : cluster.nodes) node.nodes.push_back(id);
  node.groups = cluster.group_configs;
  node.groups.push_back(map_group(config));
  node.disk = cluster.disk;
  node.level = level_used(config);
  node.tells_leads = config.leaders == "spread";
  node.leaves = node.level >= belong_level;  // a release before would not know the log's record of it
  node.application_files = application_files;
  node.snapshot_every = config.snapshot_every;
  node.wal.sync = config.fsync;
  node.wal.damaged_bytes_max = config.damaged_bytes_max;
  node.wal.identity = identity_number({.cluster = config.cluster_name, .node = config.node_name});
  node.limits.client_requests_max = config.active_txns_max;
  node.limits.snapshot_step_bytes = config.snapshot_step;
  node.limits.wal_bytes_max = config.wal_bytes_max;
  node.limits.stale_read_ticks_max = ticks_of(config.stale_read_wait);
  if (config.sleep_after.count() > 0) {
    node.limits.sign_of_life_ticks = ticks_of(config.heartbeat);
    node.limits.peer_silent_ticks_max = ticks_of(config.election_timeout);
  }
  return node;
}

RaftOptions raft_options(const ServerConfig& config) {
  RaftOptions options;
  options.election_ticks = static_cast<std::uint32_t>(ticks_of(config.election_timeout));
  options.heartbeat_ticks = static_cast<std::uint32_t>(ticks_of(config.heartbeat));
  options.append_bytes_max = config.batch_bytes_max;
  if (config.sleep_after.count() > 0) options.sleep_ticks = static_cast<std::uint32_t>(ticks_of(config.sleep_after));
  options.clock_drift_ppm = config.clock_drift_ppm;
  if (config.read_lease == "off") return options;
  options.promise_micros = static_cast<std::uint64_t>(config.election_timeout.count()) * 1'000;
  // raft_lease.cc has the argument: the lease of the slowest clock ends before the promise of the quickest.
  if (config.read_lease == "on") {
    options.lease_micros =
        options.promise_micros * (1'000'000 - config.clock_drift_ppm) / (1'000'000 + config.clock_drift_ppm);
  }
  return options;
}

ApplicationFactory application_factory(const ServerConfig& config, OpenStores& stores) {
  return [config, &stores, schemas = std::make_shared<sql::SchemaCache>()](
             const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
    if (group.role == GroupRole::map) return std::make_unique<MapApp>();
    return group.role == GroupRole::coordinator ? make_coordinator(config, group)
                                                : make_shard(config, group, schemas, stores);
  };
}

}  // namespace assent
