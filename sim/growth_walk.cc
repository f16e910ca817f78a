#include "sim/growth_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "cluster/map_change.h"
#include "cluster/map_epoch.h"
#include "cluster/ring.h"
#include "consensus/raft/raft_factory.h"
#include "node/map_app.h"
#include "node/shard_app.h"
#include "participant/memory_store.h"
#include "sim/log_checker.h"
#include "sim/process.h"

namespace assent::sim {
namespace {

constexpr unsigned nodes_max = 5;   // of which the first three are there from the beginning
constexpr unsigned shards_max = 6;  // of which the first two are
constexpr unsigned writers = 4;
constexpr Micros growing_time = 8 * second;
constexpr Micros quiet_time_max = 60 * second;
constexpr Micros patience = second;  // of a writer with one node
constexpr GroupId map_id(1);

// Names end in the number of what they name, and the map's group comes first: the checkers want small numbers.
std::string node_name(unsigned number) { return fmt::format("n{}", number); }
std::string shard_name(unsigned number) { return fmt::format("s{}", number); }
std::uint64_t number_in(std::string_view name) { return static_cast<std::uint64_t>(name.back() - '0'); }
NodeId node_of(std::string_view name) { return NodeId(number_in(name)); }
GroupId group_of(std::string_view name) { return GroupId(number_in(name) + 1); }

ClusterMap first_map() {
  ClusterMap map;
  std::vector<MapFounder> founders;
  for (unsigned i = 1; i <= 3; ++i) {
    map.nodes.push_back({node_name(i), fmt::format("h{}:1", i), fmt::format("h{}:2", i)});
    founders.push_back({node_name(i), 0});
  }
  for (unsigned i = 1; i <= 2; ++i) map.groups.push_back({shard_name(i), GroupKind::shard, founders, 0, true});
  return map;
}

std::vector<NodeId> nodes_of(const ClusterMap& map) {
  std::vector<NodeId> nodes;
  for (const MapNode& node : map.nodes) nodes.push_back(node_of(node.name));
  return nodes;
}

std::vector<GroupConfig> groups_of(const ClusterMap& map) {
  std::vector<GroupConfig> groups{{map_id, "_map", GroupRole::map, {NodeId(1), NodeId(2), NodeId(3)}}};
  for (const MapGroup& group : map.groups) {
    GroupConfig config{group_of(group.name), group.name, GroupRole::shard, {}};
    for (const MapFounder& founder : group.founders) config.members.push_back(node_of(founder.node));
    groups.push_back(std::move(config));
  }
  return groups;
}

std::string shard_of(const ClusterMap& map, const std::string& key) {
  return std::string(HashRing(map.ring_shards()).shard_of(key));
}

struct Written {
  std::string shard;
  std::string key;
};

// Writes one key after the other, by the map that it happens to have.
struct Writer {
  ClusterMap map;
  std::uint64_t number = 0;  // of the present write; answers to others mean nothing
  std::string key;
  std::string shard;
  NodeId to;
  unsigned tries = 0;
};

class GrowthWalk final : private Surroundings {
 public:
  GrowthWalk(std::uint64_t seed, bool narrate)
      : rng_(Rng(seed).split("growth")),
        recorder_(schedule_, narrate ? std::optional(TimeSpan{}) : std::nullopt),
        network_(schedule_, recorder_, rng_.split("network")),
        logs_(recorder_) {
    draw();
    RaftOptions raft;
    raft.election_ticks = 20;
    raft.heartbeat_ticks = 4;
    Surroundings& around = *this;
    for (unsigned i = 1; i <= nodes_max; ++i) {
      const NodeId node(i);
      Process::Setup setup{node,
                           nodes_of(first_map()),
                           groups_of(first_map()),
                           make_raft_factory(raft),
                           rng_.split(node_name(i)).next(),
                           0,
                           0,
                           0};
      maps_[node] = first_map();
      processes_[node] = std::make_unique<Process>(std::move(setup), swarm_, schedule_, recorder_, network_, around);
    }
    truth_[0] = encode(first_map());
    for (Writer& writer : writers_) writer.map = first_map();
  }

