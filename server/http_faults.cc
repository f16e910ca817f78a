#include "server/http_faults.h"

#include <fmt/format.h>

#include <set>

#include "server/http_actions.h"
#include "server/http_bodies.h"
#include "server/http_routes.h"
#include "server/log.h"
#include "server/loop_question.h"

namespace assent {
namespace {

using std::chrono::milliseconds;

constexpr auto patience = milliseconds(2'000);

Result<std::set<NodeId>> nodes_to_cut(const FaultsBody& faults, const ClusterView& cluster) {
  std::set<NodeId> nodes;
  for (const std::string& name : faults.cut) {
    if (cluster.find(node_id(name)) == nullptr) {
      return fail(ErrorCode::malformed, fmt::format("cut: there is no node \"{:.63}\"", name));
    }
    nodes.insert(node_id(name));
  }
  return nodes;
}

}  // namespace

void add_fault_route(HttpPort& port, const FaultTargets& targets) {
  port.action("/api/v1/dev/faults", [targets](const HttpRequest& request) -> HttpAnswer {
    if (auto no = refuse_without_token(targets.tokens, request)) return *no;
    const auto faults = read_faults_body(request.body);
    if (!faults) return http_bad_request(faults.error().message);
    const auto cut = nodes_to_cut(*faults, *targets.cluster.get());
    if (!cut) return http_bad_request(cut.error().message);
    for (PosixDisk* disk : targets.disks) disk->delay_syncs(faults->sync_delay);
    const auto done = ask_loop<bool>(targets.inbox, patience, [targets, cut = *cut, on = faults->recording](Loop&) {
      targets.transport.cut(cut);
      targets.recorder.set_recording(on);
      return true;
    });
    if (!done) return http_stuck();
    LogEvent(LogLevel::warn, "admin", "faults were set")
        .field("cut", cut->size())
        .field("sync_delay_ms", faults->sync_delay.count())
        .write();
    return {.status = 200, .type = "application/json", .body = "{}\n"};
  });
}

}  // namespace assent
