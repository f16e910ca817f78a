// Snapshots: the files with right checksums over any bytes, and what is in them. The first byte picks what is read.
#include "base/check.h"
#include "coordinator/decisions.h"
#include "fuzz/checksums.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "fuzz/samples.h"
#include "participant/memory_store.h"
#include "participant/shard.h"
#include "storage/snapshot_file.h"

namespace assent::fuzz {
namespace {

constexpr snapshot_file::Name name{GroupId(5), {Epoch(3), Index(17)}};

void read_file(ByteView bytes, bool repair) {
  Bytes file(bytes);
  if (repair) repair_snapshot(file);
  const auto snapshot = snapshot_file::decode(file, name);
  if (!snapshot) return require(!snapshot.error().message.empty(), "an error says what it is about");
  require(snapshot->mark.last == name.last, "a snapshot stands for what its name says");
  // In the format of today, whatever format it was read in.
  const auto again = snapshot_file::decode(snapshot_file::encode(name.group, *snapshot), name);
  require(again && again->mark == snapshot->mark && again->data == snapshot->data,
          "a snapshot that was read is written and read again as it was");
}

void read_decisions(ByteView bytes) {
  Decisions decisions;
  const std::uint64_t before = decisions.digest();
  if (!decisions.restore(bytes)) return require(decisions.digest() == before, "what failed changed nothing");
  Decisions again;
  require(again.restore(*decisions.snapshot()).has_value(), "an own snapshot can be restored");
  require(again.digest() == decisions.digest(), "a restored machine is the same");
  // It must be fit for work, whatever it came from.
  for (std::uint64_t i = 1; i < 8; ++i) {
    const EntryContext context{Epoch(1), Index(i), ClusterMillis(decisions.stamp().value + i)};
    static_cast<void>(decisions.apply(context, sample_coordinator_commands()[i % 4]));
    static_cast<void>(again.apply(context, sample_coordinator_commands()[i % 4]));
  }
  require(again.digest() == decisions.digest(), "machines that are the same stay the same");
}

void read_store(ByteView bytes) {
  MemoryStore store;
  if (!store.restore(bytes)) return require(store == MemoryStore{}, "what failed changed nothing");
  MemoryStore again;
  require(again.restore(*store.snapshot()).has_value(), "an own snapshot can be restored");
  require(again.digest() == store.digest(), "a restored store is the same");
  Shard shard({.self = GroupId(1), .window = {}});
  if (!shard.load(store)) return;
  Shard twin({.self = GroupId(1), .window = {}});
  require(twin.load(again) && twin.digest() == shard.digest(), "machines of the same records are the same");
  for (std::uint64_t i = 1; i < 8; ++i) {
    const EntryContext context{Epoch(1), Index(i), ClusterMillis(sample_millis + i)};
    if (!shard.apply(context, sample_shard_commands()[i % 7], store)) return;
  }
}

}  // namespace

void run_snapshots(ByteView bytes) {
  Input input(bytes);
  const std::uint64_t kind = input.below(4);
  const ByteView rest = input.rest();
  switch (kind) {
    case 0: return read_file(rest, false);
    case 1: return read_file(rest, true);
    case 2: return read_decisions(rest);
    default: return read_store(rest);
  }
}

std::vector<Bytes> snapshots_seeds() {
  const Snapshot snapshot{{name.last, ClusterMillis(9), {NodeId(1), NodeId(2)}}, "the application's bytes"};
  const Bytes file = snapshot_file::encode(name.group, snapshot);
  Decisions decisions;
  MemoryStore store;
  Shard shard({.self = GroupId(1), .window = {}});
  std::uint64_t index = 0;
  for (const auto& command : sample_coordinator_commands()) {
    static_cast<void>(decisions.apply({Epoch(1), Index(++index), ClusterMillis(sample_millis)}, command));
  }
  for (const auto& command : sample_shard_commands()) {
    static_cast<void>(shard.apply({Epoch(1), Index(++index), ClusterMillis(sample_millis)}, command, store));
  }
  ASSENT_CHECK(store.install(store.evaluate({KvPut{"k", "v"}})->effects.change), "a put can be made");
  return {Seed().byte(0).rest(file), Seed().byte(1).rest(file), Seed().byte(2).rest(*decisions.snapshot()),
          Seed().byte(3).rest(*store.snapshot())};
}

}  // namespace assent::fuzz
