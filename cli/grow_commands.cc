// assentctl cluster map|add|remove, assentctl shard ..., assentctl route: the cluster map, and how it grows.
//
// Each change follows the epoch that it was judged by, so that given twice it happens once, and a command that was cut
// off is given again and goes on. A command that changes the map ends when every node that answers goes by it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <sstream>
#include <thread>

#include "cli/session.h"
#include "cluster/placement.h"
#include "txn_proto/names.h"

namespace assent::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds poll_every{100};
// A change that is not committed for so long may be lost with its leader: it is asked for again, which is harmless.
constexpr std::chrono::seconds ask_again_after{5};

client::Error error_of(client::ErrorCode code, std::string message) {
  return client::fail(code, std::move(message)).value();
}

// What the map's keeper refuses is refused for safety's sake.
ExitCode end_with(const Session& session, const client::Error& error) {
  const ExitCode code = session.fail(error);
  return error.code == client::ErrorCode::refused ? ExitCode::refused : code;
}

ExitCode refused(const Session& session, std::string why) {
  return end_with(session, error_of(client::ErrorCode::refused, std::move(why)));
}

class Grower {
 public:
  Grower(const Session& session, std::chrono::milliseconds wait) : session_(session), deadline_(Clock::now() + wait) {}

  // Until the map holds it. The change must have no effect on a map that does.
  client::Result<ClusterMap> make(const MapChange& change, const std::function<bool(const ClusterMap&)>& holds) {
    for (;;) {
      client::Result<ClusterMap> map = session_.client.map();
      if (!map || holds(*map)) return map;
      const client::Result<std::uint64_t> epoch = session_.client.change_map(map->epoch, change);
      if (!epoch && epoch.error().reason != "MAP_CHANGED") return tl::unexpected(epoch.error());
      if (!epoch) continue;
      for (const auto until = Clock::now() + ask_again_after; Clock::now() < until;
           std::this_thread::sleep_for(poll_every)) {
        map = session_.client.map();
        if (map && map->epoch >= *epoch) break;
      }
      if (Clock::now() >= deadline_) return tl::unexpected(late("the change to be committed"));
    }
  }

  // Until every node that answers goes by a map of this epoch or a newer one.
  client::Result<client::ClusterStatus> spread(std::uint64_t epoch) {
    return await(fmt::format("every node to hear of epoch {}", epoch), [epoch](const client::ClusterStatus& status) {
      return std::all_of(status.nodes.begin(), status.nodes.end(),
                         [epoch](const client::NodeView& node) { return !node.reachable || node.map_epoch >= epoch; });
    });
  }

  client::Result<client::ClusterStatus> await(const std::string& what,
                                              const std::function<bool(const client::ClusterStatus&)>& done) {
    for (;;) {
      client::Result<client::ClusterStatus> status = session_.client.status();
      if (status && done(*status)) return status;
      if (Clock::now() >= deadline_) return tl::unexpected(late(what));
      std::this_thread::sleep_for(poll_every);
    }
  }

 private:
  static client::Error late(const std::string& what) {
    return error_of(client::ErrorCode::timed_out,
                    fmt::format("still waiting for {}; nothing is lost, give the command again", what));
  }

  const Session& session_;
  Clock::time_point deadline_;
};

Json to_json(const ClusterMap& map) {
  Json nodes = Json::array();
  for (const MapNode& node : map.nodes) {
    nodes.push_back({{"name", node.name}, {"client", node.client}, {"peer", node.peer}});
  }
  Json groups = Json::array();
  for (const MapGroup& group : map.groups) {
    Json founders = Json::array();
    for (const MapFounder& founder : group.founders) {
      founders.push_back({{"node", founder.node}, {"disk", fmt::format("{}", founder.disk)}});
    }
    groups.push_back({{"name", group.name},
                      {"role", group.kind == GroupKind::coordinator ? "coordinator" : "shard"},
                      {"founders", std::move(founders)},
                      {"since", fmt::format("{}", group.since)},
                      {"inRing", group.in_ring}});
  }
  return Json{{"epoch", fmt::format("{}", map.epoch)}, {"nodes", std::move(nodes)}, {"groups", std::move(groups)}};
}

