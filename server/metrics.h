// The figures of a node as Prometheus reads them (text format 0.0.4). docs/OBSERVABILITY.md lists the names.
//
// A snapshot is taken on the loop's thread, everything else happens on the asker's. Rules: base units, counters end in
// _total, no label whose values grow with the work (no transaction id, no key).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "node/loop.h"
#include "observe/event_log.h"
#include "observe/txn_figures.h"
#include "server/call_figures.h"
#include "server/cluster_view.h"
#include "server/peer_latency.h"
#include "server/process_figures.h"
#include "server/snapshot_traffic.h"
#include "server/span_exporter.h"

namespace assent {

// What the loop knows.
struct LoopFigures {
  TxnFigures txns;
  CallFigures calls;
  PeerLatencies latencies;
  SnapshotTraffic traffic;
  std::vector<GroupStatus> groups;
  LoopStatistics statistics;
  std::map<std::string, std::uint64_t> leader_changes;  // by group
  std::map<std::string, std::uint64_t> snapshots;
};

struct MetricsInput {
  LoopFigures loop;
  ExportFigures exported;
  ProcessFigures process;
  std::map<std::string, std::uint64_t> storage_bytes;  // by area of the data directory
};

[[nodiscard]] std::string metrics_text(const MetricsInput& input, const ClusterView& cluster);
inline constexpr const char* metrics_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace assent
