// /livez, /readyz and /metrics.
#include <fmt/format.h>

#include "server/http_routes.h"
#include "server/loop_question.h"
#include "server/metrics.h"

namespace assent {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 2s;
constexpr const char* plain = "text/plain; charset=utf-8";

HttpAnswer readiness(const ClusterView& cluster, const std::vector<GroupStatus>& groups, bool draining, bool verbose) {
  bool ready = !draining;
  std::string lines = draining ? "[-] the node is stopping\n" : "[+] the node runs\n";
  for (const GroupStatus& group : groups) {
    if (group.config.role == GroupRole::map) continue;  // transactions do without
    const NodeId leader = group.log.leadership.leader;
    const bool led = !leader.none();
    const bool well = led && !group.halted;
    ready = ready && well;
    lines += fmt::format("[{}] group {}: {}\n", well ? '+' : '-', group.config.name,
                         (group.halted ? "halted here: " + group.halted->message
                          : led        ? "leader " + cluster.node_name(leader)
                                       : "no leader is known here") +
                             (group.lost ? "; damaged here: " + describe_lost(group) : ""));
  }
  std::string body = verbose || !ready ? lines : std::string();
  body += ready ? "ready\n" : "not ready\n";
  return {.status = ready ? 200 : 503, .type = plain, .body = std::move(body)};
}

}  // namespace

HttpAnswer http_stuck() {
  return http_error(503, "NOT_RESPONDING", "the node's loop did not answer in time: it is stuck, or it ends");
}

void add_health_routes(HttpPort& port, const HttpSources& sources) {
  port.route("/livez", {}, [&sources](const HttpRequest&) -> HttpAnswer {
    if (!ask_loop<bool>(sources.inbox, patience, [](Loop&) { return true; })) return http_stuck();
    return {.status = 200, .type = plain, .body = "alive\n"};
  });
  port.route("/readyz", {"verbose"}, [&sources](const HttpRequest& request) {
    const auto groups =
        ask_loop<std::vector<GroupStatus>>(sources.inbox, patience, [](Loop& loop) { return loop.status(); });
    return groups ? readiness(*sources.cluster.get(), *groups, sources.draining, request.query.contains("verbose"))
                  : http_stuck();
  });
}

void add_metrics_route(HttpPort& port, const HttpSources& sources) {
  port.route("/metrics", {}, [&sources](const HttpRequest&) -> HttpAnswer {
    auto loop = ask_loop<LoopFigures>(sources.inbox, patience, [&sources](Loop& asked) {
      LoopFigures figures{.txns = sources.recorder.figures(),
                          .calls = sources.calls,
                          .latencies = sources.latencies,
                          .traffic = sources.traffic,
                          .groups = asked.status(),
                          .statistics = asked.statistics(),
                          .leader_changes = {},
                          .snapshots = {}};
      for (const GroupStatus& group : figures.groups) {
        const std::string& name = group.config.name;
        figures.leader_changes[name] = sources.events.count(NodeEventKind::leader, name);
        figures.snapshots[name] = sources.events.count(NodeEventKind::snapshot, name);
      }
      return figures;
    });
    if (!loop) return http_stuck();
    const MetricsInput input{.loop = std::move(*loop),
                             .exported = sources.exporter == nullptr ? ExportFigures() : sources.exporter->figures(),
                             .process = process_figures(),
                             .storage_bytes = storage_bytes(sources.data_dir)};
    return {.status = 200, .type = metrics_type, .body = metrics_text(input, *sources.cluster.get())};
  });
}

}  // namespace assent
