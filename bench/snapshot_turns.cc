// For how long a node's loop stands still while a snapshot is made and stored: one node's loop over the machine's disk,
// with a shard of so many bytes or a coordinator of so many outcomes, and a proposal in each of its turns.
//
//     snapshot_turns DIR [MEBIBYTES [OUTCOMES]]
//
// One JSON line for each of both, made all at once and in steps: the longest turn of the loop and the snapshot's whole
// time from the first step on, in milliseconds, and for comparison the longest turn without a snapshot.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/rng.h"
#include "bench/real_clock.h"
#include "consensus/raft/raft_factory.h"
#include "coordinator/decisions.h"
#include "node/coordinator_app.h"
#include "node/loop.h"
#include "node/shard_app.h"
#include "server/posix_disk.h"
#include "sql_adapter/sqlite_archive.h"
#include "sql_adapter/sqlite_store.h"
#include "txn_proto/wire_codec.h"

namespace assent {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::size_t step_bytes = 256U << 10U;  // the default of raft.snapshot_step
constexpr std::uint64_t snapshot_every = 200;

double millis(Steady::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

struct Nobody final : Transport {
  [[nodiscard]] bool ready(NodeId) const override { return true; }
  void send(NodeId, Bytes) override {}
  void send_snapshot(NodeId, SnapshotTransfer) override {}
};

void run(std::string_view what, const std::string& folder, std::size_t step, Bytes proposal,
         const ApplicationFactory& applications) {
  std::filesystem::create_directories(folder);
  auto disk = PosixDisk::open(
      folder, [] {}, PosixDisk::Begin::on_start);
  ASSENT_CHECK(disk, "the disk opens");
  Nobody transport;
  RealClock clock;
  NodeConfig config;
  config.self = NodeId(1);
  config.incarnation = 1;
  config.nodes = {NodeId(1)};
  config.groups = {{GroupId(1), "g", GroupRole::shard, {NodeId(1)}}};
  config.snapshot_every = snapshot_every;
  config.limits.snapshot_step_bytes = step;
  auto opened = Loop::open(config, **disk, transport, clock, make_raft_factory({}), applications);
  ASSENT_CHECK(opened, "the node opens");
  Loop& loop = **opened;
  const auto turn = [&] {
    const auto begun = Steady::now();
    loop.handle(DiskProgress{});
    loop.flush();
    ASSENT_CHECK(!loop.failure(), "the node goes on");
    return Steady::now() - begun;
  };
  while (!loop.status().front().log.leadership.self_ready) {
    loop.tick();
    (void)turn();
  }
  Steady::duration before{};
  Steady::duration longest{};
  Steady::time_point begun{};
  std::uint64_t turns = 0;
  while (loop.status().front().log.snapshot.last.index.none()) {
    const bool due = begun != Steady::time_point{} || loop.status().front().applied.value >= snapshot_every - 2;
    if (!loop.propose(GroupId(1), proposal)) continue;
    if (due && begun == Steady::time_point{}) begun = Steady::now();
    const auto took = turn();
    turns += due ? 1 : 0;
    Steady::duration& most = due ? longest : before;
    most = std::max(most, took);
  }
  fmt::print(
      R"({{"what":"{}","step_bytes":{},"longest_turn_ms":{:.1f},"whole_ms":{:.0f},"turns":{},"longest_turn_without_ms":{:.1f}}})"
      "\n",
      what, step, millis(longest), millis(Steady::now() - begun), turns, millis(before));
  std::fflush(stdout);
}

void fill_shard(const std::string& path, std::uint64_t mebibytes) {
  SqliteOptions options;
  options.path = path;
  auto store = SqliteStore::open(options);
  ASSENT_CHECK(store, "the store opens");
  Rng rng(1);
  constexpr std::size_t value_bytes = 2'000;
  for (std::uint64_t i = 0; i < mebibytes * (1ULL << 20U) / (value_bytes + 40);) {
    Work work;
    for (int n = 0; n < 50; ++n, ++i) {
      Bytes value;
      while (value.size() < value_bytes) {
        const std::uint64_t word = rng.next();
        value.append(reinterpret_cast<const char*>(&word), sizeof word);
      }
      work.emplace_back(KvPut{fmt::format("key {:012}", i), std::move(value)});
    }
    const auto evaluation = (*store)->evaluate(work);
    ASSENT_CHECK(evaluation && (*store)->install(evaluation->effects.change), "rows are put in");
    ASSENT_CHECK((*store)->checkpoint(), "rows are stored");
  }
  ASSENT_CHECK((*store)->commit(), "rows are stored");
}

void fill_coordinator(const std::string& path, std::uint64_t outcomes) {
  auto archive = SqliteArchive::open({path});
  ASSENT_CHECK(archive, "the archive opens");
  DecisionsOptions options;
  options.history.records_max = 20'000'000;
  Decisions machine(options, archive->get());
  ASSENT_CHECK(machine.load(), "it is read");
  std::uint64_t index = 0;
  for (std::uint64_t i = 0; i < outcomes;) {
    NoteOutcomes notes;
    for (int n = 0; n < 100; ++n, ++i) {
      notes.notes.push_back({TxnId::make(ClusterMillis(1'800'000'000'000 - outcomes + i), i, i * 7), i, true,
                             Protocol::paxos_commit, AbortReason::none});
    }
    machine.apply({Epoch(1), Index(++index), ClusterMillis(1'800'000'000'000 - outcomes + i)}, notes);
    ASSENT_CHECK(machine.checkpoint(Index()), "outcomes are stored");
  }
  ASSENT_CHECK(machine.save(Index()), "outcomes are stored");
}

}  // namespace
}  // namespace assent

int main(int argc, char** argv) {
  using namespace assent;
  if (argc < 2) {
    fmt::print(stderr, "snapshot_turns DIR [MEBIBYTES [OUTCOMES]]\n");
    return 64;
  }
  const std::string folder = argv[1];
  const std::uint64_t mebibytes = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 200;
  const std::uint64_t outcomes = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1'000'000;
  std::filesystem::create_directories(folder);
  const std::string shard = folder + "/shard.db";
  const std::string coordinator = folder + "/coordinator.db";
  fill_shard(shard, mebibytes);
  fill_coordinator(coordinator, outcomes);
  for (const std::size_t step : {std::size_t{0}, step_bytes}) {
    const std::string name = step == 0 ? "at-once" : "in-steps";
    const std::string shard_copy = folder + "/shard-" + name + ".db";
    std::filesystem::copy_file(shard, shard_copy, std::filesystem::copy_options::overwrite_existing);
    run(fmt::format("shard of {} MiB", mebibytes), folder + "/shard-" + name, step, encode(ShardCommand(Tidy{})),
        [&](const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
          SqliteOptions options;
          options.path = shard_copy;
          options.copy_path = shard_copy + ".copy";
          auto store = SqliteStore::open(options);
          if (!store) return fail(store.error());
          return make_shard_application(group.id, {}, std::move(*store));
        });
    const std::string copy = folder + "/coordinator-" + name + ".db";
    std::filesystem::copy_file(coordinator, copy, std::filesystem::copy_options::overwrite_existing);
    run(fmt::format("coordinator of {} outcomes", outcomes), folder + "/coordinator-" + name, step,
        encode(CoordinatorCommand(Tidy{})), [&](const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
          auto archive = SqliteArchive::open({copy});
          if (!archive) return fail(archive.error());
          CoordinatorAppOptions options;
          options.decisions.history.records_max = 20'000'000;
          return make_coordinator_application(group.id, options, std::move(*archive));
        });
  }
  return 0;
}
