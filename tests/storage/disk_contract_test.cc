// What every Disk must do (storage/disk.h), run over the posix and the simulated one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "server/posix_disk.h"
#include "server/spare_file.h"
#include "sim/sim_disk.h"
#include "storage/wal.h"
#include "tests/storage/wal_model.h"

namespace assent::storage_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A new folder that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "assent-disk-XXXXXX").string();
    path_ = ::mkdtemp(name.data()) == nullptr ? "" : name;
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Counts wake-ups, and waits for the next.
class Doorbell {
 public:
  void ring() {
    {
      const std::lock_guard lock(mutex_);
      ++rings_;
    }
    rang_.notify_one();
  }
  void wait_beyond(std::uint64_t seen) {
    std::unique_lock lock(mutex_);
    rang_.wait(lock, [&] { return rings_ > seen; });
  }
  [[nodiscard]] std::uint64_t rings() {
    const std::lock_guard lock(mutex_);
    return rings_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable rang_;
  std::uint64_t rings_ = 0;
};

// A disk with its surroundings; next() gives at least one completion.
class Rig {
 public:
  virtual ~Rig() = default;
  virtual Disk& disk() = 0;
  virtual std::vector<IoCompletion> next() = 0;
};

class SimRig final : public Rig {
 public:
  Disk& disk() override { return disk_; }
  std::vector<IoCompletion> next() override {
    if (const auto at = disk_.next_completion()) disk_.advance(*at);
    return disk_.poll();
  }

 private:
  SimDisk disk_{5, {.write_micros_min = 10, .write_micros_max = 20, .sync_micros_min = 100, .sync_micros_max = 200}};
};

class PosixRig final : public Rig {
 public:
  explicit PosixRig(PosixDisk::Begin begin) {
    disk_ = PosixDisk::open(
                folder_.path() + "/new/data", [this] { bell_.ring(); }, begin)
                .value();
  }
  Disk& disk() override { return *disk_; }
  std::vector<IoCompletion> next() override {
    if (disk_->start(Disk::Meanwhile::waits)) return disk_->poll();
    while (true) {
      const std::uint64_t seen = bell_.rings();
      if (auto done = disk_->poll(); !done.empty()) return done;
      bell_.wait_beyond(seen);
    }
  }

 private:
  TemporaryFolder folder_;
  Doorbell bell_;
  std::unique_ptr<PosixDisk> disk_;
};

using RigFactory = std::function<std::unique_ptr<Rig>()>;

class DiskContract : public ::testing::TestWithParam<std::pair<const char*, RigFactory>> {
 protected:
  Disk& disk() { return rig_->disk(); }
  // The next n completions, in order.
  std::vector<IoCompletion> wait_for(std::size_t n) {
    std::vector<IoCompletion> all;
    while (all.size() < n) {
      for (IoCompletion& completion : rig_->next()) all.push_back(std::move(completion));
    }
    EXPECT_EQ(all.size(), n);
    return all;
  }

