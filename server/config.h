// What a node is told at its start: from flags, the environment, a YAML file and defaults, in this order of strength.
//
// Pure: callers read the file and the environment. Unknown keys are errors, and so is every value that a
// later part would choke on; all problems are reported at once, each saying what, where and what to do. Used by main
// once.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "cluster/cluster_map.h"
#include "server/config_values.h"

namespace assent {

struct GroupSetting {
  std::string name;
  std::string role;  // coordinator, shard
  std::vector<std::string> members;
  // Of a group that the cluster map brought (server/map_config.h):
  std::vector<std::uint64_t> disks = {};  // of the members, in their order; none: the ones that they began with
  std::uint64_t since = 0;                // the epoch of the map that it came with; 0: it is configured
  bool in_ring = true;                    // keys are routed to it
  bool operator==(const GroupSetting&) const = default;
};

struct ServerConfig {
  std::string node_name;
  std::string data_dir;
  std::uint64_t loops = 1;
  Endpoint listen_client;
  Endpoint listen_peer;
  std::optional<Endpoint> listen_http;  // none: there is no http port
  std::string cluster_name;
  std::map<std::string, Endpoint> peers;    // every node of the cluster, this one included
  std::map<std::string, Endpoint> clients;  // where clients reach the nodes; some may be missing
  std::vector<GroupSetting> groups;
  std::uint64_t map_epoch = 0;  // of the cluster map that gave peers, clients and groups; 0: the configuration did
  std::string txn_protocol;     // auto, two-phase, paxos-commit
  std::chrono::milliseconds txn_timeout{};
  std::chrono::milliseconds prepare_timeout{};
  std::chrono::milliseconds history_keep{};
  std::uint64_t history_records_max = 0;
  std::chrono::milliseconds retention{};
  std::chrono::milliseconds clock_skew_max{};
  std::chrono::milliseconds heartbeat{};
  std::chrono::milliseconds election_timeout{};
  std::chrono::milliseconds sleep_after{};  // 0: never
  std::string read_lease;                   // off, promise, on
  std::uint64_t clock_drift_ppm = 0;
  std::chrono::milliseconds stale_read_wait{0};
  std::uint64_t level_max = 0;       // 0: the program's
  std::string leaders;               // anywhere, together, spread
  std::uint64_t snapshot_every = 0;  // entries
  std::uint64_t snapshot_rate = 0;   // bytes a second that leave; 0: no bound
  std::uint64_t snapshot_step = 0;   // bytes made at a time; 0: all at once
  std::uint64_t batch_bytes_max = 0;
  bool fsync = true;
  std::uint64_t wal_bytes_max = 0;          // of closed segments: who keeps the oldest takes a snapshot
  std::uint64_t scrub_rate = 0;             // bytes a second; 0: nothing is scrubbed
  std::chrono::milliseconds scrub_every{};  // from the begin of a pass to that of the next
  std::uint64_t damaged_bytes_max = 0;      // kept of what was damaged and replaced
  std::uint64_t trace_ring = 0;             // transactions
  std::string trace_exporter;               // none, otlp
  std::string trace_endpoint;               // empty: the protocol's own on this machine
  std::string trace_protocol;               // http/json, http/protobuf, grpc
  std::uint64_t trace_sample_ppm = 0;
  std::chrono::milliseconds trace_slow{};
  std::string admin_tokens_file;  // empty: nobody acts by http
  std::string services_ca_file;   // files in PEM for services that are called by TLS; empty: none is named
  std::string services_cert_file;
  std::string services_key_file;
  std::uint64_t services_failures_max = 0;
  bool dev_faults = false;
  std::optional<ClusterMap> joined;  // by --join: what another node said of the cluster
  bool rejoin = false;               // by flag alone: the data directory was lost, and with it what this node promised
  std::uint64_t generation = 0;      // by flag alone: of the cluster that it rejoins (server/recovery.h)
  std::string log_level;
  std::string log_format;  // auto: text on a terminal, json otherwise
  std::uint64_t active_txns_max = 0;
  std::uint64_t concurrent_txns_max = 0;
  std::uint64_t participants_max = 0;
  std::uint64_t message_bytes_max = 0;
  std::uint64_t statement_bytes_max = 0;
  std::uint64_t transaction_bytes_max = 0;
  std::uint64_t result_bytes_max = 0;
};

struct ConfigProblem {
  std::string where;  // "n1.yaml:12", "environment ASSENT_X", "flag --x"; empty when it is about several
  std::string what;   // a sentence with the key in it, and what to do

  [[nodiscard]] std::string text() const { return where.empty() ? what : where + ": " + what; }
};

struct ConfigSources {
  std::map<std::string, std::string> flags;        // by key: "raft.heartbeat"
  std::map<std::string, std::string> environment;  // by variable; only ASSENT_* ones are looked at
  std::optional<std::string> file;                 // its content
  std::string file_name;                           // as the user gave it
  std::string host_name;                           // the default of node.name
};

struct LoadedConfig {
  ServerConfig config;
  // Each key in the order of the documentation, its value as it could be written, and where that came from: "flag",
  // "env ASSENT_X", "n1.yaml:12", "default".
  struct Line {
    std::string key;
    std::string value;
    std::string origin;
  };
  std::vector<Line> lines;
  std::vector<std::string> warnings;
};

[[nodiscard]] tl::expected<LoadedConfig, std::vector<ConfigProblem>> load_config(const ConfigSources& sources);

// Every key, for flags and for the documentation.
struct ConfigKeyInfo {
  std::string key;          // "txn.prepare_timeout"
  std::string flag;         // "--txn.prepare-timeout"
  std::string environment;  // "ASSENT_TXN_PREPARE_TIMEOUT"
  std::string default_text;
  std::string help;
};
[[nodiscard]] std::vector<ConfigKeyInfo> config_keys();

}  // namespace assent
