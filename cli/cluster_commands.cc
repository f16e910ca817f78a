// assentctl cluster ..., assentctl group ...
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/session.h"

namespace assent::cli {

namespace {

// "n1* n2 n3(down) n4(learner)"; a node that lost the disk with which it belongs to the group is "(lost)".
std::string members_of(const client::GroupView& group, const client::ClusterStatus& status) {
  std::vector<std::string> marks;
  const client::ReplicaStatus* const known = group.best_status();
  if (known == nullptr) return "";
  for (const client::MemberView& member : known->membership) {
    const client::NodeView* node = status.node(member.node);
    std::string mark = member.node;
    if (member.node == group.leader) mark += "*";
    if (member.role != "voter") mark += "(" + member.role + ")";
    if (node == nullptr || !node->reachable) {
      mark += "(down)";
    } else if (node->disk != member.disk) {
      mark += "(lost)";
    }
    marks.push_back(std::move(mark));
  }
  return fmt::format("{}", fmt::join(marks, " "));
}

Table groups_table(const client::ClusterStatus& status) {
  Table table(
      {"GROUP", "ROLE", "LEADER", "TERM", "COMMIT", "APPLIED", "LAG", "PREPARED", "LOCKS", "MEMBERS", "HEALTH"});
  for (const client::GroupView& group : status.groups) {
    std::vector<std::string> cells{group.name, group.role, group.leader.empty() ? "-" : group.leader,
                                   grouped(group.epoch)};
    if (const client::ReplicaStatus* leader = group.leader_status()) {
      const std::uint64_t lag = leader->committed_index - std::min(leader->committed_index, leader->applied_index);
      for (const std::uint64_t number :
           {leader->committed_index, leader->applied_index, lag, leader->prepared, leader->locks}) {
        cells.push_back(grouped(number));
      }
    } else {
      cells.resize(9);
    }
    cells.push_back(members_of(group, status));
    cells.push_back(health_of(group, status));
    table.add(std::move(cells));
  }
  return table;
}

std::string state_of(const client::NodeView& node) {
  if (node.damaged_files.empty()) return "up";
  return fmt::format("up, damaged files: {}", fmt::join(node.damaged_files, "; "));
}

Table nodes_table(const client::ClusterStatus& status) {
  Table table({"NODE", "ENDPOINT", "VERSION", "FSYNCS", "WAL MiB", "CPU s", "MEMORY MiB", "STATE"});
  for (const client::NodeView& node : status.nodes) {
    const std::string name = node.name.empty() ? "?" : node.name;
    if (!node.reachable) {
      table.add({name, node.endpoint, "", "", "", "", "", "down: " + node.trouble});
      continue;
    }
    const client::NodeCounters& counters = node.counters;
    table.add({name, node.endpoint, node.version, grouped(counters.wal_syncs), grouped(counters.wal_bytes >> 20U),
               fmt::format("{:.1f}", static_cast<double>(counters.cpu_micros) / 1e6),
               grouped(counters.resident_bytes >> 20U), state_of(node)});
  }
  return table;
}

Table digests_table(const client::ClusterStatus& status) {
  Table table({"GROUP", "NODE", "APPLIED", "DIGEST"});
  for (const client::GroupView& group : status.groups) {
    for (const auto& replica : group.replicas) {
      table.add({group.name, replica.node, grouped(replica.status.applied_index), replica.status.digest});
    }
  }
  return table;
}

}  // namespace

ExitCode run(const Session& session, const ClusterStatusCommand& command) {
  const client::Result<client::ClusterStatus> status = session.client.status(command.digests);
  if (!status) return session.fail(status.error());
  if (session.json()) {
    session.print(to_json(*status));
    return ExitCode::ok;
  }
  session.print(groups_table(*status));
  session.console.out << '\n';
  session.print(nodes_table(*status));
  if (command.digests) {
    session.console.out << '\n';
    session.print(digests_table(*status));
  }
  return ExitCode::ok;
}

ExitCode run(const Session& session, const ClusterHealthCommand&) {
  const client::Result<client::ClusterStatus> status = session.client.status();
  if (!status) return session.fail(status.error());
  ExitCode code = ExitCode::ok;
  Table table({"GROUP", "LEADER", "HEALTH"});
  Json groups = Json::array();
  for (const client::GroupView& group : status->groups) {
    const std::string health = health_of(group, *status);
    if (group.leader.empty()) code = ExitCode::unreachable;
    if (health != "ok" && code == ExitCode::ok) code = ExitCode::unhealthy;
    table.add({group.name, group.leader.empty() ? "-" : group.leader, health});
    groups.push_back({{"name", group.name}, {"leader", group.leader}, {"health", health}});
  }
  if (status->groups.empty()) code = ExitCode::unhealthy;
  if (session.json()) {
    session.print(Json{{"healthy", code == ExitCode::ok}, {"groups", std::move(groups)}});
  } else {
    session.print(table);
  }
  return code;
}

ExitCode run(const Session& session, const TransferLeaderCommand& command) {
  const client::Result<void> done = session.client.transfer_leader(command.group, command.to);
  if (!done) return session.fail(done.error());
  if (session.json()) {
    session.print(Json{{"group", command.group}, {"to", command.to}, {"asked", true}});
  } else {
    session.console.out << fmt::format("the leader of {} was asked to hand over to {}\n", command.group, command.to);
  }
  return ExitCode::ok;
}

}  // namespace assent::cli
