// A coordinator's archive on a disk that loses power, tears pages and fails reads: with the log behind it, nothing is
// missing or there twice.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "coordinator/decisions.h"
#include "sim/sim_vfs.h"
#include "sql_adapter/sqlite_archive.h"

namespace assent {
namespace {

constexpr std::uint64_t start_millis = 1'800'000'000'000;

TxnId id(std::uint64_t n) { return TxnId::make(ClusterMillis(start_millis + n), n, 0); }

// A coordinator's machine over a file on a simulated disk.
class MachineOnDisk {
 public:
  explicit MachineOnDisk(std::uint64_t seed, std::size_t records_max = 150)
      : disk_(seed), vfs_(disk_, seed), records_max_(records_max) {}
  ~MachineOnDisk() { end(); }

  [[nodiscard]] Result<Index> open(const ArchivePace& pace, int wal_pages_max) {
    SqliteArchiveOptions file;
    file.path = "c0.db";
    file.vfs = vfs_.name();
    file.wal_pages_max = wal_pages_max;
    auto opened = SqliteArchive::open(file);
    if (!opened) return fail(opened.error());
    archive_ = std::move(*opened);
    machine_.emplace(options(records_max_), archive_.get(), pace);
    return machine_->load();
  }
  [[nodiscard]] static DecisionsOptions options(std::size_t records_max = 150) {
    DecisionsOptions options;
    options.window.retention_millis = 100;
    options.history.records_max = records_max;
    return options;
  }
  void crash(CrashKind kind) {
    end();
    disk_.crash(kind);
  }
  Decisions* operator->() { return &*machine_; }
  [[nodiscard]] SqliteArchive& archive() { return *archive_; }
  SimDisk& disk() { return disk_; }

 private:
  void end() {
    vfs_.cut();
    machine_.reset();
    archive_.reset();
    vfs_.mend();
  }

  SimDisk disk_;
  SimVfs vfs_;
  std::size_t records_max_;
  std::unique_ptr<SqliteArchive> archive_;
  std::optional<Decisions> machine_;
};

Decisions::Applied settle(Decisions& machine, std::uint64_t n) {
  const OutcomeNote note{id(n), n, true, Protocol::paxos_commit, AbortReason::none};
  return machine.apply({Epoch(1), Index(n), ClusterMillis(start_millis + n)}, NoteOutcomes{{note}});
}

ArchivePace any_pace(Rng& rng) {
  return {.chunk_records = rng.between(1, 6),
          .write_records = rng.between(1, 12),
          .write_entries = rng.between(1, 30),
          .recent_records = rng.below(5)};
}

constexpr std::uint64_t length = 400;

// As of every applied index.
std::vector<std::uint64_t> digests_without_a_disk() {
  Decisions machine(MachineOnDisk::options());
  std::vector<std::uint64_t> digests{machine.digest()};
  for (std::uint64_t n = 1; n <= length; ++n) {
    settle(machine, n);
    digests.push_back(machine.digest());
  }
  return digests;
}

TEST(ArchiveOnSimulatedDisk, OutcomesAndAppliedIndexNeverPart) {
  const std::vector<std::uint64_t> digests = digests_without_a_disk();
  int losses = 0;
  int kept = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    MachineOnDisk machine(seed);
    std::uint64_t applied = 0;
    std::uint64_t saved = 0;
    const auto reopen = [&] {
      const auto opened = machine.open(any_pace(rng), static_cast<int>(rng.between(1, 30)));
      ASSERT_TRUE(opened) << opened.error().message;
      ASSERT_GE(opened->value, saved) << "what was saved is durable";
      losses += opened->value < applied ? 1 : 0;
      applied = opened->value;
      ASSERT_EQ(machine->digest(), digests[applied]) << "applied " << applied;
    };
    reopen();
    while (applied < length && !HasFatalFailure()) {
      if (rng.chance(0.1)) machine.disk().cut_power_after(rng.below(20));
      settle(*machine.operator->(), applied + 1);
      const bool saves = rng.chance(0.03);
      const bool done =
          !machine->failure() && (saves ? machine->save(Index(applied + 1)) : machine->checkpoint(Index(applied + 1)));
      ASSERT_TRUE(done || machine.disk().power_is_off());
      applied += 1;
      if (done && saves && !machine.disk().power_is_off()) saved = applied, ++kept;
      if (!done || machine.disk().power_is_off() || rng.chance(0.03)) {
        machine.crash(done && rng.chance(0.5) && !machine.disk().power_is_off() ? CrashKind::process
                                                                                : CrashKind::power);
        reopen();
      }
    }
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_EQ(machine->digest(), digests.back());
    ASSERT_FALSE(machine->failure());
  }
  EXPECT_GT(losses, 20) << "a power loss must take something away";
  EXPECT_GT(kept, 20);
}

// An outcome that could not be read is not one that was not found.
TEST(ArchiveOnSimulatedDisk, AFailedReadStands) {
  const ArchivePace pace{.chunk_records = 50, .write_records = 50, .write_entries = 200, .recent_records = 0};
  MachineOnDisk machine(1, 10'000);
  ASSERT_TRUE(machine.open(pace, 1));
  for (std::uint64_t n = 1; n <= 3'000; ++n) {
    settle(*machine.operator->(), n);
    ASSERT_TRUE(machine->checkpoint(Index(n)));
  }
  machine.crash(CrashKind::process);
  ASSERT_TRUE(machine.open(pace, 1));  // with little in SQLite's cache
  machine.disk().fail_next_read();
  EXPECT_FALSE(machine->find(id(3)));
  ASSERT_TRUE(machine->failure());
  EXPECT_EQ(machine->failure()->code, ErrorCode::io);
  EXPECT_FALSE(machine->checkpoint(Index(3'001)));
  machine.crash(CrashKind::process);
  ASSERT_TRUE(machine.open(pace, 1));
  EXPECT_TRUE(machine->find(id(3)));
}

}  // namespace
}  // namespace assent
