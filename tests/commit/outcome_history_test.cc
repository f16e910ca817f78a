// Decisions over an archive: whatever is in memory and whatever is not, whenever it crashes, it answers as one that
// keeps everything in memory.
#include "coordinator/outcome_history.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <utility>

#include "base/byte_codec.h"
#include "base/rng.h"
#include "coordinator/decisions.h"
#include "coordinator/decisions_copy.h"
#include "coordinator/memory_archive.h"
#include "support.h"
#include "txn_proto/record_codec.h"

namespace assent {
namespace {

using testing::at;
using testing::shard_1;
using testing::shard_2;
using testing::start_millis;
using testing::txn;

constexpr ArchivePace eager{.chunk_records = 2, .write_records = 2, .write_entries = 4, .recent_records = 1};

DecisionsOptions small_options(std::size_t records_max = 40) {
  DecisionsOptions options;
  options.window.retention_millis = 300;
  options.history.records_max = records_max;
  return options;
}

SealOutcome seal(const TxnId& id) {
  SealOutcome command;
  command.txn = id;
  command.refusal.reason = AbortReason::sealed;
  return command;
}

CoordinatorCommand any_command(Rng& rng, std::uint64_t index, std::uint64_t epoch) {
  const TxnId id = txn(rng.below(60), index - index % 50);
  switch (rng.below(6)) {
    case 0:
      return Decide{.txn = id,
                    .attempt = {Epoch(epoch), index},
                    .protocol = Protocol::two_phase,
                    .participants = {shard_1, shard_2},
                    .fingerprint = 77};
    case 1: return seal(id);
    case 2: return EndTxns{{id, txn(rng.below(60), index - index % 50)}};
    case 3: {
      NoteOutcomes notes;
      for (std::uint64_t i = rng.below(4); i > 0; --i) {
        notes.notes.push_back(
            {txn(rng.below(60), index - index % 50), i, rng.chance(0.5), Protocol::paxos_commit, AbortReason::none});
      }
      return notes;
    }
    case 4:
      return BallotWork{.txn = id,
                        .ballot = {.round = rng.below(3), .by = shard_1, .epoch = Epoch(epoch)},
                        .value = Outcome::committed,
                        .fingerprint = 5,
                        .participants = {shard_1, shard_2}};
    default: return Tidy{};
  }
}

struct Log {
  std::vector<std::pair<EntryContext, CoordinatorCommand>> entries;
  explicit Log(std::uint64_t seed, std::uint64_t length = 600) {
    Rng rng(seed);
    for (std::uint64_t index = 1; index <= length; ++index) {
      const std::uint64_t epoch = 1 + index / 200;
      entries.emplace_back(at(epoch, index, index), any_command(rng, index, epoch));
    }
  }
};

void expect_alike(const Decisions& one, const Decisions& other, std::uint64_t millis) {
  ASSERT_EQ(one.digest(), other.digest());
  ASSERT_EQ(one.records(), other.records());
  for (std::uint64_t made = millis - std::min<std::uint64_t>(millis, 500); made <= millis; made += 50) {
    for (std::uint64_t n = 0; n < 60; ++n) {
      const TxnId id = txn(n, made - made % 50);
      ASSERT_EQ(one.find(id), other.find(id));
      ASSERT_EQ(one.may_be_forgotten(id), other.may_be_forgotten(id));
    }
  }
  ASSERT_FALSE(one.failure());
}

ArchivePace any_pace(Rng& rng) {
  return {.chunk_records = rng.between(1, 9),
          .write_records = rng.between(1, 20),
          .write_entries = rng.between(1, 40),
          .recent_records = rng.below(12)};
}

// A crash takes the archive back to any of its states since the last sync; the log replays the rest.
TEST(DecisionsOverAnArchive, AnswersAsOneInMemoryWheneverItCrashes) {
  int taken_back = 0;
  std::uint64_t lookups = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    const Log log(seed);
    Rng rng(seed + 1'000);
    const ArchivePace pace = any_pace(rng);
    Decisions memory(small_options());
    auto archive = std::make_unique<MemoryArchive>();
    auto machine = std::make_unique<Decisions>(small_options(), archive.get(), pace);
    std::deque<MemoryArchive> survivors{*archive};
    for (std::size_t next = 0; next < log.entries.size();) {
      const std::uint64_t batch = rng.between(1, 6);
      for (std::uint64_t i = 0; i < batch && next < log.entries.size(); ++i, ++next) {
        const auto& [context, command] = log.entries[next];
        ASSERT_EQ(machine->apply(context, command), memory.apply(context, command));
      }
      const Index applied(next);
      const bool saves = rng.chance(0.05);
      ASSERT_TRUE(saves ? machine->save(applied) : machine->checkpoint(applied));
      if (saves) survivors.clear();
      if (survivors.empty() || !(survivors.back() == *archive)) survivors.push_back(*archive);
      if (rng.chance(0.1)) {
        ASSERT_NO_FATAL_FAILURE(expect_alike(*machine, memory, next));
      }
      if (!rng.chance(0.05)) continue;
      lookups += archive->lookups();
      archive = std::make_unique<MemoryArchive>(survivors[rng.below(survivors.size())]);
      survivors = {*archive};
      machine = std::make_unique<Decisions>(small_options(), archive.get(), pace);
      const auto loaded = machine->load();
      ASSERT_TRUE(loaded) << loaded.error().message;
      taken_back += loaded->value < next ? 1 : 0;
      for (std::size_t again = loaded->value; again < next; ++again) {
        machine->apply(log.entries[again].first, log.entries[again].second);
      }
      ASSERT_NO_FATAL_FAILURE(expect_alike(*machine, memory, next));
    }
    ASSERT_NO_FATAL_FAILURE(expect_alike(*machine, memory, log.entries.size()));
    EXPECT_EQ(*machine->snapshot(), *memory.snapshot());
    lookups += archive->lookups();
  }
  EXPECT_GT(taken_back, 20);
  EXPECT_GT(lookups, 1'000U) << "the archive was read";
}

// Entries come, outcomes are forgotten, chunks go to the archive and the machine crashes, all between its steps.
TEST(DecisionsOverAnArchive, ASnapshotInStepsIsTheOneOfTheLastStep) {
  int grown = 0;
  int shrunk = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    const Log log(seed);
    Rng rng(seed + 2'000);
    MemoryArchive archive;
    Decisions machine(small_options(rng.below(60)), rng.chance(0.7) ? &archive : nullptr, any_pace(rng));
    DecisionsCopy copy;
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    bool begun = false;
    for (std::size_t next = 0; next < log.entries.size();) {
      for (std::uint64_t i = rng.below(4); i > 0 && next < log.entries.size(); --i, ++next) {
        machine.apply(log.entries[next].first, log.entries[next].second);
      }
      ASSERT_TRUE(machine.checkpoint(Index(next)));
      if (rng.chance(0.01)) {
        copy.drop();
        begun = false;
      }
      if (!std::exchange(begun, true)) {
        first = machine.settled_first();
        end = machine.settled_end();
      }
      const auto made = copy.step(machine, rng.below(10 * settled_outcome_bytes));
      ASSERT_TRUE(made);
      if (*made == nullptr) continue;
      begun = false;
      ASSERT_EQ(*all_of(**made), *machine.snapshot());
      grown += machine.settled_end() > end ? 1 : 0;
      shrunk += machine.settled_first() > first ? 1 : 0;
    }
  }
  EXPECT_GT(grown, 50);
  EXPECT_GT(shrunk, 50);
}

// A follower that was behind has the beginning of what a snapshot holds: it is not written again.
TEST(DecisionsOverAnArchive, ASnapshotIsInstalledWhateverWasThere) {
  int reused = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Log log(seed);
    const Log foreign(seed + 500);
    const std::size_t behind = rng.below(log.entries.size());
    const std::size_t ahead = behind + rng.below(log.entries.size() - behind);
    Decisions leader(small_options());
    MemoryArchive archive;
    const ArchivePace pace = any_pace(rng);
    Decisions follower(small_options(), &archive, pace);
    const bool of_the_same = rng.chance(0.7);
    for (std::size_t i = 0; i < ahead; ++i) leader.apply(log.entries[i].first, log.entries[i].second);
    for (std::size_t i = 0; i < behind; ++i) {
      const auto& [context, command] = (of_the_same ? log : foreign).entries[i];
      follower.apply(context, command);
    }
    ASSERT_TRUE(follower.save(Index(behind)));
    const bool had = archive.first() < archive.end();
    const auto kept = had ? archive.chunk_with(archive.first()) : Result<OutcomeChunk>(OutcomeChunk{});
    ASSERT_TRUE(follower.restore(*leader.snapshot(), Index(ahead)));
    ASSERT_NO_FATAL_FAILURE(expect_alike(follower, leader, ahead));
    EXPECT_EQ(archive.mark().applied, Index(ahead));
    if (had && archive.first() < archive.end() && *archive.chunk_with(archive.first()) == *kept) ++reused;
    for (std::size_t i = ahead; i < log.entries.size(); ++i) {
      const auto& [context, command] = log.entries[i];
      ASSERT_EQ(follower.apply(context, command), leader.apply(context, command));
      ASSERT_TRUE(follower.checkpoint(context.index));
    }
    ASSERT_NO_FATAL_FAILURE(expect_alike(follower, leader, log.entries.size()));
    Decisions again(small_options(), &archive, pace);
    const auto loaded = again.load();
    ASSERT_TRUE(loaded) << loaded.error().message;
    for (std::size_t i = loaded->value; i < log.entries.size(); ++i) {
      again.apply(log.entries[i].first, log.entries[i].second);
    }
    ASSERT_NO_FATAL_FAILURE(expect_alike(again, leader, log.entries.size()));
  }
  EXPECT_GT(reused, 3);
}

// The last write of a restore did not happen: the mark is the old one, and chunks of the new lie behind its end.
TEST(DecisionsOverAnArchive, ARestoreThatWasBrokenOffIsNotSeen) {
  MemoryArchive archive;
  const Log log(7);
  {
    Decisions machine(small_options(), &archive, eager);
    for (std::size_t i = 0; i < 100; ++i) machine.apply(log.entries[i].first, log.entries[i].second);
    ASSERT_TRUE(machine.save(Index(100)));
  }
  OutcomeChunk left_over;
  left_over.first = archive.end();
  SettledOutcome record;
  record.txn = txn(4'000, 99);
  record.outcome = Outcome::committed;
  left_over.records = {record, record};
  ASSERT_TRUE(archive.write({.append = {left_over}, .mark = {}}));
  Decisions machine(small_options(), &archive, eager);
  ASSERT_EQ(machine.load(), Index(100));
  EXPECT_FALSE(machine.find(record.txn));
  Decisions memory(small_options());
  for (std::size_t i = 0; i < 100; ++i) memory.apply(log.entries[i].first, log.entries[i].second);
  for (std::size_t i = 100; i < 300; ++i) {
    const auto& [context, command] = log.entries[i];
    ASSERT_EQ(machine.apply(context, command), memory.apply(context, command));
    ASSERT_TRUE(machine.checkpoint(context.index));
  }
  expect_alike(machine, memory, 300);
}

// The last write of a restore from scratch did not happen, and the log begins at its beginning.
TEST(DecisionsOverAnArchive, ARestoreFromScratchThatWasBrokenOffIsNotSeen) {
  MemoryArchive archive;
  OutcomeChunk left_over{.first = 3, .records = {}};
  left_over.records.resize(4);
  left_over.records[1].txn = txn(7, 50);
  ASSERT_TRUE(archive.write({.append = {left_over}, .mark = ArchiveMark{}}));
  const Log log(7);
  Decisions machine(small_options(), &archive, eager);
  ASSERT_EQ(machine.load(), Index(0));
  Decisions memory(small_options());
  for (std::size_t i = 0; i < 300; ++i) {
    const auto& [context, command] = log.entries[i];
    ASSERT_EQ(machine.apply(context, command), memory.apply(context, command));
    ASSERT_TRUE(machine.checkpoint(context.index));
  }
  expect_alike(machine, memory, 300);
}

TEST(DecisionsOverAnArchive, WhatItLacksIsSaidAtTheStart) {
  MemoryArchive archive;
  const Log log(7);
  Decisions machine(small_options(), &archive, eager);
  for (std::size_t i = 0; i < 100; ++i) machine.apply(log.entries[i].first, log.entries[i].second);
  ASSERT_TRUE(machine.save(Index(100)));
  MemoryArchive without_chunks = archive;
  ASSERT_TRUE(without_chunks.write({.drop_from = 0, .append = {}, .mark = {}}));
  MemoryArchive without_sense = archive;
  ASSERT_TRUE(without_sense.write({.append = {}, .mark = ArchiveMark{Index(100), "\x04nonsense"}}));
  for (MemoryArchive* damaged : {&without_chunks, &without_sense}) {
    const auto loaded = Decisions(small_options(), damaged, eager).load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::corruption);
  }
}

TEST(DecisionsOverAnArchive, AFailureOfTheArchiveStands) {
  MemoryArchive archive;
  Decisions machine(small_options(1'000), &archive, eager);
  for (std::uint64_t n = 1; n <= 20; ++n) {
    machine.apply(at(1, n, n), seal(txn(n, n)));
    ASSERT_TRUE(machine.checkpoint(Index(n)));
  }
  EXPECT_TRUE(machine.find(txn(2, 2)));
  ASSERT_FALSE(machine.failure());
  archive.fail_from_now_on();
  EXPECT_TRUE(machine.find(txn(20, 20))) << "in memory";
  EXPECT_FALSE(machine.failure());
  static_cast<void>(machine.find(txn(2, 2)));
  ASSERT_TRUE(machine.failure());
  EXPECT_EQ(machine.failure()->code, ErrorCode::io);
  EXPECT_FALSE(machine.checkpoint(Index(20)));
  EXPECT_FALSE(machine.save(Index(20)));
  EXPECT_FALSE(machine.snapshot());
}

// What begins now asks no disk, and neither does what was settled lately.
TEST(DecisionsOverAnArchive, NewTransactionsAreNotLookedForThere) {
  MemoryArchive archive;
  const ArchivePace pace{.chunk_records = 4, .write_records = 4, .write_entries = 1'000, .recent_records = 50};
  Decisions machine(small_options(100'000), &archive, pace);
  for (std::uint64_t n = 1; n <= 1'000; ++n) {
    const TxnId id = txn(n, n);
    EXPECT_FALSE(machine.find(id));
    machine.apply(at(1, n, n), seal(id));
    ASSERT_TRUE(machine.checkpoint(Index(n)));
    if (n > 20) {
      EXPECT_TRUE(machine.find(txn(n - 20, n - 20)));
    }
  }
  EXPECT_EQ(archive.lookups(), 0U);
  EXPECT_LT(archive.writes(), 300U) << "not one for each entry";
  EXPECT_TRUE(machine.find(txn(1, 1)));
  EXPECT_EQ(archive.lookups(), 1U);
}

TEST(DecisionsOverAnArchive, ForgettingDropsWholeChunks) {
  MemoryArchive archive;
  Decisions machine(small_options(10), &archive, eager);
  std::size_t most = 0;
  for (std::uint64_t n = 1; n <= 1'000; ++n) {
    machine.apply(at(1, n, n * 50), seal(txn(n, n * 50)));
    ASSERT_TRUE(machine.checkpoint(Index(n)));
    most = std::max(most, archive.chunks());
  }
  EXPECT_EQ(machine.records(), 10U);
  EXPECT_LT(most, 10U);
  EXPECT_FALSE(machine.find(txn(5, 250)));
  EXPECT_TRUE(machine.may_be_forgotten(txn(5, 250)));
}

// ---- what earlier builds wrote ----

Bytes old_snapshot(std::uint8_t version, const std::vector<SettledOutcome>& records) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(version).u64(start_millis + 500).u64(1);
  out.txn(txn(900, 400));
  write(out, Attempt{Epoch(2), 9});
  out.u8(static_cast<std::uint8_t>(Protocol::two_phase)).u64(7).u64(start_millis + 400);
  write(out, std::vector<GroupId>{shard_1, shard_2});
  if (version >= 4) out.u32(1).bytes("mail").bytes("here").bytes("there");
  if (version >= 6) out.u8(1).u8(0).u8(0);  // committed, for no reason, atomic
  out.u8(1).u64(start_millis + 3);
  if (version < 5) out.u64(records.size());
  if (version >= 5) out.u64(0).u64(0).u64(records.size());
  for (const SettledOutcome& record : records) {
    out.txn(record.txn);
    write(out, record.attempt);
    out.u64(record.fingerprint).id(record.decided_at).u8(static_cast<std::uint8_t>(record.outcome));
    out.u8(static_cast<std::uint8_t>(record.protocol)).u8(static_cast<std::uint8_t>(record.reason));
  }
  if (version >= 3) out.u64(0);
  if (version < 6) return bytes;
  out.u64(1).txn(txn(901, 401));
  write(out, Attempt{Epoch(2), 10});
  out.u8(static_cast<std::uint8_t>(Mode::saga)).u64(8);
  write(out, std::vector<GroupId>{shard_1});
  out.u32(0);
  return bytes;
}

TEST(DecisionsOverAnArchive, ASnapshotOfAnEarlierBuildIsTakenOver) {
  std::vector<SettledOutcome> records;
  for (std::uint64_t n = 0; n < 50; ++n) {
    SettledOutcome& record = records.emplace_back();
    record.txn = txn(n, 10 + n);
    record.attempt = {Epoch(1), n};
    record.fingerprint = n * n;
    record.decided_at = ClusterMillis(start_millis + 20 + n);
    record.outcome = n % 2 == 0 ? Outcome::committed : Outcome::aborted;
    record.protocol = Protocol::two_phase;
    record.reason = n % 2 == 0 ? AbortReason::none : AbortReason::timeout;
  }
  for (const std::uint8_t version : std::array<std::uint8_t, 6>{1, 2, 3, 4, 5, 6}) {
    SCOPED_TRACE(version);
    const Bytes old = old_snapshot(version, records);
    MemoryArchive archive;
    Decisions machine(small_options(1'000), &archive, eager);
    ASSERT_EQ(machine.load(), Index(0));
    const auto restored = machine.restore(old, Index(80));
    ASSERT_TRUE(restored) << restored.error().message;
    Decisions again(small_options(1'000), &archive, eager);
    ASSERT_EQ(again.load(), Index(80));
    Decisions memory(small_options(1'000));
    ASSERT_TRUE(memory.restore(old));
    for (const Decisions* one : std::array<const Decisions*, 3>{&machine, &again, &memory}) {
      for (const SettledOutcome& record : records) EXPECT_EQ(one->find(record.txn), record);
      EXPECT_TRUE(one->committed(txn(900, 400), {Epoch(2), 9}));
      EXPECT_EQ(one->open().at(txn(900, 400)).services.size(), version >= 4 ? 1U : 0U);
      EXPECT_EQ(one->begun().size(), version >= 6 ? 1U : 0U);
      EXPECT_TRUE(one->may_be_forgotten(txn(1, 3)));
      EXPECT_EQ(one->digest(), memory.digest());
    }
    EXPECT_GT(archive.end(), 40U) << "they are in the archive now";
  }
}

TEST(DecisionsOverAnArchive, AnArchivesOwnBytesAreNoSnapshot) {
  MemoryArchive archive;
  Decisions machine(small_options(), &archive, eager);
  for (std::uint64_t n = 1; n <= 20; ++n) {
    machine.apply(at(1, n, n), seal(txn(n, n)));
  }
  ASSERT_TRUE(machine.save(Index(20)));
  Decisions other(small_options());
  const auto restored = other.restore(archive.mark().machine);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::corruption);
  EXPECT_EQ(summarize_machine(archive.mark().machine)->settled, 20U);
}

}  // namespace
}  // namespace assent
