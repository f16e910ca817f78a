// Nanoseconds of the parts that every transaction passes, each alone and in memory: a round of Raft, its messages, the
// commands in the log, a batch of the write-ahead log, the lock table. SQL has sql_bench, archives history_bench, a log
// on real disks and sockets raft_bench.
//   build/release/bin/micro_bench [--benchmark_filter=raft]
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft_factory.h"
#include "participant/lock_table.h"
#include "storage/wal.h"
#include "txn_proto/wire_codec.h"

namespace assent {
namespace {

// ---- consensus ----

// Three replicas whose messages arrive at once and whose disks are always done.
class Trio {
 public:
  Trio() {
    const LogFactory make = make_raft_factory({});
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      auto replica = make({.self = NodeId(i + 1),
                           .group = GroupId(1),
                           .members = {NodeId(1), NodeId(2), NodeId(3)},
                           .seed = i,
                           .durable = {}});
      ASSENT_CHECK(replica.has_value(), "a new replica is made");
      replicas_[i] = std::move(*replica);
    }
    while (!leader().status().leadership.self_ready) {
      leader().tick();
      settle();
    }
    committed_ = 0;
  }

  void replicate(std::size_t entries, const Bytes& command) {
    const std::size_t wanted = committed_ + entries;
    for (std::size_t i = 0; i < entries; ++i) {
      ASSENT_CHECK(leader().propose(command, ClusterMillis(1)).has_value(), "the window has room");
    }
    settle();
    ASSENT_CHECK(committed_ == wanted, "everything proposed is committed");
  }
  // Lets go of what is committed, as a snapshot would.
  void compact() {
    for (const auto& replica : replicas_) {
      const auto mark = replica->mark_at(replica->status().committed);
      if (mark) replica->snapshot_taken(*mark);
    }
  }

 private:
  ReplicatedLog& leader() { return *replicas_[0]; }

  void settle() {
    for (bool again = true; again;) {
      again = false;
      for (std::size_t i = 0; i < replicas_.size(); ++i) {
        if (!replicas_[i]->has_output()) continue;
        Output output = replicas_[i]->take_output();
        if (i == 0) committed_ += output.committed.size();
        again = again || output.has_news() || output.needs_disk();
        deliver(i, output.send_now);
        replicas_[i]->durable(output.number);
        deliver(i, output.send_after_sync);
      }
    }
  }
  void deliver(std::size_t from, const std::vector<ConsensusMessage>& messages) {
    for (const ConsensusMessage& message : messages) {
      replicas_[message.to.value - 1]->receive(NodeId(from + 1), message.bytes);
    }
  }

