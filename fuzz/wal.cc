// Segments of the write-ahead log, as a start finds them: raw, and with right checksums over whatever they hold.
#include "storage/wal.h"

#include <fmt/format.h>

#include <map>
#include <string>

#include "base/check.h"
#include "fuzz/checksums.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "sim/sim_disk.h"
#include "storage/inspect.h"
#include "storage/wal_format.h"

namespace assent::fuzz {
namespace {

using Files = std::map<std::string, Bytes>;

WalOptions small_log() {
  WalOptions options;
  options.segment_bytes = 1024;
  options.block_bytes = 64;
  options.identity = identity;
  return options;
}

// Up to three segments: a byte of choices, pieces for all but the last, the rest.
Files segments_of(ByteView bytes) {
  Input input(bytes);
  const std::uint64_t choices = input.byte();
  const bool repair = (choices & 1U) == 0;
  const std::uint64_t count = 1 + (choices >> 1U) % 3;
  Files files;
  for (std::uint64_t number = 1; number <= count; ++number) {
    Bytes file(number < count ? input.piece() : input.rest());
    if (repair) repair_segment(file, number);
    files["wal/" + wal_format::segment_name(number)] = std::move(file);
  }
  return files;
}

bool equal(const std::map<GroupId, DurableLog>& left, const std::map<GroupId, DurableLog>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const auto& a, const auto& b) {
    const DurableLog& one = a.second;
    const DurableLog& two = b.second;
    return a.first == b.first && one.hard_state == two.hard_state && one.snapshot == two.snapshot &&
           std::equal(one.entries.begin(), one.entries.end(), two.entries.begin(), two.entries.end(),
                      [](const EntryPtr& x, const EntryPtr& y) { return *x == *y; });
  });
}

void require_contiguous(const WalRecovery& recovered) {
  for (const auto& [group, log] : recovered.groups) {
    Index last = log.snapshot.last.index;
    for (const EntryPtr& entry : log.entries) {
      require(entry != nullptr && entry->index == last.next(), "a recovered log has no gap");
      last = entry->index;
    }
  }
}

}  // namespace

void run_wal(ByteView bytes) {
  const Files files = segments_of(bytes);
  SimDisk disk(1);
  for (const auto& [path, file] : files) disk.put(path, file);
  const auto inspected = inspect_data_directory(disk);
  require(inspected.has_value(), "an inspector goes on behind damage");

  WalRecovery first;
  {
    const auto wal = Wal::open(disk, small_log(), first);
    if (!wal) {
      require(!wal.error().message.empty(), "an error says what it is about");
      for (const auto& [path, file] : files) require(disk.contents(path) == file, "a damaged log is left as it is");
      return;
    }
  }
  require_contiguous(first);
  WalRecovery second;
  const auto again = Wal::open(disk, small_log(), second);
  require(again.has_value(), "what was recovered can be recovered again");
  require(equal(first.groups, second.groups), "recovering twice gives the same");
}

std::vector<Bytes> wal_seeds() {
  std::vector<Bytes> seeds;
  for (const std::uint64_t batches : {1U, 3U, 9U}) {
    SimDisk disk(1);
    WalRecovery recovered;
    auto wal = Wal::open(disk, small_log(), recovered);
    ASSENT_CHECK(wal, "an empty disk opens");
    for (std::uint64_t i = 1; i <= batches; ++i) {
      GroupUpdate update;
      update.group = GroupId(1 + i % 2);
      update.hard_state = "vote";
      if (i == 5) update.compact = SnapshotMark{{Epoch(1), Index(1)}, ClusterMillis(1), {NodeId(1), NodeId(2)}};
      if (i == 6) update.install = SnapshotMark{{Epoch(1), Index(9)}, ClusterMillis(1), {NodeId(1), NodeId(2)}};
      if (i < 6) {
        update.append.push_back(std::make_shared<const Entry>(
            Entry{Epoch(1), Index((i + 1) / 2), ClusterMillis(i), EntryKind::command, "payload"}));
      }
      ASSENT_CHECK((*wal)->submit({update}), "a healthy disk takes a batch");
      for (const IoCompletion& completion : disk.poll()) (*wal)->completed(completion);
    }
    const auto names = disk.list("wal").value();
    Seed seed;
    const std::size_t count = std::min<std::size_t>(names.size(), 3);
    seed.byte((count - 1) << 1U);
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes file = *disk.contents("wal/" + names[i]);
      i + 1 < count ? seed.piece(file) : seed.rest(file);
    }
    seeds.emplace_back(seed);
  }
  return seeds;
}

}  // namespace assent::fuzz
