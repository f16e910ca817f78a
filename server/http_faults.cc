#include "server/http_faults.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "server/http_actions.h"
#include "server/http_routes.h"
#include "server/log.h"
#include "server/loop_question.h"

namespace assent {
namespace {

using std::chrono::milliseconds;

constexpr auto patience = milliseconds(2'000);
constexpr std::int64_t delay_max = 10'000;

struct Faults {
  std::set<NodeId> cut;
  milliseconds sync_delay{0};
};

// nullopt: it is none, and why says what is wrong.
std::optional<Faults> faults_of(const std::string& body, const ClusterView& cluster, std::string& why) {
  const auto document = nlohmann::json::parse(body, nullptr, false);
  why = "the body is {\"cut\": [names of nodes], \"syncDelayMillis\": 0 to 10000}";
  if (!document.is_object()) return std::nullopt;
  Faults faults;
  if (document.contains("cut")) {
    if (!document["cut"].is_array()) return std::nullopt;
    for (const auto& name : document["cut"]) {
      if (!name.is_string()) return std::nullopt;
      const NodeId node = node_id(name.get<std::string>());
      if (cluster.find(node) == nullptr) {
        why = fmt::format("cut: there is no node \"{:.63}\"", name.get<std::string>());
        return std::nullopt;
      }
      faults.cut.insert(node);
    }
  }
  if (document.contains("syncDelayMillis")) {
    const auto& delay = document["syncDelayMillis"];
    if (!delay.is_number_integer() || delay.get<std::int64_t>() < 0 || delay.get<std::int64_t>() > delay_max) {
      return std::nullopt;
    }
    faults.sync_delay = milliseconds(delay.get<std::int64_t>());
  }
  return faults;
}

}  // namespace

void add_fault_route(HttpPort& port, const FaultTargets& targets) {
  port.action("/api/v1/dev/faults", [targets](const HttpRequest& request) -> HttpAnswer {
    if (auto no = refuse_without_token(targets.tokens, request)) return *no;
    std::string why;
    const std::optional<Faults> faults = faults_of(request.body, targets.cluster, why);
    if (!faults) return http_bad_request(why);
    targets.disk.delay_syncs(faults->sync_delay);
    const auto done = ask_loop<bool>(targets.inbox, patience, [targets, cut = faults->cut](Loop&) {
      targets.transport.cut(cut);
      return true;
    });
    if (!done) return http_stuck();
    LogEvent(LogLevel::warn, "admin", "faults were set")
        .field("cut", faults->cut.size())
        .field("sync_delay_ms", faults->sync_delay.count())
        .write();
    return {.status = 200, .type = "application/json", .body = "{}\n"};
  });
}

}  // namespace assent
