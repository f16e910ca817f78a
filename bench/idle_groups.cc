// What idle groups cost: three nodes' loops in one process, each with many groups of three replicas over SQLite files,
// ticked each ten milliseconds by the real clock while nobody asks anything.
//
//     idle_groups DIR [GROUPS [SECONDS]]
//
// One JSON line for each of: three groups, and GROUPS of them that sleep and never did anything, that sleep after each
// has had a transaction, and that do not sleep; busy_* is what one group does, 32 transactions at a time, while the
// others are as they are. cpu_percent is the
// processor's time of all three nodes, of one core; kib_per_replica the resident memory above that of three groups, for
// each replica more. Frames pass from loop to loop: what gRPC would add goes by their number, which does not depend on
// the number of groups. A line's process is a fork of its own.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "bench/real_clock.h"
#include "consensus/raft/raft_factory.h"
#include "node/loop.h"
#include "node/shard_app.h"
#include "sim/sim_disk.h"
#include "sql_adapter/process_settings.h"
#include "sql_adapter/schema_cache.h"
#include "sql_adapter/sqlite_store.h"

namespace assent {
namespace {

using Steady = std::chrono::steady_clock;
constexpr auto tick_length = std::chrono::milliseconds(10);

struct Node final : public Transport {
  Node(NodeId id, std::uint64_t seed) : self(id), disk(seed, {.quick_chance = 1}) {}
  [[nodiscard]] bool ready(NodeId) const override { return true; }
  void send(NodeId to, Bytes frame) override { frames.emplace_back(to, std::move(frame)); }
  void send_snapshot(NodeId, SnapshotTransfer) override {}

  NodeId self;
  SimDisk disk;
  RealClock clock;
  std::vector<std::pair<NodeId, Bytes>> frames;
  std::unique_ptr<Loop> loop;
};

class Cluster {
 public:
  Cluster(const std::string& folder, std::uint64_t groups, bool sleeping) {
    std::vector<GroupConfig> configs;
    for (std::uint64_t i = 1; i <= groups; ++i) {
      configs.push_back({GroupId(i), fmt::format("s{}", i), GroupRole::shard, {NodeId(1), NodeId(2), NodeId(3)}});
    }
    RaftOptions raft;
    if (sleeping) raft.sleep_ticks = 300;
    for (std::uint64_t i = 1; i <= 3; ++i) {
      nodes_.push_back(std::make_unique<Node>(NodeId(i), i));
      Node& node = *nodes_.back();
      NodeConfig config;
      config.self = node.self;
      config.incarnation = 1;
      config.seed = i;
      config.nodes = configs.front().members;
      config.groups = configs;
      if (sleeping) {
        config.limits.sign_of_life_ticks = raft.heartbeat_ticks;
        config.limits.peer_silent_ticks_max = raft.election_ticks;
      }
      const std::string home = fmt::format("{}/n{}", folder, i);
      std::filesystem::create_directories(home);
      auto loop = Loop::open(config, node.disk, node, node.clock, make_raft_factory(raft),
                             [home, sleeping, schemas = std::make_shared<sql::SchemaCache>()](
                                 const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
                               SqliteOptions sqlite;
                               sqlite.path = fmt::format("{}/{}.db", home, group.name);
                               sqlite.lets_go = sleeping;
                               sqlite.schemas = schemas;
                               auto store = SqliteStore::open(sqlite);
                               if (!store) return fail(store.error());
                               ShardAppOptions shard;
                               shard.caretaker.tick_millis = static_cast<std::uint64_t>(tick_length.count());
                               return make_shard_application(group.id, std::move(shard), std::move(*store));
                             });
      ASSENT_CHECK(loop, "a node opens");
      node.loop = std::move(*loop);
    }
  }