ExitCode print(const Session& session, const ClusterMap& map, const std::string& what) {
  if (session.json()) {
    session.print(to_json(map));
    return ExitCode::ok;
  }
  if (!what.empty()) {
    session.console.out << what << fmt::format("; the cluster's map is of epoch {}\n", map.epoch);
    return ExitCode::ok;
  }
  session.console.out << fmt::format("epoch {}\n\n", map.epoch);
  Table nodes({"NODE", "CLIENT", "PEER"});
  for (const MapNode& node : map.nodes) nodes.add({node.name, node.client, node.peer});
  session.print(nodes);
  session.console.out << '\n';
  Table groups({"GROUP", "ROLE", "FOUNDERS", "SINCE", "RING"});
  for (const MapGroup& group : map.groups) {
    std::vector<std::string> founders;
    for (const MapFounder& founder : group.founders) founders.push_back(founder.node);
    const bool shard = group.kind == GroupKind::shard;
    groups.add({group.name, shard ? "shard" : "coordinator", fmt::format("{}", fmt::join(founders, " ")),
                group.since == 0 ? "configured" : fmt::format("epoch {}", group.since),
                !shard          ? ""
                : group.in_ring ? "in"
                                : "out"});
  }
  session.print(groups);
  return ExitCode::ok;
}

bool belongs(const client::ReplicaStatus& status, const std::string& node) {
  return std::any_of(status.membership.begin(), status.membership.end(),
                     [&](const client::MemberView& member) { return member.node == node; });
}

std::vector<const client::GroupView*> all_groups(const client::ClusterStatus& status) {
  std::vector<const client::GroupView*> groups;
  for (const client::GroupView& group : status.groups) groups.push_back(&group);
  if (status.map_group) groups.push_back(&*status.map_group);
  return groups;
}

}  // namespace

ExitCode run(const Session& session, const ClusterMapCommand&) {
  const client::Result<ClusterMap> map = session.client.map();
  return map ? print(session, *map, "") : session.fail(map.error());
}

ExitCode run(const Session& session, const ClusterAddCommand& command) {
  const MapNode node{.name = command.node, .client = command.client, .peer = command.peer};
  Grower grower(session, command.wait);
  const client::Result<ClusterMap> map = grower.make(AddNode{node}, [&](const ClusterMap& now) {
    return now.node(node.name) != nullptr && *now.node(node.name) == node;
  });
  if (!map) return end_with(session, map.error());
  const auto spread = grower.spread(map->epoch);
  if (!spread) return end_with(session, spread.error());
  const auto other = std::find_if(spread->nodes.begin(), spread->nodes.end(), [&](const client::NodeView& one) {
    return one.reachable && one.name != command.node;
  });
  return print(
      session, *map,
      fmt::format("{0} belongs to the cluster and has no replicas; start it: assentd start --node.name {0} --join {1}",
                  command.node, other == spread->nodes.end() ? "HOST:PORT" : other->endpoint));
}

ExitCode run(const Session& session, const ClusterRemoveCommand& command) {
  Grower grower(session, command.wait);
  const client::Result<ClusterMap> before = session.client.map();
  if (!before) return end_with(session, before.error());
  if (before->node(command.node) == nullptr) {
    return end_with(session, error_of(client::ErrorCode::not_found,
                                      fmt::format("there is no node {} in the cluster's map", command.node)));
  }
  const client::Result<client::ClusterStatus> status = session.client.status();
  if (!status) return end_with(session, status.error());
  // Who cannot be asked about cannot be judged: a group that nobody tells of may have its majority there.
  for (const MapGroup& group : before->groups) {
    const client::GroupView* view = status->group(group.name);
    if (view != nullptr && view->leader_status() != nullptr) continue;
    return refused(session,
                   fmt::format("{} has no leader that answers, so nobody can tell whether {} keeps a replica of "
                               "it; bring it back first",
                               group.name, command.node));
  }
  for (const client::GroupView* group : all_groups(*status)) {
    const client::ReplicaStatus* known = group->best_status();
    if (known == nullptr || !belongs(*known, command.node)) continue;
    std::vector<std::string> others;
    for (const MapNode& node : before->nodes) {
      const client::NodeView* view = status->node(node.name);
      if (view != nullptr && view->reachable && !belongs(*known, node.name)) others.push_back(node.name);
    }
    if (others.empty()) {
      return refused(
          session, fmt::format("{1} keeps a replica of {0}, and there is no other node to take it; add one, or let {0} "
                               "have one replica less: assentctl group remove-replica {0} {1}",
                               group->name, command.node));
    }
    const std::string by = by_weight(group->name, others).front();
    if (!session.json()) {
      session.console.err << fmt::format("{} takes the place of {} in {}\n", by, command.node, group->name);
    }
    std::ostringstream quiet;
    const Session inner{session.client, session.global, Console{quiet, session.console.err, session.console.in}};
    const ExitCode moved = run(inner, ReplaceReplicaCommand{group->name, command.node, by, command.wait});
    if (moved != ExitCode::ok) return moved;
  }
  const client::Result<ClusterMap> map =
      grower.make(RemoveNode{command.node}, [&](const ClusterMap& now) { return now.node(command.node) == nullptr; });
  if (!map) return end_with(session, map.error());
  const auto spread = grower.await("every node to hear of it", [&](const client::ClusterStatus& now) {
    return std::all_of(now.nodes.begin(), now.nodes.end(), [&](const client::NodeView& node) {
      return !node.reachable || node.name == command.node || node.map_epoch >= map->epoch;
    });
  });
  if (!spread) return end_with(session, spread.error());
  return print(session, *map, fmt::format("{} belongs to the cluster no more; stop it", command.node));
}