  std::array<std::unique_ptr<ReplicatedLog>, 3> replicas_;
  std::size_t committed_ = 0;
};

// All three replicas' part of so many entries that are proposed together, from the proposal until they are committed.
void raft_round(benchmark::State& state) {
  Trio trio;
  const auto entries = static_cast<std::size_t>(state.range(0));
  const Bytes command(256, 'x');
  std::size_t since_snapshot = 0;
  for ([[maybe_unused]] auto _ : state) {
    trio.replicate(entries, command);
    since_snapshot += entries;
    if (since_snapshot > 100'000) {
      trio.compact();
      since_snapshot = 0;
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(raft_round)->Arg(1)->Arg(16)->Arg(256);

raft::Message append_of(std::uint64_t entries) {
  raft::AppendRequest append;
  append.term = Epoch(3);
  append.prev = {Epoch(3), Index(100)};
  append.commit = Index(90);
  for (std::uint64_t i = 1; i <= entries; ++i) {
    append.entries.push_back(std::make_shared<const Entry>(
        Entry{.epoch = Epoch(3), .index = Index(100 + i), .stamp = ClusterMillis(i), .payload = Bytes(256, 'x')}));
  }
  return append;
}

void raft_append_encode(benchmark::State& state) {
  const raft::Message append = append_of(static_cast<std::uint64_t>(state.range(0)));
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(raft::encode(GroupId(1), append));
}
BENCHMARK(raft_append_encode)->Arg(1)->Arg(64);

void raft_append_decode(benchmark::State& state) {
  const Bytes bytes = raft::encode(GroupId(1), append_of(static_cast<std::uint64_t>(state.range(0))));
  for ([[maybe_unused]] auto _ : state) {
    auto message = raft::decode(GroupId(1), bytes);
    ASSENT_CHECK(message.has_value(), "what was encoded is well-formed");
    benchmark::DoNotOptimize(message);
  }
}
BENCHMARK(raft_append_decode)->Arg(1)->Arg(64);

// ---- what stands in the log of a shard ----

TxnId txn(std::uint64_t number) { return TxnId::make(ClusterMillis(1'700'000'000'000 + number), number, ~number); }

std::vector<LockRequest> locks_of(std::uint64_t number) {
  return {{.key = "accounts", .mode = LockMode::intention_exclusive},
          {.key = fmt::format("accounts/account-{}", number), .mode = LockMode::exclusive},
          {.key = "transfers", .mode = LockMode::intention_exclusive},
          {.key = fmt::format("transfers/transfer-{}", number), .mode = LockMode::exclusive}};
}

ShardCommand prepare_of(std::uint64_t number) {
  PrepareWork command;
  command.txn = txn(number);
  command.coordinator = GroupId(7);
  command.participants = {GroupId(1), GroupId(2)};
  command.fingerprint = number;
  command.age = command.txn;
  command.effects.change = Bytes(200, 'c');
  command.effects.locks = locks_of(number);
  command.protocol = Protocol::paxos_commit;
  return command;
}

void prepare_encode(benchmark::State& state) {
  const ShardCommand command = prepare_of(7);
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(encode(command));
}
BENCHMARK(prepare_encode);

void prepare_decode(benchmark::State& state) {
  const Bytes bytes = encode(prepare_of(7));
  for ([[maybe_unused]] auto _ : state) {
    auto command = decode_shard_command(bytes);
    ASSENT_CHECK(command.has_value(), "what was encoded is well-formed");
    benchmark::DoNotOptimize(command);
  }
}
BENCHMARK(prepare_decode);

// ---- locks ----

// One transaction comes and goes among so many that hold locks of their own.
void lock_and_release(benchmark::State& state) {
  LockTable table;
  const auto others = static_cast<std::uint64_t>(state.range(0));
  for (std::uint64_t i = 0; i < others; ++i) table.acquire(txn(i), locks_of(i));
  const TxnId self = txn(others);
  const std::vector<LockRequest> locks = locks_of(others);
  for ([[maybe_unused]] auto _ : state) {
    ASSENT_CHECK(table.free(locks, self), "nobody else has these rows");
    table.acquire(self, locks);
    benchmark::DoNotOptimize(table.release(self));
  }
}
BENCHMARK(lock_and_release)->Arg(0)->Arg(100)->Arg(10'000);

// ---- the write-ahead log ----

// Takes everything, keeps nothing, and is done at once.
class Sink final : public Disk {
 public:
  Result<FileId> open(std::string_view, std::uint64_t) override { return FileId(++last_); }
  void close(FileId) override {}
  void write(FileId, std::uint64_t, Bytes data, IoToken token) override {
    benchmark::DoNotOptimize(data.data());
    done_.push_back({.token = token, .error = {}});
  }
  void sync(FileId, IoToken token) override { done_.push_back({.token = token, .error = {}}); }
  Result<void> write_durably(FileId, std::uint64_t, Bytes) override { return {}; }
  std::vector<IoCompletion> poll() override { return std::exchange(done_, {}); }
  Result<Bytes> read(std::string_view path, std::uint64_t, std::uint64_t) override {
    return fail(ErrorCode::not_found, fmt::format("{}: nothing is kept", path));
  }
  Result<std::uint64_t> size(std::string_view path) override {
    return fail(ErrorCode::not_found, fmt::format("{}: nothing is kept", path));
  }
  Result<std::vector<std::string>> list(std::string_view) override { return std::vector<std::string>{}; }
  Result<void> make_folder(std::string_view) override { return {}; }
  Result<void> truncate(std::string_view, std::uint64_t) override { return {}; }
  Result<void> rename(std::string_view, std::string_view) override { return {}; }
  Result<void> remove(std::string_view) override { return {}; }
  Result<void> sync_directory(std::string_view) override { return {}; }

 private:
  std::uint64_t last_ = 0;
  std::vector<IoCompletion> done_;
};

// A batch of so many entries, of three groups in turn, from submit() until it is durable.
void wal_batch(benchmark::State& state) {
  Sink disk;
  WalRecovery recovered;
  auto wal = Wal::open(disk, {}, recovered);
  ASSENT_CHECK(wal.has_value(), "an empty log opens");
  const auto entries = static_cast<std::uint64_t>(state.range(0));
  std::map<GroupId, Index> last;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    std::map<GroupId, GroupUpdate> updates;
    for (std::uint64_t i = 0; i < entries; ++i) {
      const GroupId group(1 + i % 3);
      GroupUpdate& update = updates[group];
      update.group = group;
      last[group] = Index(last[group].value + 1);
      update.append.push_back(std::make_shared<const Entry>(
          Entry{.epoch = Epoch(1), .index = last[group], .stamp = ClusterMillis(1), .payload = Bytes(256, 'x')}));
    }
    std::vector<GroupUpdate> batch;
    for (auto& [group, update] : updates) batch.push_back(std::move(update));
    state.ResumeTiming();
    const auto ticket = (*wal)->submit(batch);
    ASSENT_CHECK(ticket.has_value(), "the log takes a batch");
    while ((*wal)->durable() < *ticket) {
      for (const IoCompletion& done : disk.poll()) static_cast<void>((*wal)->completed(done));
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(wal_batch)->Arg(3)->Arg(30)->Arg(300);

}  // namespace
}  // namespace assent

BENCHMARK_MAIN();
