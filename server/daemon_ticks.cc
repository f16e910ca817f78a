// What the daemon does on the loop's thread, between its rounds: it follows the cluster's map, tells what became of its
// groups, and hands leadership over before it stops.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/protocol_level.h"
#include "node/loop_placement.h"
#include "node/map_app.h"
#include "server/allocator.h"
#include "server/daemon.h"
#include "server/log.h"
#include "server/map_config.h"
#include "server/node_setup.h"

namespace assent {

namespace {

constexpr std::uint64_t expire_every_ticks = 2;
constexpr std::uint64_t watch_every_ticks = 10;
constexpr std::uint64_t export_every_ticks = 10;
constexpr std::uint64_t latencies_every_ticks = 20;

// What a shard's store frees when its group rests goes back to the machine, and so does what snapshots and bursts have
// left beyond an eighth of what is in use. So much at a time: a millisecond.
constexpr std::uint64_t free_every_ticks = 20;
constexpr std::size_t store_bytes = 160ULL << 10U;
constexpr std::size_t free_bytes_max = 4ULL << 20U;
constexpr std::uint64_t kept_bytes_max = 32ULL << 20U;
constexpr std::uint64_t in_use_per_kept = 8;

std::string_view advice(ErrorCode code) {
  switch (code) {
    case ErrorCode::io: return "free space on the disk or replace it, then start this node again; the others go on";
    case ErrorCode::corruption:
      return "assentd inspect shows the damage; docs/OPERATIONS.md says how to replace a node";
    case ErrorCode::unsupported: return "a newer version wrote this; start that version";
    default: return "see docs/OPERATIONS.md";
  }
}

// Whoever has most of the log takes over fastest.
NodeId best_successor(const GroupStatus& group) {
  const PeerProgress* best = nullptr;
  for (const PeerProgress& peer : group.log.peers) {
    if (group.log.members.voter_on(peer.member.node) != peer.member || !peer.recently_active) continue;
    if (best == nullptr || peer.match > best->match) best = &peer;
  }
  return best == nullptr ? NodeId() : best->member.node;
}

}  // namespace

void Daemon::ticked(Loop& loop) {
  ++ticks_;
  transport_->tick();
  follow_map(loop);
  if (ticks_ % expire_every_ticks == 0) pending_.expire(std::chrono::steady_clock::now());
  if (ticks_ % export_every_ticks == 0) collector_->round();
  if (ticks_ % latencies_every_ticks == 0) {
    latencies_ = transport_->latencies();
    traffic_ = transport_->snapshot_traffic();
  }
  if (ticks_ % free_every_ticks == 0) free_memory(loop);
  if (ticks_ % watch_every_ticks != 0) return;
  recorder_.set_wall(SystemClock::wall_micros());
  watch_groups(loop.take_news());
  if (draining_) return hand_over(loop, loop.status());
  if (config_.leaders == "spread") {
    if (const auto move = spread_.move(loop.status(), loop.leads())) loop.handle(*move);
  }
  if (config_.leaders != "together") return;
  for (const TransferLeadership& move : placement_.moves(loop.status())) loop.handle(move);
}

void Daemon::free_memory(const Loop& loop) {
  const std::uint64_t let_go = loop.statistics().let_go;
  to_free_ += (let_go - std::exchange(let_go_, let_go)) * store_bytes;
  const AllocatorFigures memory = allocator_figures();
  const std::uint64_t keeps = kept_bytes_max + memory.in_use_bytes / in_use_per_kept;
  const std::size_t beyond = memory.kept_bytes - std::min(memory.kept_bytes, keeps);
  const std::size_t now = std::min(std::max(to_free_, beyond), free_bytes_max);
  give_memory_back(now);
  to_free_ -= std::min(to_free_, now);
}

// ---- a cluster that changes ----

std::optional<ClusterMap> Daemon::newer_map(Loop& loop) const {
  std::optional<ClusterMap> newest;
  const auto* kept = dynamic_cast<const MapApp*>(loop.application(group_id(map_group_name)));
  if (kept != nullptr && kept->map().epoch > cluster_.epoch) newest = kept->map();
  if (const auto news = loop.take_map_news()) {
    auto heard = decode_cluster_map(news->map);
    if (heard && heard->epoch > (newest ? newest->epoch : cluster_.epoch)) newest = std::move(*heard);
  }
  return newest;
}

void Daemon::follow_map(Loop& loop) {
  const std::optional<ClusterMap> map = newer_map(loop);
  if (!map) return;
  // First on the disk: a group that is founded with it must have its name and founders again after a restart.
  if (auto saved = save_map(config_.data_dir, {config_.cluster_name, *map}); !saved) {
    LogEvent(LogLevel::error, "cluster", "the cluster's map cannot be kept; this node goes on with the one before")
        .field("error", saved.error().message)
        .write_at_most_every(10, "map");
    return;
  }
  adopt_map(loop, *map);
}

void Daemon::adopt_map(Loop& loop, const ClusterMap& map) {
  const ServerConfig now = with_map(config_, map);
  ClusterView view = cluster_view(now);
  view.disk = cluster_.disk;
  view.generation = cluster_.generation;
  const std::uint64_t before = cluster_.epoch;
  cluster_ = std::move(view);
  view_.set(cluster_);
  transport_->set_nodes(peer_identity(now, {}).nodes);
  std::vector<NodeId> nodes;
  for (const auto& [id, node] : cluster_.nodes) nodes.push_back(id);
  loop.adopt(nodes, cluster_.group_configs);
  loop.know_shards(shards_of(cluster_));
  loop.announce({map.epoch, encode(map)});
  const bool member = map.node(config_.node_name) != nullptr;
  LogEvent(member ? LogLevel::info : LogLevel::warn, "cluster",
           member ? "a newer map of the cluster" : "this node was removed from the cluster; stop it")
      .field("epoch", map.epoch)
      .field("before", before)
      .field("nodes", map.nodes.size())
      .field("shards", cluster_.groups.list(GroupKind::shard))
      .write();
  note(NodeEventKind::map, {}, fmt::format("the cluster's map is of epoch {} now", map.epoch));
}

void Daemon::failed(const Error& error) {
  LogEvent(LogLevel::error, "node", "this node cannot go on and stops")
      .field("code", to_string(error.code))
      .field("error", error.message)
      .field("next", advice(error.code))
      .write();
  {
    const std::lock_guard lock(mutex_);
    failure_ = error;
  }
  drained_event_.notify_all();
  const std::uint64_t one = 1;
  ASSENT_CHECK(write(failure_event_, &one, sizeof one) == sizeof one, "the main thread waits for this");
}

void Daemon::note(NodeEventKind kind, std::string group, std::string text) {
  events_.add({.number = 0,
               .wall_micros = SystemClock::wall_micros(),
               .kind = kind,
               .group = std::move(group),
               .text = std::move(text)});
}

void Daemon::watch_leadership(GroupId group, const Leadership& leadership) {
  Leadership& last = leaders_[group];
  const bool changed = leadership.leader != last.leader;
  const bool news = changed || leadership.self_ready != last.self_ready;
  last = leadership;
  if (!news) return;
  LogEvent event(LogLevel::info, "raft",
                 leadership.leader.none()             ? "no leader"
                 : leadership.self_ready              ? "this node leads"
                 : leadership.leader == cluster_.self ? "this node is elected"
                                                      : "leader changed");
  event.field("group", cluster_.groups.name(group));
  if (!leadership.leader.none()) event.field("leader", cluster_.node_name(leadership.leader));
  event.field("term", leadership.epoch).write();
  if (!changed || group == group_id(map_group_name)) return;
  const std::string group_name = cluster_.groups.name(group);
  note(leadership.leader.none() ? NodeEventKind::leader_lost : NodeEventKind::leader, group_name,
       leadership.leader.none() ? fmt::format("{} has no leader", group_name)
                                : fmt::format("{} leads {} in term {}", cluster_.node_name(leadership.leader),
                                              group_name, leadership.epoch));
}

void Daemon::forget(const GroupConfig& group) {
  if (loop_of(group.id, stores_.size()) == 0) stores_.front().erase(group.id);  // the others did so themselves
  halted_.erase(group.id);
  lossy_.erase(group.id);
  leaderless_[group.role].erase(group.id);
  snapshots_.erase(group.id);
  LogEvent(LogLevel::info, "store", "this node was removed from the group; what its replica kept goes")
      .field("group", group.name)
      .write();
}

void Daemon::watch_groups(const std::vector<GroupStatus>& changed) {
  for (const GroupStatus& group : changed) {
    if (group.halted && halted_.insert(group.config.id).second) {
      LogEvent(LogLevel::error, "store", "this program does not know what a group's log says; the group is halted here")
          .field("group", group.config.name)
          .field("error", group.halted->message)
          .field("level", protocol_level())
          .field("next", "a newer program wrote it: start that one; the other groups of this node go on")
          .write();
    }
    watch_losses(group);
    if (group.config.role == GroupRole::map) continue;
    std::set<GroupId>& leaderless = leaderless_[group.config.role];
    if (group.log.leadership.leader.none()) {
      leaderless.insert(group.config.id);
    } else {
      leaderless.erase(group.config.id);
    }
    const auto [last, fresh] = snapshots_.emplace(group.config.id, group.log.snapshot.last.index);
    if (!fresh && last->second < group.log.snapshot.last.index) {
      last->second = group.log.snapshot.last.index;
      LogEvent(LogLevel::info, "store", "snapshot")
          .field("group", group.config.name)
          .field("index", last->second)
          .write();
      note(NodeEventKind::snapshot, group.config.name,
           fmt::format("a snapshot of {} up to entry {}", group.config.name, last->second));
    }
  }
  const ClientApi::Serving serving{.node = !draining_,
                                   .coordinator = !draining_ && leaderless_[GroupRole::coordinator].empty(),
                                   .shard = !draining_ && leaderless_[GroupRole::shard].empty()};
  if (serving == serving_) return;
  serving_ = serving;
  api_.set_serving(serving);
}

void Daemon::watch_losses(const GroupStatus& group) {
  const std::string& name = group.config.name;
  if (!group.lost) {
    if (lossy_.erase(group.config.id) == 0) return;
    LogEvent(LogLevel::info, "store", "a group's log is whole here again").field("group", name).write();
    return note(NodeEventKind::damage, name, fmt::format("the log of {} is whole here again", name));
  }
  say_lost(group.config.id, describe_lost(group));
}

void Daemon::say_lost(GroupId group, const std::string& entries) {
  if (!lossy_.insert(group).second) return;
  const std::string name = cluster_.groups.name(group);
  LogEvent(LogLevel::error, "store", "entries of a group's log were damaged here")
      .field("group", name)
      .field("entries", entries)
      .field(
          "next",
          "the group's leader sends them. Until then this node neither leads the group nor votes for who lacks them; "
          "without a leader see assentctl cluster health")
      .write();
  note(NodeEventKind::damage, name, fmt::format("{} of {} were damaged, and come from its leader", entries, name));
}

void Daemon::data_remade(const GroupConfig& group) {
  LogEvent(LogLevel::error, "store", "a group's data were damaged here; it begins anew without them")
      .field("group", group.name)
      .field("next", "they are made again from snapshot and log, or come from the group's leader; look at the disk")
      .write();
  note(NodeEventKind::damage, group.name, fmt::format("data of {} were damaged and are made again", group.name));
}

void Daemon::damage_found(const Scrubber::Damage& damage, bool repaired) {
  LogEvent event(LogLevel::error, "scrub", "a file is damaged on the disk");
  event.field("file", damage.file.path).field("damage", damage.what);
  if (!damage.file.group.none()) event.field("group", cluster_.groups.name(damage.file.group));
  event.field("next", repaired ? "this node replaces it; look at the disk"
                               : "it is not needed by a group of this node; assentd verify, when the node is stopped");
  event.write_at_most_every(damage.again ? 60 : 1, damage.file.path);
  if (damage.again) return;
  note(NodeEventKind::damage, damage.file.group.none() ? "" : cluster_.groups.name(damage.file.group),
       fmt::format("{} is damaged{}: {}", damage.file.path, repaired ? " and is being replaced" : "", damage.what));
}

void Daemon::hand_over(Loop& loop, const std::vector<GroupStatus>& groups) {
  bool leads = false;
  for (const GroupStatus& group : groups) {
    if (!group.log.leadership.self_leads) continue;
    const NodeId successor = best_successor(group);
    if (successor.none()) continue;  // nobody is there to take it
    // Once a group: when leadership comes back, the others are stopping as well, and giving it away again helps nobody.
    const auto [given, fresh] = handed_over_.emplace(group.config.id, group.log.leadership.epoch);
    if (fresh) loop.handle(TransferLeadership{.group = group.config.id, .to = successor});
    leads = leads || given->second == group.log.leadership.epoch;
  }
  if (leads) return;
  {
    const std::lock_guard lock(mutex_);
    drained_ = true;
  }
  drained_event_.notify_all();
}

}  // namespace assent