  GrowthResult run() {
    for (unsigned i = 1; i <= 3; ++i) start(NodeId(i));
    schedule_.after(millisecond, [this] { follow(); });
    schedule_.after(300 * millisecond, [this] {
      network_.begin(swarm_.network);
      grow();
      strike();
      for (std::size_t i = 0; i < writers_.size(); ++i) next_write(i);
    });
    run_until(growing_time, [] { return false; });
    over_ = true;
    network_.heal();
    for (const NodeId cut : std::exchange(cut_, {})) mend(cut);
    for (const auto& [node, process] : processes_) {
      if (started_.contains(node) && !process->up()) start(node);
    }
    if (!run_until(quiet_time_max, [this] { return unrest().empty(); })) {
      recorder_.stuck("convergence: long after everything was repaired " + unrest());
    }
    read_back();
    result_.wrong = recorder_.why();
    result_.epochs = truth_.rbegin()->first;
    result_.written = written_.size();
    return result_;
  }

 private:
  void draw() {
    swarm_.nodes = nodes_max;
    swarm_.backend = Backend::memory_kv;
    swarm_.snapshot_every = rng_.chance(0.5) ? 0 : rng_.between(3, 30);
    swarm_.network.loss = rng_.chance(0.5) ? 0 : rng_.unit() * 0.1;
    swarm_.network.duplicate = rng_.chance(0.5) ? 0 : rng_.unit() * 0.1;
    swarm_.network.delay_mean = rng_.between(200, 20 * millisecond);
  }

  bool run_until(Micros length, const std::function<bool()>& done) {
    const Micros end = schedule_.now() + length;
    while (!recorder_.failed() && !done()) {
      if (schedule_.now() >= end || !schedule_.run_next()) return false;
    }
    return !recorder_.failed();
  }

  // ---- nodes, as server/daemon.cc runs them ----

  // With the map that it kept: what it says is on its disk before anybody acts on it.
  void start(NodeId node) {
    started_.insert(node);
    Process& process = *processes_.at(node);
    process.know(nodes_of(maps_[node]), groups_of(maps_[node]));
    process.start();
    if (process.up()) process.loop().announce({maps_[node].epoch, encode(maps_[node])});
  }

  void follow() {
    for (const auto& [node, process] : processes_) {
      if (process->up()) follow(*process);
    }
    schedule_.after(10 * millisecond, [this] { follow(); });
  }

  void follow(Process& process) {
    std::optional<ClusterMap> newest;
    const std::uint64_t now = maps_[process.node()].epoch;
    const auto* kept = dynamic_cast<const MapApp*>(process.loop().application(map_id));
    if (kept != nullptr && kept->map().epoch > now) newest = kept->map();
    if (const auto news = process.loop().take_map_news()) {
      auto heard = decode_cluster_map(news->map);
      if (!heard) return recorder_.wrong("map agreement: a node is told a map that cannot be read");
      if (heard->epoch > (newest ? newest->epoch : now)) newest = std::move(*heard);
    }
    if (newest) adopt(process, *newest);
  }

  void adopt(Process& process, const ClusterMap& map) {
    const auto [known, fresh] = truth_.try_emplace(map.epoch, encode(map));
    if (known->second != encode(map)) {
      return recorder_.wrong(
          fmt::format("map agreement: node {} goes by another map of epoch {}", process.node(), map.epoch));
    }
    recorder_.say("node {} goes by epoch {}", process.node(), map.epoch);
    maps_[process.node()] = map;
    process.know(nodes_of(map), groups_of(map));
    process.loop().adopt(nodes_of(map), groups_of(map));
    process.loop().announce({map.epoch, encode(map)});
    if (fresh) follow_up(map);
  }

  // Whoever adds a node starts it, with what a running one told it (server/join.h); who is removed is stopped.
  void follow_up(const ClusterMap& map) {
    for (unsigned i = 4; i <= nodes_max; ++i) {
      const NodeId node(i);
      const bool member = map.node(node_name(i)) != nullptr;
      if (member && !started_.contains(node)) {
        if (maps_[node].epoch < map.epoch) maps_[node] = map;
        schedule_.after(rng_.below(300 * millisecond), [this, node] { start(node); });
      } else if (!member && started_.erase(node) > 0) {
        schedule_.after(0, [this, node] { processes_.at(node)->crash(CrashKind::process); });
      }
    }
  }

