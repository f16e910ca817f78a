#include "cli/documents.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <ctime>

namespace assent::cli {

namespace {

std::string text(std::uint64_t number) { return std::to_string(number); }
double millis(std::uint64_t micros) { return static_cast<double>(micros) / 1000.0; }
// Dividing by a power of ten, not multiplying by its inverse, gives the shortest decimal.
double rounded(double value, double scale = 100) { return std::round(value * scale) / scale; }

struct ValueToJson {
  Json operator()(const SqlNull&) const { return nullptr; }
  Json operator()(std::int64_t value) const { return std::to_string(value); }
  Json operator()(double value) const { return std::isfinite(value) ? Json(value) : Json(fmt::format("{}", value)); }
  Json operator()(const std::string& value) const { return value; }
  Json operator()(const SqlBlob& value) const { return {{"blob", hex_of(value.bytes)}}; }
};

Json abort_json(const client::Abort& abort) {
  Json out{{"reason", to_string(abort.reason)}, {"participant", abort.participant}, {"message", abort.message}};
  if (!abort.constraint.empty()) out["constraint"] = abort.constraint;
  if (!abort.holder.none()) out["holder"] = abort.holder.to_hex();
  return out;
}

Json results_json(const WorkResult& results) {
  Json out = Json::array();
  for (const OperationResult& result : results) out.push_back(to_json(result));
  return out;
}

Json cost_json(const Cost& cost) {
  return {{"rounds", text(cost.rounds)},
          {"messages", text(cost.messages)},
          {"logEntries", text(cost.entries)},
          {"syncs", text(cost.syncs)}};
}

Json bill_json(const client::TxnOutcome& outcome) {
  Json out{{"protocol", to_string(outcome.protocol)}, {"answered", cost_json(outcome.bill.answered)}};
  if (outcome.bill.freed == Cost{}) return out;
  out["freed"] = cost_json(outcome.bill.freed);
  out["lockedMillis"] = text(outcome.bill.locked_millis);
  return out;
}

Json replica_json(const client::GroupView::Replica& replica) {
  const client::ReplicaStatus& status = replica.status;
  Json out{{"node", replica.node},
           {"leads", status.leads},
           {"leader", status.leader},
           {"term", text(status.epoch)},
           {"lastIndex", text(status.last_index)},
           {"committedIndex", text(status.committed_index)},
           {"appliedIndex", text(status.applied_index)},
           {"snapshotIndex", text(status.snapshot_index)},
           {"prepared", text(status.prepared)},
           {"locks", text(status.locks)},
           {"active", text(status.active)},
           {"records", text(status.records)},
           {"oldestPreparedAgeMillis", text(status.oldest_prepared_age_millis)},
           {"heuristics", text(status.heuristics)},
           {"heuristicCommits", text(status.heuristic_commits)},
           {"heuristicAborts", text(status.heuristic_aborts)},
           {"heuristicsForgotten", text(status.heuristics_forgotten)}};
  out["level"] = status.level;
  if (!status.halted.empty()) out["halted"] = status.halted;
  if (!status.damaged.empty()) out["damaged"] = status.damaged;
  if (!status.digest.empty()) out["digest"] = status.digest;
  if (status.leads) out["activePeers"] = status.active_peers;
  out["membership"] = to_json(status.membership);
  out["membershipCommitted"] = status.membership_committed;
  return out;
}

Json group_json(const client::GroupView& group, const client::ClusterStatus& cluster) {
  Json replicas = Json::array();
  for (const auto& replica : group.replicas) replicas.push_back(replica_json(replica));
  return {{"name", group.name},
          {"role", group.role},
          {"leader", group.leader},
          {"term", text(group.epoch)},
          {"members", group.members},
          {"health", health_of(group, cluster)},
          {"replicas", std::move(replicas)}};
}

Json node_json(const client::NodeView& node) {
  Json out{{"name", node.name}, {"endpoint", node.endpoint}, {"reachable", node.reachable}};
  if (!node.reachable) {
    out["trouble"] = node.trouble;
    return out;
  }
  const client::NodeCounters& counters = node.counters;
  out["version"] = node.version;
  out["level"] = node.level;
  out["usesLevel"] = node.uses_level;
  if (!node.damaged_files.empty()) out["damagedFiles"] = node.damaged_files;
  out["disk"] = text(node.disk);
  out["counters"] = {{"walSyncs", text(counters.wal_syncs)},
                     {"walBytes", text(counters.wal_bytes)},
                     {"walRecords", text(counters.wal_records)},
                     {"framesSent", text(counters.frames_sent)},
                     {"frameBytesSent", text(counters.frame_bytes_sent)},
                     {"cpuMicros", text(counters.cpu_micros)},
                     {"residentBytes", text(counters.resident_bytes)}};
  return out;
}

}  // namespace

Json to_json(const SqlValue& value) { return std::visit(ValueToJson{}, value); }

Json to_json(const OperationResult& result) {
  Json rows = Json::array();
  for (const std::vector<SqlValue>& row : result.rows) {
    Json cells = Json::array();
    for (const SqlValue& value : row) cells.push_back(to_json(value));
    rows.push_back(std::move(cells));
  }
  return {{"columns", result.columns}, {"rows", std::move(rows)}, {"rowsAffected", text(result.rows_affected)}};
}

Json to_json(const client::TxnOutcome& outcome) {
  Json out{{"txnId", outcome.id.to_hex()},
           {"state", state_name(outcome.state)},
           {"protocol", to_string(outcome.protocol)},
           {"participants", outcome.participants},
           {"answeredBy", outcome.answered_by}};
  if (outcome.mode != Mode::atomic) out["mode"] = to_string(outcome.mode);
  if (outcome.by_hand) out["byHand"] = true;
  if (outcome.decided_at.value > 0) out["decidedAt"] = time_of(outcome.decided_at);
  if (outcome.aborted()) out["abort"] = abort_json(outcome.abort);
  if (!outcome.definite()) out["note"] = outcome.note;
  if (!outcome.ask.empty()) out["ask"] = outcome.ask;
  if (!outcome.bill.empty()) out["bill"] = bill_json(outcome);
  out["results"] = Json::array();
  for (const client::BranchResult& branch : outcome.results) {
    out["results"].push_back({{"shard", branch.shard}, {"results", results_json(branch.results)}});
  }
  return out;
}

Json to_json(const client::QueryResult& result, const std::string& shard) {
  Json out{{"shard", shard}, {"index", text(result.at.value)}};
  if (result.age_max) out["stale"] = {{"ageMillisMax", result.age_max->count()}, {"answeredBy", result.answered_by}};
  out.update(result.results.empty() ? to_json(OperationResult{}) : to_json(result.results.front()));
  return out;
}

Json to_json(const client::ClusterStatus& status) {
  Json groups = Json::array();
  Json nodes = Json::array();
  for (const client::GroupView& group : status.groups) groups.push_back(group_json(group, status));
  for (const client::NodeView& node : status.nodes) nodes.push_back(node_json(node));
  return {{"groups", std::move(groups)}, {"nodes", std::move(nodes)}};
}

Json to_json(const client::Error& error) {
  Json tried = Json::array();
  for (const client::EndpointReport& report : error.tried) {
    tried.push_back({{"endpoint", report.endpoint}, {"node", report.node}, {"said", report.said}});
  }
  Json content{{"code", to_string(error.code)}, {"message", error.message}};
  if (!error.reason.empty()) content["reason"] = error.reason;
  if (!error.tried.empty()) content["tried"] = std::move(tried);
  return {{"error", std::move(content)}};
}

Json to_json(const bank::Report& report, std::uint32_t clients) {
  const bank::Tally& tally = report.tally;
  const bank::Judgement& judgement = report.judgement;
  const auto percentile = [&](double share) { return rounded(millis(tally.latency.percentile(share)), 1000); };
  return {{"workload", "bank"},
          {"clients", clients},
          {"shards", report.bank.shards.size()},
          {"accounts", report.bank.accounts()},
          {"seconds", rounded(report.seconds)},
          {"tps", rounded(report.per_second(), 10)},
          {"p50_ms", percentile(0.50)},
          {"p95_ms", percentile(0.95)},
          {"p99_ms", percentile(0.99)},
          {"max_ms", millis(tally.latency.max())},
          {"mean_ms", rounded(tally.latency.mean() / 1000.0, 1000)},
          {"committed", tally.committed},
          {"aborted", tally.aborted},
          {"conflicts", tally.conflicts},
          {"failed", tally.failed},
          {"unknown", tally.unknown},
          {"unknown_resolved", tally.unknown_resolved},
          {"unavailable_ms_max", report.unavailable_max.count()},
          {"server_cpu_us_per_txn", rounded(report.cost.server_cpu_micros, 10)},
          {"client_cpu_us_per_txn", rounded(report.cost.client_cpu_micros, 10)},
          {"fsyncs_per_txn", rounded(report.cost.fsyncs, 1000)},
          {"wal_bytes_per_txn", rounded(report.cost.wal_bytes, 1)},
          {"frames_per_txn", rounded(report.cost.frames, 1000)},
          {"total_before", judgement.total_before},
          {"total_after", judgement.total_after},
          {"in_doubt_left", judgement.in_doubt_left},
          {"acknowledged_missing", judgement.acknowledged_missing},
          {"aborted_present", judgement.aborted_present},
          {"torn", judgement.torn},
          {"unexplained", judgement.unexplained},
          {"accounts_off", judgement.accounts_off},
          {"sound", report.sound()}};
}

Json demo_json(const bank::Report& report, std::uint64_t leader_kills) {
  const bank::Tally& tally = report.tally;
  return {{"committed", tally.committed},
          {"aborted", tally.aborted},
          {"unknown", tally.unknown},
          {"unknown_resolved", tally.unknown_resolved},
          {"in_doubt_left", report.judgement.in_doubt_left},
          {"acknowledged_missing", report.judgement.acknowledged_missing},
          {"total_before", report.judgement.total_before},
          {"total_after", report.judgement.total_after},
          {"leader_kills", leader_kills},
          {"unavailable_ms_max", report.unavailable_max.count()},
          {"tps", rounded(report.per_second(), 10)},
          {"p50_ms", rounded(millis(tally.latency.percentile(0.50)), 1000)},
          {"p99_ms", rounded(millis(tally.latency.percentile(0.99)), 1000)}};
}

std::string line_of(const Json& document) { return document.dump(-1, ' ', false, Json::error_handler_t::replace); }
std::string pretty(const Json& document) { return document.dump(2, ' ', false, Json::error_handler_t::replace); }

std::string state_name(TxnState state) {
  std::string name(to_string(state));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
  return name;
}

std::string hex_of(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string time_of(ClusterMillis time) {
  const auto seconds =
      static_cast<std::time_t>(std::min<std::uint64_t>(time.value / 1000, 253'402'300'799));  // year 9999
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), time.value % 1000);
}

Json to_json(const std::vector<client::MemberView>& membership) {
  Json members = Json::array();
  for (const client::MemberView& member : membership) {
    members.push_back({{"node", member.node},
                       {"disk", text(member.disk)},
                       {"role", member.role},
                       {"matchIndex", text(member.match_index)},
                       {"active", member.active}});
  }
  return members;
}

namespace {

// "n1 (entries 3 to 9), n2 (entry 7)"; empty: nothing is damaged.
std::string damaged_on(const client::GroupView& group) {
  std::string nodes;
  for (const auto& replica : group.replicas) {
    if (replica.status.damaged.empty()) continue;
    nodes += fmt::format("{}{} ({})", nodes.empty() ? "" : ", ", replica.node, replica.status.damaged);
  }
  return nodes;
}

}  // namespace

std::string health_of(const client::GroupView& group, const client::ClusterStatus& status) {
  const std::string damaged = damaged_on(group);
  if (group.leader.empty()) {
    if (damaged.empty()) return "no leader";
    return fmt::format("no leader: damaged on {}; nobody leads who lacks them", damaged);
  }
  std::size_t all = 0;
  std::size_t up = 0;
  const client::ReplicaStatus* const known = group.best_status();
  if (known == nullptr) return "no leader";
  for (const client::MemberView& member : known->membership) {
    if (member.role == "learner") continue;
    const client::NodeView* node = status.node(member.node);
    all += 1;
    up += node != nullptr && node->reachable && node->disk == member.disk ? 1 : 0;
  }
  for (const auto& replica : group.replicas) {
    if (!replica.status.halted.empty()) return fmt::format("halted on {}: its program is too old", replica.node);
  }
  if (!damaged.empty()) return fmt::format("repairing: damaged on {}", damaged);
  return up == all ? "ok" : fmt::format("degraded: {}/{}", up, all);
}

}  // namespace assent::cli
