// Damage of bytes at rest (TESTING.md B08, B09, W09): each byte of a small log and of a snapshot is changed, one at a
// time, and each file is cut at each length. What comes out is the truth, or the truth but for entries that are said to
// be lost, or an error; the last batch alone may be taken for a torn one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/data_directory.h"
#include "storage/inspect.h"
#include "storage/snapshot_store.h"
#include "storage/wal.h"
#include "storage/wal_recovery.h"
#include "tests/storage/wal_model.h"

namespace assent::storage_test {
namespace {

using Files = std::map<std::string, Bytes>;

struct Case {
  Files files;
  std::string head;              // the newest segment
  std::uint64_t last_batch = 0;  // its offset there
  bool last_batch_opens = false;
  Model full;
  Model without_last;
};

WalOptions options() { return small_options(1024, 64); }

Case make_case(std::uint64_t batches) {
  Case made;
  SimDisk disk(7);
  WalRecovery recovered;
  auto wal = Wal::open(disk, options(), recovered);
  EXPECT_TRUE(wal);
  Rng rng(11);
  for (std::uint64_t i = 1; i <= batches; ++i) {
    const auto batch = random_batch(rng, made.full, i);
    made.without_last = made.full;
    made.full.apply(batch);
    EXPECT_TRUE((*wal)->submit(batch));
    EXPECT_TRUE(settle(**wal, disk));
  }
  wal->reset();
  for (const std::string& path : disk.paths()) made.files[path] = *disk.contents(path);
  const auto scan = scan_wal(disk, "wal", options().identity);
  EXPECT_TRUE(scan);
  made.head = "wal/" + wal_format::segment_name(scan->head->header.number);
  made.last_batch = scan->head->last_batch_offset;
  made.last_batch_opens = scan->head->last_batch_opens;
  return made;
}

// Whether that is what the log said, up to where entries of it are said to be lost.
bool is_true(const WalRecovery& recovered, const Model& truth) {
  const Model found = model_of(recovered);
  if (found.groups.size() != truth.groups.size()) return false;
  return std::all_of(truth.groups.begin(), truth.groups.end(), [&](const auto& one) {
    const auto& [id, whole] = one;
    const auto group = found.groups.find(id);
    if (group == found.groups.end()) return false;
    const auto lost = recovered.lost.find(GroupId(id));
    if (lost == recovered.lost.end()) return group->second == whole;
    ModelGroup rest = whole;
    std::erase_if(rest.entries, [&](const Entry& entry) { return entry.index >= lost->second.first; });
    const bool end_known = !whole.entries.empty() && lost->second.end.index == whole.entries.back().index &&
                           lost->second.end.epoch == whole.entries.back().epoch;
    const auto place = recovered.lost_places.find(GroupId(id));
    return group->second == rest && end_known && place != recovered.lost_places.end() &&
           place->second == lost->second.end && !recovered.damages.empty();
  });
}

// The next start finds what this one made of it, and where the log ended that entries are lost of.
void expect_same_again(SimDisk& disk, const WalRecovery& before) {
  WalRecovery again;
  const auto wal = Wal::open(disk, options(), again);
  ASSERT_TRUE(wal) << wal.error().message;
  EXPECT_EQ(summary(model_of(again)), summary(model_of(before)));
  EXPECT_EQ(again.lost_places, before.lost_places);
  EXPECT_TRUE(again.lost.empty());
}

// What a start on these files comes to must be the truth, or part of it that is known for a part, or an error that
// changes nothing.
void expect_truth_or_error(const Case& made, const Files& files, const std::string& changed, std::uint64_t offset,
                           bool in_last_batch, std::uint64_t& noticed) {
  SimDisk disk(1);
  for (const auto& [path, bytes] : files) disk.put(path, bytes);
  WalRecovery recovered;
  auto wal = Wal::open(disk, options(), recovered);
  if (!wal) {
    ++noticed;
    EXPECT_EQ(wal.error().code, ErrorCode::corruption) << wal.error().message;
    EXPECT_THAT(wal.error().message, ::testing::HasSubstr("wal/000"));
    for (const auto& [path, bytes] : files) EXPECT_EQ(disk.contents(path), bytes) << "changed " << path;
    return;
  }
  if (!recovered.damages.empty()) ++noticed;
  const bool right = is_true(recovered, made.full) || (in_last_batch && is_true(recovered, made.without_last));
  EXPECT_TRUE(right) << changed << " at " << offset << " gave " << summary(model_of(recovered)) << "\n wanted "
                     << summary(made.full);
  wal->reset();
  expect_same_again(disk, recovered);
}

bool in_last_batch(const Case& made, const std::string& path, std::uint64_t offset) {
  return path == made.head && (made.last_batch_opens || offset >= made.last_batch);
}

class DamagedLog : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(DamagedLog, EachByteChanged) {
  const Case made = make_case(GetParam());
  std::uint64_t noticed = 0;
  std::uint64_t cases = 0;
  for (const auto& [path, bytes] : made.files) {
    for (std::uint64_t offset = 0; offset < bytes.size(); ++offset) {
      for (const unsigned mask : {0x01U, 0x80U, 0xFFU}) {
        Files files = made.files;
        files[path][offset] = static_cast<char>(static_cast<unsigned char>(files[path][offset]) ^ mask);
        ++cases;
        expect_truth_or_error(made, files, path, offset, in_last_batch(made, path, offset), noticed);
        if (HasFailure()) return;
      }
    }
  }
  // Most bytes are not padding, and most batches not the last.
  EXPECT_TRUE(GetParam() <= 4 || noticed > cases / 4) << noticed << " of " << cases;
}

TEST_P(DamagedLog, CutAtEachLength) {
  const Case made = make_case(GetParam());
  std::uint64_t noticed = 0;
  for (const auto& [path, bytes] : made.files) {
    for (std::uint64_t size = 0; size < bytes.size(); ++size) {
      // What is cut off may be much more than the last batch: then only a later segment can tell.
      const bool behind_last = in_last_batch(made, path, size);
      if (path == made.head && !behind_last) continue;
      Files files = made.files;
      files[path].resize(size);
      expect_truth_or_error(made, files, path, size, behind_last, noticed);
      if (HasFailure()) return;
    }
  }
}

TEST_P(DamagedLog, EachSegmentMissing) {
  const Case made = make_case(GetParam());
  std::uint64_t noticed = 0;
  for (const auto& [path, bytes] : made.files) {
    if (path == made.head) continue;
    Files files = made.files;
    files.erase(path);
    expect_truth_or_error(made, files, path, 0, false, noticed);
  }
  EXPECT_EQ(noticed, made.files.size() - 1);  // each is needed: the writer removes the others
}

// Misdirected: a block of the log written over another one.
TEST_P(DamagedLog, EachBlockOverEachOther) {
  const Case made = make_case(GetParam());
  const Bytes& head = made.files.at(made.head);
  std::uint64_t noticed = 0;
  for (const auto& [path, bytes] : made.files) {
    for (std::uint64_t from = 0; from + 64 <= bytes.size(); from += 64) {
      for (std::uint64_t to = 0; to + 64 <= head.size(); to += 64) {
        Files files = made.files;
        files[made.head].replace(to, 64, bytes, from, 64);
        expect_truth_or_error(made, files, path, to, in_last_batch(made, made.head, to), noticed);
        if (HasFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, DamagedLog, ::testing::Values(1, 2, 5, 9, 16));

// Several places at once, some of them side by side.
TEST_P(DamagedLog, SeveralPlaces) {
  const Case made = make_case(GetParam());
  Rng rng(GetParam());
  std::uint64_t noticed = 0;
  for (int i = 0; i < 4'000 && !HasFailure(); ++i) {
    Files files = made.files;
    bool last = false;
    for (std::uint64_t k = rng.between(2, 4); k > 0; --k) {
      auto file = files.begin();
      std::advance(file, static_cast<std::ptrdiff_t>(rng.below(files.size())));
      Bytes& bytes = file->second;
      if (bytes.empty()) continue;
      const std::uint64_t from = rng.below(bytes.size());
      const std::uint64_t size = rng.chance(0.5) ? 1 : rng.between(1, 300);
      for (std::uint64_t at = from; at < std::min<std::uint64_t>(from + size, bytes.size()); ++at) {
        bytes[at] = static_cast<char>(rng.next());
        last = last || in_last_batch(made, file->first, at);
      }
    }
    if (last) continue;  // what else is damaged may look like the end, then
    expect_truth_or_error(made, files, "several places", 0, false, noticed);
  }
}

TEST(DamagedLogs, MessageNamesFileOffsetGroupAndProof) {
  SimDisk disk(1);
  WalRecovery recovered;
  auto wal = Wal::open(disk, small_options(8192, 512), recovered);
  ASSERT_TRUE(wal);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE((*wal)->submit({append(42, {make_entry(1, i, "payload")})}));
    ASSERT_TRUE(settle(**wal, disk));
  }
  wal->reset();
  ASSERT_TRUE(disk.rot("wal/00000000000000000001.wal", 1088 + 30, 0x10));
  ASSERT_TRUE(Wal::open(disk, small_options(8192, 512), recovered));
  ASSERT_EQ(recovered.damages.size(), 1U);
  for (const char* part :
       {"wal/00000000000000000001.wal", "offset 1088", "group 42", "a valid batch follows at offset 1536"}) {
    EXPECT_THAT(recovered.damages.front(), ::testing::HasSubstr(part));
  }
  EXPECT_EQ(recovered.lost.at(GroupId(42)), (LostEntries{Index(1), {Epoch(1), Index(3)}}));
}

// Of the groups of a node those alone lose entries whose records were in what is damaged, wherever that is.
TEST(DamagedLogs, OtherGroupsAreNotConcerned) {
  for (const std::uint64_t victim : {2U, 5U, 7U}) {
    SimDisk disk(1);
    WalRecovery recovered;
    auto wal = Wal::open(disk, small_options(65'536, 512), recovered);
    ASSERT_TRUE(wal);
    std::uint64_t at = 0;
    for (std::uint64_t i = 1; i <= 8; ++i) {
      if (i == victim) at = disk.contents("wal/00000000000000000001.wal")->size();
      GroupUpdate update = append(100 + i, {make_entry(1, 1, "of its own"), make_entry(2, 2, "and another")});
      update.hard_state = fmt::format("vote of {}", i);
      ASSERT_TRUE((*wal)->submit({update, append(50, {make_entry(3, i, "of all batches")})}));
      ASSERT_TRUE(settle(**wal, disk));
    }
    wal->reset();
    const std::uint64_t block = (at + 511) / 512 * 512;
    ASSERT_TRUE(disk.rot("wal/00000000000000000001.wal", block + 40, 0x10));
    ASSERT_TRUE(Wal::open(disk, small_options(65'536, 512), recovered));
    ASSERT_EQ(recovered.lost.size(), 2U) << victim;
    EXPECT_EQ(recovered.lost.at(GroupId(50)), (LostEntries{Index(victim), {Epoch(3), Index(8)}}));
    EXPECT_EQ(recovered.lost.at(GroupId(100 + victim)), (LostEntries{Index(1), {Epoch(2), Index(2)}}));
    EXPECT_EQ(recovered.groups.at(GroupId(100 + victim)).hard_state, fmt::format("vote of {}", victim));
    EXPECT_EQ(recovered.groups.at(GroupId(100 + victim % 8 + 1)).entries.size(), 2U);
  }
}

// A write or a read that went to another node's disk: of the right number and with valid checksums, but not of here.
TEST(DamagedLogs, ABatchOfAnotherNodesLogWithTheRightNumberIsDamage) {
  SimDisk mine(1);
  SimDisk theirs(2);
  const auto at = [](std::uint64_t identity) {
    WalOptions options = small_options(65'536, 4'096);
    options.identity = identity;
    return options;
  };
  for (auto [disk, identity] : {std::pair(&mine, 1U), std::pair(&theirs, 2U)}) {
    WalRecovery recovered;
    auto wal = Wal::open(*disk, at(identity), recovered);
    ASSERT_TRUE(wal);
    for (std::uint64_t i = 1; i <= 4; ++i) {
      ASSERT_TRUE((*wal)->submit({append(1, {make_entry(1, i, fmt::format("of {}", identity))})}));
      ASSERT_TRUE(settle(**wal, *disk));
    }
  }
  const auto place = mine.take_block_of(theirs, [](ByteView a, ByteView b) {
    return a.substr(8, 4) == "BTCH" && a.substr(8, 4) == b.substr(8, 4) && a.substr(16, 8) == b.substr(16, 8);
  });
  ASSERT_TRUE(place);
  WalRecovery recovered;
  ASSERT_TRUE(Wal::open(mine, at(1), recovered));
  ASSERT_EQ(recovered.damages.size(), 1U);
  EXPECT_THAT(recovered.damages.front(), ::testing::HasSubstr(fmt::format("offset {}", place->second)));
  EXPECT_EQ(recovered.lost.size(), 1U);
}

// A rotation that a crash cut short proves that everything before it was durable: damage there is no torn tail.
TEST(DamagedLogs, FailedRotationVouchesForTheSegmentBeforeIt) {
  int tried = 0;
  for (std::uint64_t batches = 3; batches < 30; ++batches) {
    Case made = make_case(batches);
    if (!made.last_batch_opens || made.files.size() < 2) continue;
    Bytes& head = made.files[made.head];
    head[made.last_batch + 40] = static_cast<char>(head[made.last_batch + 40] ^ 1);  // the opening batch: never whole
    const std::string before = std::prev(made.files.find(made.head))->first;
    SimDisk whole(1);
    for (const auto& [path, bytes] : made.files) whole.put(path, bytes);
    const auto scan = scan_wal(whole, "wal", options().identity);
    if (!scan) continue;  // the rotation was durable, and has let go of what only it made unnecessary
    ++tried;
    ASSERT_EQ("wal/" + wal_format::segment_name(scan->head->header.number), before);
    SimDisk damaged(1);
    for (const auto& [path, bytes] : made.files) damaged.put(path, bytes);
    ASSERT_TRUE(damaged.rot(before, scan->head->last_batch_offset + 40, 1));
    const auto failed = scan_wal(damaged, "wal", options().identity);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::corruption);
    EXPECT_THAT(failed.error().message, ::testing::HasSubstr(made.head + " was written after it"));
  }
  EXPECT_GE(tried, 2);
}

wal_format::SegmentHeader header_of(std::uint64_t number, std::uint64_t previous, std::uint64_t previous_end) {
  wal_format::SegmentHeader header;
  header.block_bytes = 64;
  header.identity = 77;
  header.number = number;
  header.previous = previous;
  header.previous_end = previous_end;
  header.oldest = 1;
  return header;
}

TEST(DamagedLogs, EntryThatNoSegmentHolds) {
  wal_format::BatchBuilder builder = wal_format::BatchBuilder::opening({77, 1}, 64, 1);
  builder.group(GroupId(8), Index(5), make_mark(1, 2), "vote");
  builder.carried(GroupId(8), *make_entry(1, 3, "three"));
  builder.carried(GroupId(8), *make_entry(1, 5, "five"));
  SimDisk disk(1);
  disk.put("wal/00000000000000000001.wal", builder.finish(header_of(1, 0, 0)));
  const auto scan = scan_wal(disk, "wal", 77);
  ASSERT_FALSE(scan);
  EXPECT_THAT(scan.error().message, ::testing::HasSubstr("(group 8"));
  EXPECT_THAT(scan.error().message, ::testing::HasSubstr("entry 4 is missing"));
}

// Each thing that a rotation states of a group must be what the segment before it came to.
TEST(DamagedLogs, RotationThatContradictsTheLogBeforeIt) {
  const auto outcome = [](Index last, const SnapshotMark& mark, ByteView hard_state, std::uint64_t group) {
    wal_format::BatchBuilder first = wal_format::BatchBuilder::opening({77, 1}, 64, 1);
    first.group(GroupId(8), Index(2), make_mark(1, 2), "vote");
    first.entry(GroupId(8), *make_entry(1, 3, "three"));
    const std::uint64_t end = first.end();
    wal_format::BatchBuilder second = wal_format::BatchBuilder::opening({77, 2}, 64, 2);
    second.group(GroupId(group), last, mark, hard_state);
    SimDisk disk(1);
    disk.put("wal/00000000000000000001.wal", first.finish(header_of(1, 0, 0)));
    disk.put("wal/00000000000000000002.wal", second.finish(header_of(2, 1, end)));
    return scan_wal(disk, "wal", 77).has_value();
  };
  EXPECT_TRUE(outcome(Index(3), make_mark(1, 2), "vote", 8));
  EXPECT_FALSE(outcome(Index(3), make_mark(1, 2), "voted", 8));
  EXPECT_FALSE(outcome(Index(3), make_mark(2, 2), "vote", 8));
  EXPECT_FALSE(outcome(Index(2), make_mark(1, 2), "vote", 8));
  EXPECT_FALSE(outcome(Index(3), make_mark(1, 3), "vote", 8));
  EXPECT_FALSE(outcome(Index(3), make_mark(1, 2), "vote", 9));
}

TEST(DamagedSnapshots, EachByteChangedAndEachLength) {
  SimDisk disk(1);
  const Snapshot snapshot{make_mark(3, 17), "the application's bytes"};
  {
    auto store = SnapshotStore::open(disk);
    ASSERT_TRUE(store);
    ASSERT_TRUE((*store)->save(GroupId(5), snapshot));
    std::vector<SnapshotStore::Saved> saved;
    for (const IoCompletion& completion : disk.poll()) (*store)->completed(completion, saved);
    ASSERT_EQ(saved.size(), 1U);
  }
  const std::string path = "snapshots/g5-00000000000000000017-00000000000000000003.snap";
  const Bytes bytes = *disk.contents(path);
  const auto check = [&](const Bytes& changed) {
    SimDisk other(1);
    other.put(path, changed);
    auto store = SnapshotStore::open(other);
    ASSERT_TRUE(store);
    const auto newest = (*store)->newest(GroupId(5));
    ASSERT_FALSE(newest);
    EXPECT_EQ(newest.error().code, ErrorCode::corruption) << newest.error().message;
    EXPECT_THAT(newest.error().message, ::testing::HasSubstr(path));
    EXPECT_EQ((*store)->load(GroupId(5), snapshot.mark).error().code, ErrorCode::corruption);
  };
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x40);
    check(changed);
    check(bytes.substr(0, i));
  }
  check(bytes + "x");
}

// Bytes that nobody wrote: decoders give values or errors, and the log is refused or empty.
TEST(GarbageInput, RandomFiles) {
  Rng rng(99);
  const Case made = make_case(12);
  for (int i = 0; i < 3'000; ++i) {
    SimDisk disk(1);
    const std::uint64_t kind = rng.below(3);
    for (const auto& [path, bytes] : made.files) {
      Bytes changed = bytes;
      if (kind == 0) {
        changed.resize(rng.below(3'000));
        for (char& byte : changed) byte = static_cast<char>(rng.next());
      } else {
        for (std::uint64_t k = rng.below(6); k > 0 && !changed.empty(); --k) {
          const std::uint64_t from = rng.below(changed.size());
          const std::uint64_t size = rng.below(std::min<std::uint64_t>(changed.size() - from, 90) + 1);
          if (kind == 1) {
            for (std::uint64_t at = from; at < from + size; ++at) changed[at] = static_cast<char>(rng.next());
          } else {
            changed.erase(from, size);
          }
        }
      }
      disk.put(path, changed);
    }
    (void)inspect_data_directory(disk);
    WalRecovery recovered;
    (void)Wal::open(disk, options(), recovered);
  }
}

// The same below the checksums: record bodies that carry a right checksum and nonsense.
TEST(GarbageInput, RandomRecordBodies) {
  Rng rng(5);
  for (int i = 0; i < 50'000; ++i) {
    Bytes body(rng.below(80), '\0');
    for (char& byte : body) byte = static_cast<char>(rng.chance(0.5) ? rng.below(4) : rng.next());
    const auto mark = wal_format::decode_mark(body);
    if (mark) {
      Bytes again;
      wal_format::encode_mark(again, *mark);
      EXPECT_EQ(again, body);
    }
    (void)wal_format::decode_entry(body);
    (void)wal_format::decode_group(body);
    (void)wal_format::decode_state(body);
    (void)wal_format::decode_grown(body);
    (void)wal_format::decode_covers(body);
    (void)wal_format::decode_lost(body);
    (void)wal_format::read_segment_header(body, {});
    (void)wal_format::read_batch(body, {}, rng.below(100), 64);
    (void)decode_directory_identity(body);
  }
}

TEST(GarbageInput, ForgedRecordsWithRightChecksums) {
  using wal_format::BatchBuilder;
  Rng rng(6);
  std::uint64_t accepted = 0;
  for (int i = 0; i < 3'000; ++i) {
    BatchBuilder builder = BatchBuilder::opening({77, 1}, 64, 1);
    for (std::uint64_t k = rng.below(5); k > 0; --k) {
      const GroupId group(rng.below(2));
      const std::uint64_t index = rng.chance(0.2) ? rng.next() : rng.below(5);
      switch (rng.below(8)) {
        case 5:
          builder.state(group, Index(rng.below(3)), {Epoch(1), Index(index)}, make_mark(1, rng.below(4)), "hs");
          break;
        case 6: builder.grown(group, {Index(rng.below(3)), {Epoch(1), Index(index)}}); break;
        case 7: builder.lost(group, {Epoch(2), Index(index)}); break;
        case 0: builder.group(group, Index(index), make_mark(1, rng.below(4)), "hs"); break;
        case 1: builder.carried(group, *make_entry(1, index, "c")); break;
        case 2: builder.entry(group, *make_entry(1, index, "e")); break;
        case 3: builder.install(group, make_mark(1, index)); break;
        default: builder.compact(group, make_mark(1, index)); break;
      }
    }
    wal_format::SegmentHeader header;
    header.block_bytes = 64;
    header.identity = 77;
    header.number = 1;
    SimDisk disk(1);
    disk.put("wal/00000000000000000001.wal", builder.finish(header));
    WalRecovery recovered;
    const auto wal = Wal::open(disk, options(), recovered);
    if (wal) ++accepted;
    for (const auto& [id, log] : recovered.groups) {
      for (std::size_t k = 0; k < log.entries.size(); ++k) {
        ASSERT_EQ(log.entries[k]->index.value, log.snapshot.last.index.value + k + 1);
      }
    }
    EXPECT_TRUE(wal || wal.error().code == ErrorCode::corruption);
  }
  EXPECT_GT(accepted, 100U);
}

}  // namespace
}  // namespace assent::storage_test
