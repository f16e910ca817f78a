// A coordinator's archive as a file: what a restart finds, what damage does, and what is not taken for one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "coordinator/decisions.h"
#include "sql_adapter/sqlite_archive.h"
#include "support.h"

namespace assent::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr std::uint64_t start_millis = 1'800'000'000'000;
constexpr ArchivePace pace{.chunk_records = 4, .write_records = 4, .write_entries = 16, .recent_records = 2};

TxnId id(std::uint64_t n) { return TxnId::make(ClusterMillis(start_millis + n), n, 0); }

SqliteArchiveOptions at(const std::string& path, bool read_only = false) {
  SqliteArchiveOptions options;
  options.path = path;
  options.read_only = read_only;
  return options;
}

void settle(Decisions& machine, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t n = from; n <= to; ++n) {
    const OutcomeNote note{id(n), n, n % 2 == 0, Protocol::paxos_commit,
                           n % 2 == 0 ? AbortReason::none : AbortReason::timeout};
    machine.apply({Epoch(1), Index(n), ClusterMillis(start_millis + n)}, NoteOutcomes{{note}});
    ASSERT_TRUE(machine.checkpoint(Index(n)));
  }
}

Bytes contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return std::move(bytes).str();
}

TEST(ArchiveFile, ARestartFindsWhatWasWritten) {
  const Directory directory;
  const std::string path = directory.file("c0.db");
  std::uint64_t digest = 0;
  {
    auto archive = SqliteArchive::open(at(path));
    ASSERT_TRUE(archive) << archive.error().message;
    Decisions machine({}, archive->get(), pace);
    settle(machine, 1, 100);
    ASSERT_TRUE(machine.save(Index(100)));
    digest = machine.digest();
  }
  auto archive = SqliteArchive::open(at(path));
  ASSERT_TRUE(archive) << archive.error().message;
  Decisions machine({}, archive->get(), pace);
  ASSERT_EQ(machine.load(), Index(100));
  EXPECT_EQ(machine.digest(), digest);
  for (std::uint64_t n = 1; n <= 100; ++n) {
    ASSERT_TRUE(machine.find(id(n))) << n;
    EXPECT_EQ(machine.find(id(n))->outcome, n % 2 == 0 ? Outcome::committed : Outcome::aborted);
  }
  EXPECT_FALSE(machine.find(id(101)));
  settle(machine, 101, 150);
  EXPECT_EQ(machine.records(), 150U);
}

TEST(ArchiveFile, CanBeLookedAtWithoutBeingChanged) {
  const Directory directory;
  const std::string path = directory.file("c0.db");
  EXPECT_FALSE(SqliteArchive::open(at(path, true))) << "there is none";
  EXPECT_FALSE(std::filesystem::exists(path));
  {
    auto archive = SqliteArchive::open(at(path));
    Decisions machine({}, archive->get(), pace);
    settle(machine, 1, 30);
  }
  const Bytes before = contents(path);
  {
    auto archive = SqliteArchive::open(at(path, true));
    ASSERT_TRUE(archive) << archive.error().message;
    const auto summary = summarize_machine((*archive)->mark().machine);
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->settled, (*archive)->mark().applied.value);
    EXPECT_FALSE((*archive)->write({.append = {}, .mark = ArchiveMark{Index(1), "x"}}));
  }
  EXPECT_EQ(contents(path), before);
}

TEST(ArchiveFile, RefusesFilesThatAreNotItsOwn) {
  const Directory directory;
  std::ofstream(directory.file("text.db")) << std::string(5'000, 'x');
  auto opened = SqliteArchive::open(at(directory.file("text.db")));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);

  open_store([&] {
    SqliteOptions options;
    options.path = directory.file("shard.db");
    return options;
  }())
      .reset();
  opened = SqliteArchive::open(at(directory.file("shard.db")));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);
  EXPECT_THAT(opened.error().message, HasSubstr("not one of a coordinator"));

  ASSERT_TRUE(SqliteArchive::open(at(directory.file("newer.db"))));
  ASSERT_TRUE((*sql::Database::open(directory.file("newer.db")))->execute("PRAGMA user_version=2"));
  opened = SqliteArchive::open(at(directory.file("newer.db")));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::unsupported);

  opened = SqliteArchive::open(at(directory.file("no/such/directory.db")));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::io);
}

class DamagedArchive : public ::testing::Test {
 protected:
  DamagedArchive() {
    {
      auto archive = SqliteArchive::open(at(path_));
      Decisions machine({}, archive->get(), pace);
      settle(machine, 1, 200);
      EXPECT_TRUE(machine.save(Index(200)));
    }
    good_ = contents(path_);
    EXPECT_GT(good_.size(), 8'192U);
  }
  void refuse(const Error& error) {
    ++refused_;
    EXPECT_THAT(error.code, AnyOf(ErrorCode::corruption, ErrorCode::unsupported, ErrorCode::io));
    if (error.code != ErrorCode::unsupported) {
      EXPECT_THAT(error.message, AnyOf(HasSubstr(path_), HasSubstr("archive")));
    }
  }
  // What is answered is right, or not found; everything else is an error.
  void use(const Bytes& bytes) {
    for (const char* ending : {"-wal", "-shm", "-journal"}) std::filesystem::remove(path_ + ending);
    std::ofstream(path_, std::ios::binary) << bytes;
    auto archive = SqliteArchive::open(at(path_));
    if (!archive) return refuse(archive.error());
    Decisions machine({}, archive->get(), pace);
    if (const auto loaded = machine.load(); !loaded) return refuse(loaded.error());
    for (std::uint64_t n = 1; n <= 200; ++n) {
      const auto found = machine.find(id(n));
      if (machine.failure()) return refuse(*machine.failure());
      if (!found) continue;
      EXPECT_EQ(found->fingerprint, n);
      EXPECT_EQ(found->outcome, n % 2 == 0 ? Outcome::committed : Outcome::aborted) << n;
    }
    static_cast<void>(machine.snapshot());
    static_cast<void>(machine.save(Index(201)));
  }

  Directory folder_;
  std::string path_ = folder_.file("c0.db");
  Bytes good_;
  int refused_ = 0;
};

TEST_F(DamagedArchive, B08_bytes_changed) {
  for (std::size_t at = 0; at < good_.size(); at += at < 100 ? 5 : 251) {
    Bytes bytes = good_;
    bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ 0x5AU);
    SCOPED_TRACE(at);
    use(bytes);
    if (HasFailure()) return;
  }
  EXPECT_GT(refused_, 20);
}

TEST_F(DamagedArchive, B09_cut_short) {
  for (std::size_t size = 1; size < good_.size(); size += 173) {
    SCOPED_TRACE(size);
    use(good_.substr(0, size));
    if (HasFailure()) return;
  }
  EXPECT_GT(refused_, 10);
}

}  // namespace
}  // namespace assent::testing