  // ---- who changes the map ----

  void grow() {
    if (over_) return;
    schedule_.after(rng_.between(50 * millisecond, 600 * millisecond), [this] { grow(); });
    for (const auto& [node, process] : processes_) {
      if (!process->up() || !leads(*process, map_id)) continue;
      const auto* kept = dynamic_cast<const MapApp*>(process->loop().application(map_id));
      const bool in_log = kept->map().epoch != 0;
      const ClusterMap now = in_log ? kept->map() : maps_[node];
      const MapChange change = draw_change(now);
      if (!changed(now, change)) return;
      const Bytes command = encode(MapCommand{now.epoch, in_log ? ClusterMap() : now, change});
      process->deliver(DiskProgress{});
      static_cast<void>(process->loop().propose(map_id, command));
      process->deliver(DiskProgress{});  // and flushes
      return;
    }
  }

  MapChange draw_change(const ClusterMap& now) {
    const auto any = [this](const auto& of) -> const auto& { return of[rng_.below(of.size())]; };
    switch (rng_.below(6)) {
      case 0: {
        const auto late = static_cast<unsigned>(rng_.between(4, nodes_max));
        return AddNode{{node_name(late), fmt::format("h{}:1", late), fmt::format("h{}:2", late)}};
      }
      case 1: {
        const std::string node = node_name(static_cast<unsigned>(rng_.between(4, nodes_max)));
        const bool founds = std::any_of(now.groups.begin(), now.groups.end(), [&node](const MapGroup& group) {
          return std::any_of(group.founders.begin(), group.founders.end(),
                             [&node](const MapFounder& founder) { return founder.node == node; });
        });
        return RemoveNode{founds ? "n0" : node};  // its replicas would be gone with it; there is no n0
      }
      case 2: {
        if (now.groups.size() >= shards_max) break;
        std::vector<MapFounder> founders;
        for (const MapNode& node : now.nodes) founders.push_back({node.name, 0});
        while (founders.size() > 3)
          founders.erase(founders.begin() + static_cast<std::ptrdiff_t>(rng_.below(founders.size())));
        return CreateShard{shard_name(static_cast<unsigned>(now.groups.size()) + 1), founders, rng_.chance(0.5)};
      }
      default: break;
    }
    const MapGroup& group = any(now.groups);
    const bool last = group.in_ring && now.ring_shards().size() == 1;
    return PutInRing{group.name, last || !group.in_ring};
  }

  // ---- faults: one node at a time ----