ExitCode run(const Session& session, const ShardCreateCommand& command) {
  Grower grower(session, command.wait);
  const client::Result<ClusterMap> before = session.client.map();
  if (!before) return end_with(session, before.error());
  const client::Result<client::ClusterStatus> status = session.client.status();
  if (!status) return end_with(session, status.error());
  std::vector<std::string> nodes = command.on;
  if (nodes.empty()) {
    std::vector<std::string> answering;
    for (const MapNode& node : before->nodes) {
      const client::NodeView* view = status->node(node.name);
      if (view != nullptr && view->reachable) answering.push_back(node.name);
    }
    if (answering.size() < command.replicas) {
      return refused(session, fmt::format("{} replicas need as many nodes, and {} of {} answer; name fewer --replicas",
                                          command.replicas, answering.size(), before->nodes.size()));
    }
    nodes = by_weight(command.name, std::move(answering));
    nodes.resize(command.replicas);
  }
  CreateShard create{.name = command.name, .founders = {}, .in_ring = command.in_ring};
  for (const std::string& name : nodes) {
    const client::NodeView* view = status->node(name);
    if (view == nullptr || !view->reachable) {
      return end_with(session,
                      error_of(client::ErrorCode::unreachable,
                               fmt::format("node {} does not answer; start it, or name others with --on", name)));
    }
    create.founders.push_back({name, view->disk});
  }
  const client::Result<ClusterMap> map = grower.make(create, [&](const ClusterMap& now) {
    const MapGroup* group = now.group(command.name);
    return group != nullptr && group->kind == GroupKind::shard && group->since != 0;
  });
  if (!map) return end_with(session, map.error());
  if (auto spread = grower.spread(map->epoch); !spread) return end_with(session, spread.error());
  const auto serves =
      grower.await(fmt::format("{} to have a leader", command.name), [&](const client::ClusterStatus& now) {
        const client::GroupView* group = now.group(command.name);
        return group != nullptr && !group->leader.empty();
      });
  if (!serves) return end_with(session, serves.error());
  std::vector<std::string> founders;
  for (const MapFounder& founder : map->group(command.name)->founders) founders.push_back(founder.node);
  return print(
      session, *map,
      fmt::format("{} serves on {}{}", command.name, fmt::join(founders, ", "),
                  command.in_ring ? ", and keys are routed to it; those that are elsewhere stay there"
                                  : ", and no keys are routed to it: assentctl shard join-ring " + command.name));
}

ExitCode run(const Session& session, const ShardRingCommand& command) {
  Grower grower(session, command.wait);
  const client::Result<ClusterMap> map =
      grower.make(PutInRing{command.shard, command.in_ring}, [&](const ClusterMap& now) {
        const MapGroup* group = now.group(command.shard);
        return group != nullptr && group->kind == GroupKind::shard && group->in_ring == command.in_ring;
      });
  if (!map) return end_with(session, map.error());
  if (auto spread = grower.spread(map->epoch); !spread) return end_with(session, spread.error());
  return print(session, *map,
               fmt::format("{} routed to {}", command.in_ring ? "keys are" : "no keys are", command.shard));
}

ExitCode run(const Session& session, const RouteCommand& command) {
  const client::Result<client::Route> route = session.client.route(command.key);
  if (!route) return session.fail(route.error());
  if (session.json()) {
    session.print(Json{{"key", command.key}, {"shard", route->shard}, {"epoch", fmt::format("{}", route->epoch)}});
  } else {
    session.console.out << route->shard << '\n';
  }
  return ExitCode::ok;
}

}  // namespace assent::cli
