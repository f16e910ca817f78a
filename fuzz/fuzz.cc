#include "fuzz/fuzz.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace assent::fuzz {
namespace {

constexpr std::array<Target, 16> all{{
    {"api", run_api, api_seeds},
    {"changes", run_changes, changes_seeds},
    {"config", run_config, config_seeds},
    {"coordinator", run_coordinator, coordinator_seeds},
    {"frames", run_frames, frames_seeds},
    {"http_bodies", run_http_bodies, http_bodies_seeds},
    {"node", run_node, node_seeds},
    {"raft", run_raft, raft_seeds},
    {"records", run_records, records_seeds},
    {"services", run_services, services_seeds},
    {"shard", run_shard, shard_seeds},
    {"snapshots", run_snapshots, snapshots_seeds},
    {"sql", run_sql, sql_seeds},
    {"sqlite_image", run_sqlite_image, sqlite_image_seeds},
    {"wal", run_wal, wal_seeds},
    {"wire", run_wire, wire_seeds},
}};

}  // namespace

std::span<const Target> targets() { return all; }

const Target* find_target(std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Target& target) { return target.name == name; });
  return found == all.end() ? nullptr : &*found;
}

void require(bool holds, std::string_view promise) {
  if (holds) return;
  std::fprintf(stderr, "assent fuzz: broken: %s\n", std::string(promise).c_str());
  std::abort();
}

}  // namespace assent::fuzz