  void strike() {
    if (over_) return;
    schedule_.after(rng_.between(200 * millisecond, 1'500 * millisecond), [this] { strike(); });
    if (struck_ || started_.empty()) return;
    auto place = started_.begin();
    std::advance(place, static_cast<std::ptrdiff_t>(rng_.below(started_.size())));
    const NodeId node = *place;
    struck_ = true;
    const Micros length = rng_.between(50 * millisecond, 900 * millisecond);
    if (rng_.chance(0.6)) {
      ++result_.crashes;
      processes_.at(node)->crash(rng_.chance(0.5) ? CrashKind::power : CrashKind::process);
      schedule_.after(length, [this, node] {
        struck_ = false;
        if (started_.contains(node) && !processes_.at(node)->up()) start(node);
      });
    } else {
      for (const auto& [other, process] : processes_) {
        network_.block(node, other);
        network_.block(other, node);
      }
      cut_.insert(node);
      schedule_.after(length, [this, node] {
        struck_ = false;
        if (cut_.erase(node) > 0) mend(node);
      });
    }
  }

  void mend(NodeId node) {
    for (const auto& [other, process] : processes_) {
      network_.unblock(node, other);
      network_.unblock(other, node);
    }
  }

  // ---- writers ----

  void next_write(std::size_t which) {
    if (over_) return;
    Writer& writer = writers_[which];
    ++writer.number;
    writer.tries = 0;
    writer.key = fmt::format("k{}-{}", which, writer.number);
    route(writer);
    send(which);
  }

  void route(Writer& writer) {
    writer.shard = shard_of(writer.map, writer.key);
    writer.to = node_of(writer.map.group(writer.shard)->founders[rng_.below(3)].node);
  }

  void send(std::size_t which) {
    const Writer writer = writers_[which];
    const auto later = [this, which, number = writer.number](Micros delay, auto action) {
      schedule_.after(delay, [this, which, number, action] {
        if (!over_ && writers_[which].number == number) action();
      });
    };
    if (writer.tries > 20) return later(millisecond, [this, which] { next_write(which); });
    ++writers_[which].tries;
    // Who is not answered does not know what came of it: nothing of that is asked for at the end.
    later(patience, [this, which, tries = writer.tries + 1] {
      if (writers_[which].tries == tries) next_write(which);
    });
    network_.client([this, which, writer] { take_in(which, writer); });
  }

  // What server/client_service.cc does first.
  void take_in(std::size_t which, const Writer& writer) {
    Process& process = *processes_.at(writer.to);
    if (!process.up()) return again(which, writer, {});
    const ClusterMap& own = maps_[writer.to];
    switch (judge_epoch(writer.map.epoch, own.epoch, own.group(writer.shard) != nullptr)) {
      case MapVerdict::stale:
        ++result_.refused;
        return network_.client([this, which, writer, own] {
          Writer& now = writers_[which];
          if (over_ || now.number != writer.number) return;
          now.map = own;
          route(now);
          send(which);
        });
      case MapVerdict::behind: ++result_.behind; return again(which, writer, {});
      case MapVerdict::fits: break;
    }
    if (own.epoch >= writer.map.epoch && shard_of(own, writer.key) != writer.shard) {
      return recorder_.wrong(
          fmt::format("stale map: node {} takes in a write of key {} for shard {}, by epoch {} of the map, and by its "
                      "own, {}, that key belongs to {}",
                      writer.to, writer.key, writer.shard, writer.map.epoch, own.epoch, shard_of(own, writer.key)));
    }
    ask(process, writer.shard, {KvPut{writer.key, "written"}},
        [this, which, writer](const Result<ClientAnswer>& answer) {
          if (!answer) return again(which, writer, answer.error().leader_hint);
          const auto* txn = std::get_if<TxnAnswer>(&*answer);
          if (txn != nullptr && txn->state == TxnState::committed) written_.push_back({writer.shard, writer.key});
          if (writers_[which].number == writer.number) schedule_.after(pause(), [this, which] { next_write(which); });
        });
  }

  Micros pause() { return rng_.between(millisecond, 100 * millisecond); }

  // Another node, or the leader that was named. The same key and value: done twice is done.
  void again(std::size_t which, const Writer& writer, NodeId hint) {
    schedule_.after(20 * millisecond, [this, which, writer, hint] {
      Writer& now = writers_[which];
      if (over_ || now.number != writer.number || now.tries != writer.tries + 1) return;
      route(now);
      if (!hint.none()) now.to = hint;
      send(which);
    });
  }

  void ask(Process& process, const std::string& shard, Work work,
           std::function<void(const Result<ClientAnswer>&)> then) {
    const RequestId id(++last_request_);
    Execute execute;
    execute.txn = TxnId::make(ClusterMillis(epoch_millis + schedule_.now() / 1000), id.value, id.value);
    execute.branches = {Branch{group_of(shard), std::move(work)}};
    waiting_[id] = std::move(then);
    process.deliver(ClientRequest{id, group_of(shard), std::move(execute)});
  }

  // ---- the end ----

  static bool leads(Process& process, GroupId group) {
    const auto groups = process.loop().status();
    return std::any_of(groups.begin(), groups.end(), [group](const GroupStatus& status) {
      return status.config.id == group && status.log.leadership.self_ready;
    });
  }

  std::string unrest() {
    const std::uint64_t newest = truth_.rbegin()->first;
    const ClusterMap map = *decode_cluster_map(truth_.rbegin()->second);
    for (const NodeId node : nodes_of(map)) {
      if (!processes_.at(node)->up()) return fmt::format("node {} is down", node);
      if (maps_[node].epoch != newest) {
        return fmt::format("node {} goes by epoch {} of {}", node, maps_[node].epoch, newest);
      }
    }
    for (const GroupConfig& group : groups_of(map)) {
      unsigned leaders = 0;
      for (const NodeId node : group.members) {
        for (const GroupStatus& status : processes_.at(node)->loop().status()) {
          if (status.config.id != group.id) continue;
          leaders += status.log.leadership.self_ready ? 1U : 0U;
          if (status.applied != logs_.newest(group.id)) return fmt::format("node {} lags in {}", node, group.name);
        }
      }
      if (leaders != 1) return fmt::format("{} has {} leaders", group.name, leaders);
    }
    return {};
  }

  // Each by a transaction that commits only if the shard still has it.
  void read_back() {
    for (const Written& write : written_) {
      if (recorder_.failed()) return;
      std::optional<TxnState> state;
      for (const auto& [node, process] : processes_) {
        if (!process->up() || !leads(*process, group_of(write.shard))) continue;
        ask(*process, write.shard, {KvExpect{write.key, "written"}}, [&state](const Result<ClientAnswer>& answer) {
          state = TxnState::unknown;
          if (answer) state = std::get<TxnAnswer>(*answer).state;
        });
        break;
      }
      if (!run_until(10 * second, [&state] { return state.has_value(); }) || *state != TxnState::committed) {
        recorder_.wrong(fmt::format("lost write: {} was written to {}, and is not there", write.key, write.shard));
      }
    }
  }

  // ---- Surroundings ----

  Process& process(NodeId node) override { return *processes_.at(node); }
  Result<std::unique_ptr<Application>> make_application(Process&, const GroupConfig& group) override {
    if (group.role == GroupRole::map) return std::make_unique<MapApp>();
    return make_shard_application(group.id, {}, std::make_unique<MemoryStore>());
  }
  void applied(Process& process, GroupId group, const Entry& entry) override {
    // A gap is a snapshot's: the loop itself stops at any other (node/group.cc).
    Index& last = applied_[{process.life(), group}];
    if (entry.index != last.next()) logs_.restored(process.life(), group, entry.index.previous());
    last = entry.index;
    static_cast<void>(logs_.applied(process.life(), group, entry));
  }
  void leadership(Process& process, GroupId group, const Leadership& leadership) override {
    if (leadership.self_leads) logs_.leads(process.life(), group, leadership.epoch);
  }
  void replied(Process&, ClientReply reply) override {
    const auto found = waiting_.find(reply.id);
    if (found == waiting_.end()) return;
    const auto then = std::move(found->second);
    waiting_.erase(found);
    network_.client([then, answer = std::move(reply.answer)] { then(answer); });
  }
  void called(Process&, const ServiceCall&) override {}
  void left(Process&, GroupId) override {}
  void remade(Process&, GroupId) override {}
  void hurt(Process&) override {}
  void went_down(Process&) override {}

  Rng rng_;
  Swarm swarm_;
  Schedule schedule_;
  Recorder recorder_;
  Network network_;
  LogChecker logs_;
  std::map<std::pair<Life, GroupId>, Index> applied_;
  std::map<NodeId, ClusterMap> maps_;     // that each node has on its disk
  std::map<std::uint64_t, Bytes> truth_;  // by epoch: the map that somebody goes by, or went by
  std::set<NodeId> started_;              // and not stopped for good
  std::set<NodeId> cut_;
  bool struck_ = false;
  bool over_ = false;
  std::array<Writer, writers> writers_;
  std::vector<Written> written_;
  std::uint64_t last_request_ = 0;
  std::map<RequestId, std::function<void(const Result<ClientAnswer>&)>> waiting_;
  GrowthResult result_;
  std::map<NodeId, std::unique_ptr<Process>> processes_;  // the last, and so the first to go: they use what is above
};

}  // namespace

GrowthResult walk_growth(std::uint64_t seed, bool narrate) { return GrowthWalk(seed, narrate).run(); }

}  // namespace assent::sim
