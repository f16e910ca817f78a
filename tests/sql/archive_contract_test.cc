// What coordinator/outcome_archive.h promises, held against each archive that there is.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "coordinator/memory_archive.h"
#include "sql_adapter/sqlite_archive.h"
#include "support.h"

namespace assent::testing {
namespace {

struct Memory {
  static std::unique_ptr<OutcomeArchive> make() { return std::make_unique<MemoryArchive>(); }
};
struct Sqlite {
  static std::unique_ptr<OutcomeArchive> make() { return std::move(*SqliteArchive::open({})); }
};

SettledOutcome record_of(std::uint64_t n) {
  SettledOutcome record;
  record.txn = TxnId::make(ClusterMillis(1'800'000'000'000 + n * 7 % 1'000), n, n << 12U);
  record.attempt = {Epoch(n % 5), n};
  record.fingerprint = n * 0x9E3779B97F4A7C15ULL;
  record.decided_at = ClusterMillis(n);
  record.outcome = n % 3 == 0 ? Outcome::aborted : Outcome::committed;
  record.protocol = Protocol::paxos_commit;
  record.reason = n % 3 == 0 ? AbortReason::timeout : AbortReason::none;
  return record;
}

OutcomeChunk chunk(std::uint64_t first, std::size_t size) {
  OutcomeChunk made{.first = first, .records = {}};
  for (std::size_t i = 0; i < size; ++i) made.records.push_back(record_of(first + i));
  return made;
}

template <class Kind>
class ArchiveContract : public ::testing::Test {
 protected:
  void has(std::uint64_t sequence) {
    const auto found = archive->find(record_of(sequence).txn);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_TRUE(found->has_value()) << sequence;
    EXPECT_EQ((*found)->sequence, sequence);
    EXPECT_EQ((*found)->record, record_of(sequence));
  }
  void lacks(std::uint64_t sequence) {
    const auto found = archive->find(record_of(sequence).txn);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_FALSE(found->has_value()) << sequence;
  }

  std::unique_ptr<OutcomeArchive> archive = Kind::make();
};
using Kinds = ::testing::Types<Memory, Sqlite>;
TYPED_TEST_SUITE(ArchiveContract, Kinds);

TYPED_TEST(ArchiveContract, BeginsEmpty) {
  EXPECT_EQ(this->archive->mark(), ArchiveMark{});
  EXPECT_EQ(this->archive->first(), this->archive->end());
  EXPECT_EQ(*this->archive->newest(), TxnId());
  this->lacks(3);
}

TYPED_TEST(ArchiveContract, KeepsChunksAndMark) {
  ASSERT_TRUE(this->archive->write({.append = {chunk(5, 3), chunk(8, 1)}, .mark = ArchiveMark{Index(9), "machine"}}));
  EXPECT_EQ(this->archive->first(), 5U);
  EXPECT_EQ(this->archive->end(), 9U);
  EXPECT_EQ(this->archive->mark(), (ArchiveMark{Index(9), "machine"}));
  for (const std::uint64_t sequence : {5U, 6U, 7U, 8U}) this->has(sequence);
  EXPECT_EQ(*this->archive->chunk_with(6), chunk(5, 3));
  EXPECT_EQ(*this->archive->chunk_with(8), chunk(8, 1));
  EXPECT_EQ(*this->archive->newest(), record_of(8).txn);
  ASSERT_TRUE(this->archive->write({.append = {chunk(9, 2)}, .mark = {}, .sync = true}));
  EXPECT_EQ(this->archive->mark(), (ArchiveMark{Index(9), "machine"})) << "as it was";
  EXPECT_EQ(this->archive->end(), 11U);
}

TYPED_TEST(ArchiveContract, DropsWholeChunksFromBothEnds) {
  ASSERT_TRUE(this->archive->write({.append = {chunk(0, 4), chunk(4, 4), chunk(8, 4), chunk(12, 4)}, .mark = {}}));
  ASSERT_TRUE(this->archive->write({.drop_before = 6, .append = {}, .mark = {}}));
  EXPECT_EQ(this->archive->first(), 4U) << "a chunk with one live record stays";
  this->lacks(3);
  this->has(4);
  ASSERT_TRUE(this->archive->write({.drop_from = 12, .append = {}, .mark = {}}));
  EXPECT_EQ(this->archive->end(), 12U);
  this->lacks(12);
  this->has(11);
  ASSERT_TRUE(this->archive->write({.drop_before = 8, .append = {chunk(12, 1)}, .mark = {}}));
  EXPECT_EQ(this->archive->first(), 8U);
  EXPECT_EQ(this->archive->end(), 13U);
  ASSERT_TRUE(this->archive->write({.drop_before = 20, .append = {chunk(20, 2)}, .mark = {}}));
  EXPECT_EQ(this->archive->first(), 20U) << "nothing of the old is left, and the new begins where it likes";
  this->has(21);
  ASSERT_TRUE(this->archive->write({.drop_from = 0, .append = {}, .mark = ArchiveMark{}}));
  EXPECT_EQ(this->archive->first(), this->archive->end());
  this->lacks(21);
}

TYPED_TEST(ArchiveContract, WhatIsNotThereIsSaid) {
  ASSERT_TRUE(this->archive->write({.append = {chunk(5, 3)}, .mark = {}}));
  for (const std::uint64_t sequence : {4U, 8U}) {
    const auto found = TypeParam::make()->chunk_with(sequence);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::corruption);
  }
  const auto behind = this->archive->chunk_with(8);
  ASSERT_FALSE(behind);
  EXPECT_EQ(behind.error().code, ErrorCode::corruption);
}

// The dumb twin and the other, through the same writes.
TEST(ArchiveTwins, AgreeOnEveryAnswer) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Rng rng(seed);
    auto one = Memory::make();
    auto other = Sqlite::make();
    std::uint64_t end = rng.below(100);
    std::uint64_t first = end;
    for (int step = 0; step < 60; ++step) {
      ArchiveWrite write;
      if (rng.chance(0.3)) write.drop_before = first = first + rng.below(end - first + 1);
      if (rng.chance(0.05)) write.drop_from = 0;
      for (std::uint64_t n = rng.below(4); n > 0; --n) {
        write.append.push_back(chunk(end, rng.between(1, 5)));
        end = write.append.back().end();
      }
      if (rng.chance(0.5)) write.mark = ArchiveMark{Index(rng.below(99)), Bytes(rng.below(50), 'm')};
      ASSERT_TRUE(one->write(write));
      ASSERT_TRUE(other->write(write));
      ASSERT_EQ(one->first(), other->first());
      ASSERT_EQ(one->end(), other->end());
      ASSERT_EQ(one->mark(), other->mark());
      ASSERT_EQ(*one->newest(), *other->newest());
      for (std::uint64_t sequence = one->first(); sequence < one->end(); ++sequence) {
        ASSERT_EQ(*one->chunk_with(sequence), *other->chunk_with(sequence));
      }
      for (int n = 0; n < 10; ++n) {
        const TxnId txn = record_of(rng.below(end + 5)).txn;
        ASSERT_EQ(*one->find(txn), *other->find(txn));
      }
    }
  }
}

}  // namespace
}  // namespace assent::testing
