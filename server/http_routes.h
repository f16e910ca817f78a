// What the http port answers: health, metrics. Handlers run on the port's threads and ask the loop by tasks.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "observe/event_log.h"
#include "observe/recorder.h"
#include "server/call_figures.h"
#include "server/cluster_view.h"
#include "server/http_port.h"
#include "server/inbox.h"
#include "server/peer_latency.h"
#include "server/snapshot_traffic.h"
#include "server/span_exporter.h"

namespace assent {

// All of it outlives the port. Recorder, events, calls, latencies and traffic belong to the loop's thread.
struct HttpSources {
  const SharedView& cluster;
  Inbox& inbox;
  const Recorder& recorder;
  const EventLog& events;
  const CallFigures& calls;
  const PeerLatencies& latencies;
  const SnapshotTraffic& traffic;
  const std::atomic<bool>& draining;              // the node hands over and will end
  const std::unique_ptr<SpanExporter>& exporter;  // none: nothing is exported
  std::string data_dir;
};

// The loop did not answer a handler in time.
[[nodiscard]] HttpAnswer http_stuck();

void add_health_routes(HttpPort& port, const HttpSources& sources);
void add_metrics_route(HttpPort& port, const HttpSources& sources);
// The dashboard: its files are in the binary.
void add_dashboard_routes(HttpPort& port);

}  // namespace assent