  std::unique_ptr<Rig> rig_ = GetParam().second();
};

TEST_P(DiskContract, WriteSyncRead) {
  const FileId file = disk().open("f", 0).value();
  disk().write(file, 3, "abc", IoToken(1));
  disk().sync(file, IoToken(2));
  const auto done = wait_for(2);
  EXPECT_EQ(done[0].token, IoToken(1));
  EXPECT_EQ(done[1].token, IoToken(2));
  EXPECT_FALSE(done[0].error);
  EXPECT_FALSE(done[1].error);
  EXPECT_EQ(disk().size("f").value(), 6U);
  EXPECT_EQ(disk().read("f", 0, 100).value(), Bytes("\0\0\0abc", 6));
  EXPECT_EQ(disk().read("f", 4, 1).value(), "b");
  EXPECT_EQ(disk().read("f", 6, 10).value(), "");
  EXPECT_EQ(disk().read("f", 99, ~0ULL).value(), "");
  disk().close(file);
}

TEST_P(DiskContract, WriteThenSync) {
  const FileId file = disk().open("f", 0).value();
  disk().write_then_sync(file, 2, "abc", IoToken(1), IoToken(2));
  const auto done = wait_for(2);
  EXPECT_EQ(done[0].token, IoToken(1));
  EXPECT_EQ(done[1].token, IoToken(2));
  EXPECT_EQ(disk().read("f", 2, 9).value(), "abc");
  disk().close(file);
  disk().write_then_sync(file, 2, "abc", IoToken(3), IoToken(4));
  for (const IoCompletion& completion : wait_for(2)) EXPECT_TRUE(completion.error);
}

TEST_P(DiskContract, OrderIsThatOfTheCalls) {
  const FileId a = disk().open("a", 0).value();
  const FileId b = disk().open("b", 0).value();
  std::vector<std::uint64_t> wanted;
  for (std::uint64_t i = 1; i <= 200; ++i) {
    const FileId file = i % 3 == 0 ? a : b;
    if (i % 5 == 0) {
      disk().sync(file, IoToken(i));
    } else {
      disk().write(file, 0, fmt::format("{:06}", i), IoToken(i));
    }
    wanted.push_back(i);
  }
  std::vector<std::uint64_t> order;
  for (const IoCompletion& completion : wait_for(200)) order.push_back(completion.token.value);
  EXPECT_EQ(order, wanted);
  EXPECT_EQ(disk().read("b", 0, 6).value(), "000199");
  EXPECT_EQ(disk().read("a", 0, 6).value(), "000198");
}

TEST_P(DiskContract, ReservedBytesAreZeros) {
  const FileId file = disk().open("f", 10'000).value();
  EXPECT_EQ(disk().size("f").value(), 10'000U);
  EXPECT_EQ(disk().read("f", 9'990, 100).value(), Bytes(10, '\0'));
  disk().write(file, 9'999, "xy", IoToken(1));
  wait_for(1);
  EXPECT_EQ(disk().size("f").value(), 10'001U);
}

TEST_P(DiskContract, OpeningAgainKeepsTheContent) {
  FileId file = disk().open("f", 8).value();
  ASSERT_TRUE(disk().write_durably(file, 0, "content!"));
  disk().close(file);
  file = disk().open("f", 100).value();
  EXPECT_EQ(disk().read("f", 0, 100).value(), "content!");
}

TEST_P(DiskContract, ClosingDoesNotLoseWhatWasHandedIn) {
  const FileId file = disk().open("f", 0).value();
  disk().write(file, 0, "abc", IoToken(1));
  disk().sync(file, IoToken(2));
  disk().close(file);
  for (const IoCompletion& completion : wait_for(2)) EXPECT_FALSE(completion.error);
  EXPECT_EQ(disk().read("f", 0, 9).value(), "abc");
}

TEST_P(DiskContract, FilesThatAreNotThere) {
  EXPECT_EQ(disk().read("nope", 0, 1).error().code, ErrorCode::not_found);
  EXPECT_EQ(disk().size("nope").error().code, ErrorCode::not_found);
  EXPECT_EQ(disk().remove("nope").error().code, ErrorCode::not_found);
  EXPECT_EQ(disk().rename("nope", "other").error().code, ErrorCode::not_found);
  EXPECT_EQ(disk().truncate("nope", 0).error().code, ErrorCode::not_found);
  EXPECT_EQ(disk().sync_directory("nope").error().code, ErrorCode::not_found);
  EXPECT_EQ(disk().open("nope/file", 0).error().code, ErrorCode::not_found);
  EXPECT_THAT(disk().read("nope", 0, 1).error().message, HasSubstr("nope"));
  EXPECT_THAT(disk().list("nope").value(), IsEmpty());
}

TEST_P(DiskContract, OperationsOnAFileThatIsNotOpenFail) {
  disk().write(FileId(99), 0, "x", IoToken(1));
  disk().sync(FileId(99), IoToken(2));
  for (const IoCompletion& completion : wait_for(2)) EXPECT_TRUE(completion.error);
  EXPECT_FALSE(disk().write_durably(FileId(99), 0, "x"));
}

TEST_P(DiskContract, Folders) {
  ASSERT_TRUE(disk().make_folder("d"));
  ASSERT_TRUE(disk().make_folder("d"));
  ASSERT_TRUE(disk().make_folder("d/e"));
  ASSERT_TRUE(disk().open("d/z", 0));
  ASSERT_TRUE(disk().open("d/a", 0));
  ASSERT_TRUE(disk().open("d/e/hidden", 0));
  EXPECT_THAT(disk().list("d").value(), ElementsAre("a", "e", "z"));
  EXPECT_THAT(disk().list("d/e").value(), ElementsAre("hidden"));
  ASSERT_TRUE(disk().sync_directory("d"));
  ASSERT_TRUE(disk().sync_directory(""));
}

TEST_P(DiskContract, RenameReplacesAndRemoveRemoves) {
  const FileId a = disk().open("a", 0).value();
  ASSERT_TRUE(disk().write_durably(a, 0, "A"));
  const FileId b = disk().open("b", 0).value();
  ASSERT_TRUE(disk().write_durably(b, 0, "B"));
  ASSERT_TRUE(disk().rename("a", "b"));
  EXPECT_EQ(disk().read("b", 0, 9).value(), "A");
  EXPECT_EQ(disk().size("a").error().code, ErrorCode::not_found);
  ASSERT_TRUE(disk().remove("b"));
  EXPECT_EQ(disk().size("b").error().code, ErrorCode::not_found);
}

TEST_P(DiskContract, TruncateCuts) {
  const FileId file = disk().open("f", 50).value();
  ASSERT_TRUE(disk().write_durably(file, 0, "0123456789"));
  ASSERT_TRUE(disk().truncate("f", 4));
  EXPECT_EQ(disk().size("f").value(), 4U);
  EXPECT_EQ(disk().read("f", 0, 99).value(), "0123");
}

// The WAL on each of them, with restarts that find the same.
TEST_P(DiskContract, CarriesALog) {
  Model model;
  Rng rng(3);
  for (int life = 0; life < 4; ++life) {
    WalRecovery recovered;
    auto wal = Wal::open(disk(), small_options(16'384, 512), recovered);
    ASSERT_TRUE(wal) << wal.error().message;
    EXPECT_EQ(model_of(recovered), model);
    for (int i = 0; i < 40; ++i) {
      const auto batch = random_batch(rng, model, static_cast<std::uint64_t>(life) + 1);
      ASSERT_TRUE((*wal)->submit(batch));
      while (!(*wal)->idle()) {
        for (const IoCompletion& completion : rig_->next()) EXPECT_TRUE((*wal)->completed(completion));
        ASSERT_FALSE((*wal)->failure());
      }
      model.apply(batch);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Disks, DiskContract,
    ::testing::Values(
        std::pair<const char*, RigFactory>("Posix",
                                           [] { return std::make_unique<PosixRig>(PosixDisk::Begin::at_once); }),
        std::pair<const char*, RigFactory>("PosixGathering",
                                           [] { return std::make_unique<PosixRig>(PosixDisk::Begin::on_start); }),
        std::pair<const char*, RigFactory>("Sim", [] { return std::make_unique<SimRig>(); })),
    [](const auto& rig) { return std::string(rig.param.first); });

// ---- the posix disk alone ----

TEST(PosixDiskTest, LocksItsFolder) {
  const TemporaryFolder folder;
  auto first = PosixDisk::open(folder.path(), {});
  ASSERT_TRUE(first);
  const auto second = PosixDisk::open(folder.path(), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::refused);
  EXPECT_THAT(second.error().message, HasSubstr(folder.path()));
  EXPECT_THAT(second.error().message, HasSubstr(fmt::format("pid {}", ::getpid())));
  EXPECT_TRUE(PosixDisk::open_for_reading(folder.path()));
  first->reset();
  EXPECT_TRUE(PosixDisk::open(folder.path(), {}));
}

TEST(PosixDiskTest, ReadingOnlyChangesNothing) {
  const TemporaryFolder folder;
  auto disk = PosixDisk::open_for_reading(folder.path());
  ASSERT_TRUE(disk);
  Disk& seam = **disk;
  EXPECT_EQ(seam.open("f", 0).error().code, ErrorCode::refused);
  EXPECT_EQ(seam.make_folder("d").error().code, ErrorCode::refused);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(PosixDisk::open_for_reading(folder.path() + "/nope").error().code, ErrorCode::not_found);
}

TEST(PosixDiskTest, FolderThatCannotBe) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/file") << "x";
  const auto disk = PosixDisk::open(folder.path() + "/file/data", {});
  ASSERT_FALSE(disk);
  EXPECT_THAT(disk.error().message, HasSubstr(folder.path() + "/file/data"));
  EXPECT_THAT(disk.error().message, HasSubstr("Not a directory"));
}

TEST(PosixDiskTest, GathersUntilItIsStarted) {
  const TemporaryFolder folder;
  Doorbell bell;
  const auto disk = PosixDisk::open(
                        folder.path(), [&] { bell.ring(); }, PosixDisk::Begin::on_start)
                        .value();
  Disk& seam = *disk;
  const FileId file = seam.open("f", 64 << 10).value();
  for (std::uint64_t i = 1; i <= 50; ++i) {
    const Bytes block(4096, static_cast<char>('a' + i % 26));
    seam.write_then_sync(file, (i % 16) * 4096, block, IoToken(2 * i), IoToken(2 * i + 1));
    EXPECT_TRUE(seam.poll().empty());
    std::vector<IoCompletion> done;
    const auto meanwhile = i % 3 == 0 ? Disk::Meanwhile::works : Disk::Meanwhile::waits;
    if (seam.start(meanwhile)) {
      EXPECT_EQ(meanwhile, Disk::Meanwhile::waits) << "who has work to do is not held up";
      done = seam.poll();
      ASSERT_EQ(done.size(), 2U) << "it finished all of it";
    }
    while (done.size() < 2) {
      const std::uint64_t seen = bell.rings();
      for (IoCompletion& one : seam.poll()) done.push_back(std::move(one));
      if (done.size() < 2) bell.wait_beyond(seen);
    }
    EXPECT_EQ(done[0].token, IoToken(2 * i));
    EXPECT_EQ(done[1].token, IoToken(2 * i + 1));
    EXPECT_FALSE(done[0].error || done[1].error);
    EXPECT_EQ(seam.read("f", (i % 16) * 4096, 4096).value(), block);
  }
}

TEST(SpareFileTest, IsReadyWhenItsZerosAreWritten) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/spare";
  std::ofstream(path) << "left over";
  SpareFile spare(path);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(spare.take(folder.path() + "/a", 3 << 20));
  spare.prepare(3 << 20);
  spare.prepare(3 << 20);  // one is being made already
  while (!spare.take(folder.path() + "/a", 3 << 20)) std::this_thread::yield();
  EXPECT_EQ(std::filesystem::file_size(folder.path() + "/a"), 3U << 20U);
  EXPECT_FALSE(std::filesystem::exists(path));
  std::ifstream made(folder.path() + "/a", std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(made), {}), std::string(3 << 20, '\0'));
  spare.prepare(2 << 20);
  EXPECT_FALSE(spare.take(folder.path() + "/b", 3 << 20));  // of another size
}

// A batch of the log is one wake-up.
TEST(PosixDiskTest, WriteThenSyncRingsOnce) {
  const TemporaryFolder folder;
  Doorbell bell;
  auto disk = PosixDisk::open(folder.path(), [&] { bell.ring(); });
  ASSERT_TRUE(disk);
  Disk& seam = **disk;
  const FileId file = seam.open("f", 0).value();
  for (std::uint64_t i = 0; i < 50; ++i) {
    seam.write_then_sync(file, i, "x", IoToken(2 * i), IoToken(2 * i + 1));
    bell.wait_beyond(i);
    EXPECT_EQ(seam.poll().size(), 2U);
  }
  disk->reset();
  EXPECT_EQ(bell.rings(), 50U);
}

// A device that is always full: the error names the file and says what to do.
TEST(PosixDiskTest, FullDeviceIsNamed) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("/dev/full", folder.path() + "/f");
  Doorbell bell;
  auto disk = PosixDisk::open(folder.path(), [&] { bell.ring(); });
  ASSERT_TRUE(disk);
  Disk& seam = **disk;
  const FileId file = seam.open("f", 0).value();
  seam.write(file, 0, "x", IoToken(1));
  bell.wait_beyond(0);
  const auto done = seam.poll();
  ASSERT_EQ(done.size(), 1U);
  ASSERT_TRUE(done[0].error);
  EXPECT_EQ(done[0].error->code, ErrorCode::io);
  EXPECT_THAT(done[0].error->message, HasSubstr(folder.path() + "/f"));
  EXPECT_THAT(done[0].error->message, HasSubstr("No space left on device"));
  EXPECT_THAT(done[0].error->message, HasSubstr("free space"));
}

TEST(PosixDiskTest, FinishesWhatItWasGivenBeforeItGoes) {
  const TemporaryFolder folder;
  {
    auto disk = PosixDisk::open(folder.path(), {});
    ASSERT_TRUE(disk);
    Disk& seam = **disk;
    const FileId file = seam.open("f", 0).value();
    for (std::uint64_t i = 0; i < 100; ++i) seam.write(file, i, "x", IoToken(i));
    seam.sync(file, IoToken(100));
  }
  EXPECT_EQ(std::filesystem::file_size(folder.path() + "/f"), 100U);
}

// ---- the simulated disk alone ----

TEST(SimDiskTest, TakesTheTimeItSays) {
  SimDisk disk(1, {.write_micros_min = 10, .write_micros_max = 10, .sync_micros_min = 100, .sync_micros_max = 100});
  int wakes = 0;
  disk.on_completion([&] { ++wakes; });
  const FileId file = disk.open("f", 0).value();
  EXPECT_EQ(disk.next_completion(), std::nullopt);
  disk.write(file, 0, "a", IoToken(1));
  disk.sync(file, IoToken(2));
  EXPECT_EQ(disk.next_completion(), 10U);
  disk.advance(9);
  EXPECT_TRUE(disk.poll().empty());
  EXPECT_EQ(wakes, 0);
  disk.advance(10);
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(disk.poll().size(), 1U);
  EXPECT_EQ(disk.next_completion(), 110U);
  disk.advance(500);
  EXPECT_EQ(disk.poll().size(), 1U);
  EXPECT_EQ(disk.next_completion(), std::nullopt);
}

TEST(SimDiskTest, PowerLossKeepsWhatWasSyncedAndMayKeepTheRest) {
  int kept = 0;
  int torn = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimDisk disk(seed);
    const FileId file = disk.open("f", 0).value();
    ASSERT_TRUE(disk.write_durably(file, 0, Bytes(1024, 's')));
    ASSERT_TRUE(disk.sync_directory(""));
    disk.write(file, 1024, Bytes(1024, 'u'), IoToken(1));
    (void)disk.poll();
    disk.crash(CrashKind::power);
    const Bytes bytes = disk.read("f", 0, 9'999).value();
    ASSERT_EQ(bytes.substr(0, 1024), Bytes(1024, 's'));
    const Bytes rest = bytes.substr(1024);
    if (rest == Bytes(1024, 'u')) {
      ++kept;
    } else if (!rest.empty()) {
      ++torn;
    }
  }
  EXPECT_GT(kept, 10);
  EXPECT_GT(torn, 50);
}

TEST(SimDiskTest, ProcessCrashKeepsWhatWasWritten) {
  SimDisk disk(1);
  const FileId file = disk.open("f", 0).value();
  disk.write(file, 0, "abc", IoToken(1));
  (void)disk.poll();
  disk.crash(CrashKind::process);
  EXPECT_EQ(disk.read("f", 0, 9).value(), "abc");
  EXPECT_TRUE(disk.poll().empty());
}

// W03
TEST(SimDiskTest, NamesNeedTheFoldersSync) {
  int lost = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(disk.make_folder("d"));
    ASSERT_TRUE(disk.sync_directory(""));
    const FileId file = disk.open("d/synced", 0).value();
    ASSERT_TRUE(disk.write_durably(file, 0, "x"));
    ASSERT_TRUE(disk.sync_directory("d"));
    ASSERT_TRUE(disk.write_durably(disk.open("d/not", 0).value(), 0, "x"));
    ASSERT_TRUE(disk.rename("d/synced", "d/renamed"));
    disk.crash(CrashKind::power);
    const auto names = disk.list("d").value();
    EXPECT_TRUE(std::count(names.begin(), names.end(), "synced") + std::count(names.begin(), names.end(), "renamed") ==
                1);
    if (std::count(names.begin(), names.end(), "not") == 0) ++lost;
  }
  EXPECT_GT(lost, 20);
  EXPECT_LT(lost, 80);
}

TEST(SimDiskTest, SameSeedSameFate) {
  const auto fate = [](std::uint64_t seed) {
    SimDisk disk(seed, {.write_micros_max = 100, .sync_micros_max = 100, .tear_chance = 0.5});
    const FileId file = disk.open("f", 100).value();
    for (std::uint64_t i = 0; i < 50; ++i) disk.write(file, i * 300, Bytes(300, 'x'), IoToken(i));
    disk.advance(2'000);
    disk.crash(CrashKind::power);
    (void)disk.rot_somewhere("");
    return disk.digest();
  };
  EXPECT_EQ(fate(1), fate(1));
  EXPECT_NE(fate(1), fate(2));
}

}  // namespace
}  // namespace assent::storage_test