  void run(std::chrono::milliseconds length) {
    const auto end = Steady::now() + length;
    for (auto next = Steady::now(); next < end; next += tick_length) {
      std::this_thread::sleep_until(next);
      for (auto& node : nodes_) node->loop->tick();
      settle();
    }
  }
  // A transaction in each group.
  void work() {
    const std::uint64_t before = answers_;
    for (auto& node : nodes_) {
      for (const GroupStatus& status : node->loop->status()) {
        if (!status.log.leadership.self_ready) continue;
        const std::uint64_t number = ++requests_;
        Execute execute;
        execute.txn = TxnId::make(node->clock.wall(), number, number);
        execute.branches = {Branch{status.config.id, {KvPut{"key", "value"}}}};
        node->loop->handle(ClientRequest{RequestId(number), status.config.id, std::move(execute)});
      }
    }
    while (answers_ < before + nodes_.front()->loop->status().size()) run(tick_length);
  }
  // 32 transactions at a time in the first group, whatever the others do: how many in all.
  std::uint64_t keep_busy(std::chrono::milliseconds length) {
    const std::uint64_t before = answers_;
    Node* leader = nullptr;
    GroupId group;
    for (auto& node : nodes_) {
      const GroupStatus first = node->loop->status().front();
      if (!first.log.leadership.self_ready) continue;
      leader = node.get();
      group = first.config.id;
    }
    ASSENT_CHECK(leader != nullptr, "the first group is led");
    const auto end = Steady::now() + length;
    for (auto next = Steady::now(); next < end;) {
      for (unsigned i = 0; i < 32; ++i) {
        const std::uint64_t number = ++requests_;
        Execute execute;
        execute.txn = TxnId::make(leader->clock.wall(), number, number);
        execute.branches = {Branch{group, {KvPut{fmt::format("key {}", number % 1'000), "value"}}}};
        leader->loop->handle(ClientRequest{RequestId(number), group, std::move(execute)});
      }
      settle();
      for (; next <= Steady::now(); next += tick_length) {
        for (auto& node : nodes_) node->loop->tick();
        settle();
      }
    }
    return answers_ - before;
  }
  [[nodiscard]] bool led() const {
    std::uint64_t leaders = 0;
    for (const auto& node : nodes_) {
      for (const GroupStatus& status : node->loop->status()) leaders += status.log.leadership.self_ready ? 1 : 0;
    }
    return leaders == nodes_.front()->loop->status().size();
  }
  [[nodiscard]] std::uint64_t asleep() const {
    std::uint64_t replicas = 0;
    for (const auto& node : nodes_) {
      for (const GroupStatus& status : node->loop->status()) replicas += status.log.asleep ? 1 : 0;
    }
    return replicas;
  }
  // Until all sleep and none closes its database any more; or eight seconds, where none may sleep.
  void come_to_rest(bool sleeping) {
    run(std::chrono::seconds(8));
    std::uint64_t seen = 0;
    for (unsigned quiet = 0; sleeping && quiet < 3;) {
      run(std::chrono::seconds(1));
      std::uint64_t replicas = 0;
      std::uint64_t let_go = 0;
      for (const auto& node : nodes_) {
        replicas += node->loop->status().size();
        let_go += node->loop->statistics().let_go;
      }
      quiet = asleep() == replicas && let_go == seen ? quiet + 1 : 0;
      seen = let_go;
    }
  }
  [[nodiscard]] std::uint64_t frames() const {
    std::uint64_t sent = 0;
    for (const auto& node : nodes_) sent += node->loop->statistics().frames_sent;
    return sent;
  }

 private:
  void settle() {
    for (bool busy = true; busy;) {
      busy = false;
      for (auto& node : nodes_) {
        node->loop->flush();
        ASSENT_CHECK(!node->loop->failure(), "a node goes on");
        for (const ClientReply& reply : node->loop->take_replies()) {
          ASSENT_CHECK(reply.answer, "a transaction is answered");
          ++answers_;
        }
        for (auto& [to, frame] : std::exchange(node->frames, {})) {
          nodes_[to.value - 1]->loop->handle(FrameReceived{node->self, std::move(frame)});
          busy = true;
        }
      }
    }
  }

  std::vector<std::unique_ptr<Node>> nodes_;
  std::uint64_t requests_ = 0;
  std::uint64_t answers_ = 0;
};

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double resident_kib() {
  std::ifstream in("/proc/self/smaps_rollup");
  for (std::string word; in >> word;) {
    if (word != "Rss:") continue;
    double kib = 0;
    in >> kib;
    return kib;
  }
  return 0;
}

// The resident memory, for the line after it.
double measure(const std::string& folder, std::uint64_t groups, bool sleeping, bool works, unsigned seconds,
               double base_kib) {
  int ends[2];
  ASSENT_CHECK(pipe(ends) == 0, "a pipe");
  const pid_t child = fork();
  if (child == 0) {
    const std::string home =
        fmt::format("{}/{}-{}{}", folder, groups, sleeping ? "sleep" : "awake", works ? "-worked" : "");
    Cluster cluster(home, groups, sleeping);
    while (!cluster.led()) cluster.run(std::chrono::milliseconds(500));
    cluster.come_to_rest(sleeping);
    if (works) {
      cluster.work();
      cluster.come_to_rest(sleeping);
    }
    const double before = cpu_seconds();
    const std::uint64_t frames = cluster.frames();
    cluster.run(std::chrono::seconds(seconds));
    const double cpu = (cpu_seconds() - before) / seconds * 100;
    const double kib = resident_kib();
    const std::uint64_t asleep = cluster.asleep();
    const std::uint64_t idle_frames = cluster.frames() - frames;
    const double busy_before = cpu_seconds();
    const auto busy = static_cast<double>(cluster.keep_busy(std::chrono::seconds(seconds)));
    const double busy_micros = (cpu_seconds() - busy_before) / busy * 1e6;
    const double each = groups <= 3 ? 0 : (kib - base_kib) / 3 / static_cast<double>(groups - 3);
    fmt::print(
        R"({{"groups":{},"may_sleep":{},"worked":{},"replicas_asleep":{},"cpu_percent":{:.2f},"frames_per_second":{},"kib_per_replica":{:.1f},"busy_per_second":{:.0f},"busy_cpu_micros":{:.1f}}})"
        "\n",
        groups, sleeping, works, asleep, cpu, idle_frames / seconds, each, busy / seconds, busy_micros);
    std::fflush(stdout);
    ASSENT_CHECK(write(ends[1], &kib, sizeof kib) == sizeof kib, "the parent reads");
    _exit(0);
  }
  double kib = 0;
  ASSENT_CHECK(read(ends[0], &kib, sizeof kib) == sizeof kib, "the measurement came to its end");
  waitpid(child, nullptr, 0);
  close(ends[0]);
  close(ends[1]);
  return kib;
}

}  // namespace
}  // namespace assent

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "idle_groups DIR [GROUPS [SECONDS]]\n");
    return 64;
  }
  const std::uint64_t groups = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000;
  const unsigned seconds = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 10;
  assent::sql::settle_process();
  const double base = assent::measure(argv[1], 3, true, false, seconds, 0);
  assent::measure(argv[1], groups, true, false, seconds, base);
  assent::measure(argv[1], groups, true, true, seconds, base);
  assent::measure(argv[1], groups, false, true, seconds, base);
}
