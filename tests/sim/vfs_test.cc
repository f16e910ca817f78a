// SQLite on the simulated disk: what it and the shard's store above it may rely on, and what they must live with.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <memory>
#include <optional>

#include "sim/sim_vfs.h"
#include "sql_adapter/sqlite_store.h"

namespace assent {
namespace {

struct Closer {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Connection = std::unique_ptr<sqlite3, Closer>;

// A node with a disk and, while it is up, a database on it.
class Node {
 public:
  Node(std::uint64_t seed, bool full_sync) : disk_(seed), vfs_(disk_, seed), full_sync_(full_sync) {
    // A disk that damages bytes beside those it was asked to write breaks what SQLite's own VFS promises, too.
    SimDiskOptions options;
    if (full_sync) options.tear_chance = 0;
    disk_.set_options(options);
    open();
  }
  ~Node() { vfs_.cut(); }

  // SQLite's code; -1 when there is no database to ask.
  int run(const std::string& text) {
    return db_ == nullptr ? -1 : sqlite3_exec(db_.get(), text.c_str(), nullptr, nullptr, nullptr);
  }
  std::string ask(const std::string& text) {
    std::string out;
    const auto take = [](void* to, int, char** values, char**) {
      *static_cast<std::string*>(to) += values[0] == nullptr ? "null" : values[0];
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(db_.get(), text.c_str(), take, &out, nullptr), SQLITE_OK) << sqlite3_errmsg(db_.get());
    return out;
  }
  void crash(CrashKind kind) {
    vfs_.cut();
    db_.reset();
    disk_.crash(kind);
    vfs_.mend();
  }
  // False when SQLite cannot open it.
  bool open() {
    sqlite3* db = nullptr;
    int code = sqlite3_open_v2("a.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs_.name().c_str());
    db_.reset(db);
    sqlite3_extended_result_codes(db, 1);
    if (code == SQLITE_OK) {
      code = run(fmt::format("PRAGMA journal_mode=WAL; PRAGMA synchronous={}; PRAGMA wal_autocheckpoint=5;",
                             full_sync_ ? "FULL" : "NORMAL"));
    }
    if (code != SQLITE_OK) crash(CrashKind::process);
    return code == SQLITE_OK;
  }
  SimDisk& disk() { return disk_; }
  SimVfs& vfs() { return vfs_; }
  void close() { db_.reset(); }

 private:
  SimDisk disk_;
  SimVfs vfs_;
  bool full_sync_;
  Connection db_;
};

constexpr const char* make_table = "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)";
std::string insert(int id) { return fmt::format("INSERT INTO t VALUES({}, zeroblob(700))", id); }

TEST(SimVfs, AProcessCrashLosesNothingThatWasCommitted) {
  Node node(1, false);
  ASSERT_EQ(node.run(make_table), SQLITE_OK);
  for (int i = 0; i < 40; ++i) ASSERT_EQ(node.run(insert(i)), SQLITE_OK);
  ASSERT_EQ(node.run("BEGIN"), SQLITE_OK);
  ASSERT_EQ(node.run(insert(99)), SQLITE_OK);
  node.crash(CrashKind::process);
  ASSERT_TRUE(node.open());
  EXPECT_EQ(node.ask("SELECT count(*) FROM t"), "40");
  EXPECT_EQ(node.ask("PRAGMA integrity_check"), "ok");
}

TEST(SimVfs, ADyingProcessTidiesNothingUp) {
  Node node(1, false);
  ASSERT_EQ(node.run(make_table), SQLITE_OK);
  ASSERT_EQ(node.run(insert(1)), SQLITE_OK);
  const std::uint64_t before = node.disk().digest();
  node.vfs().cut();
  node.close();
  EXPECT_EQ(node.disk().digest(), before) << "closing a database brings its log into it, and a crash must not";
  node.vfs().mend();
  ASSERT_TRUE(node.open());
  EXPECT_EQ(node.ask("SELECT count(*) FROM t"), "1");
}

// The power goes at the n-th operation, for every n; what is there afterwards is what some prefix of the commits made.
void lose_power_everywhere(bool full_sync) {
  int losses = 0;
  for (std::uint64_t n = 1;; ++n) {
    Node node(n, full_sync);
    ASSERT_EQ(node.run(make_table), SQLITE_OK);
    ASSERT_EQ(node.run("PRAGMA wal_checkpoint"), SQLITE_OK);
    ASSERT_TRUE(node.disk().sync_directory(""));
    node.disk().cut_power_after(n);
    int committed = 0;
    while (committed < 12 && node.run(insert(committed)) == SQLITE_OK) ++committed;
    const bool was_cut = node.disk().power_is_off();
    node.crash(CrashKind::power);
    ASSERT_TRUE(node.open()) << "power lost at operation " << n;
    ASSERT_EQ(node.ask("PRAGMA integrity_check"), "ok") << "power lost at operation " << n;
    const int found = std::stoi(node.ask("SELECT count(*) FROM t"));
    ASSERT_EQ(node.ask("SELECT coalesce(max(id), -1) FROM t"), std::to_string(found - 1)) << "not a prefix";
    ASSERT_LE(found, committed + 1);
    if (full_sync) {
      ASSERT_GE(found, committed) << "power lost at operation " << n;
    }
    losses += found < committed ? 1 : 0;
    if (!was_cut) break;
  }
  EXPECT_EQ(losses > 0, !full_sync) << "what is not synced must be seen to be lost";
}

TEST(SimVfs, SyncedCommitsSurviveAPowerLossAtEveryOperation) { lose_power_everywhere(true); }
TEST(SimVfs, UnsyncedCommitsAreLostFromTheEndAtEveryOperation) { lose_power_everywhere(false); }

TEST(SimVfs, ErrorsOfTheDiskReachTheCaller) {
  Node node(1, true);
  ASSERT_EQ(node.run(make_table), SQLITE_OK);
  ASSERT_EQ(node.run(insert(1)), SQLITE_OK);
  node.disk().fail_next_sync();
  EXPECT_EQ(node.run(insert(2)), SQLITE_IOERR_FSYNC);
  node.crash(CrashKind::process);
  ASSERT_TRUE(node.open());
  SimDiskOptions options = node.disk().options();
  options.capacity_bytes = node.disk().used_bytes();
  node.disk().set_options(options);
  EXPECT_EQ(node.run(insert(3)), SQLITE_FULL);
  options.capacity_bytes = SimDiskOptions{}.capacity_bytes;
  node.disk().set_options(options);
  EXPECT_EQ(node.run(insert(3)), SQLITE_OK);
  node.crash(CrashKind::process);
  node.disk().fail_next_read();
  EXPECT_FALSE(node.open());
  ASSERT_TRUE(node.open()) << "a failed read changes nothing";
  EXPECT_EQ(node.ask("PRAGMA integrity_check"), "ok");
  EXPECT_GE(node.vfs().counters().errors, 3U);
}

TEST(SimVfs, TwoDisksHaveNothingInCommon) {
  Node one(1, false);
  Node other(1, false);
  ASSERT_EQ(one.run(make_table), SQLITE_OK);
  EXPECT_EQ(other.run("SELECT * FROM t"), SQLITE_ERROR);
}

// What SQLite is promised (SQLITE_IOCAP_POWERSAFE_OVERWRITE): the end of what is durable of its log stands in one
// sector with what is appended next. A disk that spoiled it made the database malformed, once a checkpoint was broken
// off too.
TEST(SimVfs, AWriteThatIsTornSpoilsNothingBesideIt) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SimDisk disk(seed);
    const auto file = disk.open("a", 0);
    ASSERT_TRUE(file);
    ASSERT_TRUE(disk.write_at_once(*file, 0, Bytes(100, 'd'), true));
    ASSERT_TRUE(disk.sync_at_once(*file));
    ASSERT_TRUE(disk.sync_directory(""));
    ASSERT_TRUE(disk.write_at_once(*file, 100, Bytes(100, 'n'), true));
    disk.crash(CrashKind::power);
    const auto kept = disk.read("a", 0, 100);
    ASSERT_TRUE(kept);
    ASSERT_EQ(*kept, Bytes(100, 'd')) << "seed " << seed;
  }
}

// ---- the shard's store on it ----

class StoreOnDisk {
 public:
  explicit StoreOnDisk(std::uint64_t seed) : disk_(seed), vfs_(disk_, seed) {}
  ~StoreOnDisk() {
    vfs_.cut();
    store_.reset();
  }
  [[nodiscard]] Result<void> open(std::size_t changes_per_commit, int wal_pages_max) {
    SqliteOptions options;
    options.path = "shard.db";
    options.vfs = vfs_.name();
    options.changes_per_commit = changes_per_commit;
    options.wal_pages_max = wal_pages_max;
    auto opened = SqliteStore::open(options);
    if (!opened) return fail(opened.error());
    store_ = std::move(*opened);
    return {};
  }
  void crash(CrashKind kind) {
    vfs_.cut();
    store_.reset();
    disk_.crash(kind);
    vfs_.mend();
  }
  SqliteStore& operator*() { return *store_; }
  SqliteStore* operator->() { return store_.get(); }
  SimDisk& disk() { return disk_; }

 private:
  SimDisk disk_;
  SimVfs vfs_;
  std::unique_ptr<SqliteStore> store_;
};

struct Log {
  std::vector<Bytes> changes;
  std::unique_ptr<SqliteStore> straight;  // took them all, in memory
  std::vector<std::uint64_t> digests;     // after each
};

Log make_log() {
  Log log;
  log.straight = std::move(*SqliteStore::open({}));
  const auto add = [&](const Work& work) {
    const auto evaluation = log.straight->evaluate(work);
    ASSERT_TRUE(evaluation) << evaluation.error().message;
    ASSERT_TRUE(log.straight->install(evaluation->effects.change));
    log.changes.push_back(evaluation->effects.change);
    log.digests.push_back(*log.straight->digest());
  };
  add({SqlStatement{"CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB)", {}}});
  for (std::int64_t i = 0; i < 40; ++i) {
    add({SqlStatement{"INSERT INTO t VALUES(?1, 0, zeroblob(500))", {SqlValue(i)}},
         SqlStatement{"UPDATE t SET v = v + 1 WHERE id % 3 = 0", {}}, KvAdd{"n", i, {}, {}}});
  }
  return log;
}

// Crashes and power losses wherever they fall, then the log again from applied() on: the applied index tells exactly
// what is in the data, and at the end nothing is missing or there twice.
TEST(StoreOnSimulatedDisk, DataAndAppliedIndexNeverPart) {
  const Log log = make_log();
  int losses = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    StoreOnDisk store(seed);
    const auto reopen = [&] {
      const auto opened = store.open(rng.between(1, 6), static_cast<int>(rng.between(1, 30)));
      ASSERT_TRUE(opened) << "seed " << seed << ": " << opened.error().message;
      const std::uint64_t applied = store->applied().value;
      ASSERT_EQ(*store->digest(), applied == 0 ? *(*SqliteStore::open({}))->digest() : log.digests[applied - 1])
          << "seed " << seed << " applied " << applied;
    };
    reopen();
    while (store->applied().value < log.changes.size()) {
      const std::uint64_t next = store->applied().value;
      if (rng.chance(0.1)) store.disk().cut_power_after(rng.below(20));
      const bool done = store->check(log.changes[next]) && store->install(log.changes[next]) &&
                        (store->set_applied(Index(next + 1)), store->checkpoint());
      ASSERT_TRUE(done || store.disk().power_is_off()) << "seed " << seed;
      if (!done || rng.chance(0.03)) {
        store.crash(done && rng.chance(0.5) ? CrashKind::process : CrashKind::power);
        reopen();
        losses += store->applied().value < next ? 1 : 0;
      }
    }
    ASSERT_EQ(*store->digest(), log.digests.back()) << "seed " << seed;
  }
  EXPECT_GT(losses, 20) << "a power loss must take something away";
}

// SQLite takes the whole open transaction back when a read fails; a store that went on after that would commit what
// follows piece by piece, without the applied index. And what a snapshot cannot read must not become zeros.
TEST(StoreOnSimulatedDisk, AFailedReadOfTheDigestOrTheSnapshotEndsTheStore) {
  const Log log = make_log();
  for (const bool of_snapshot : {false, true}) {
    StoreOnDisk store(1);
    ASSERT_TRUE(store.open(1, 1));
    for (std::size_t i = 0; i < 20; ++i) {
      ASSERT_TRUE(store->install(log.changes[i]));
      store->set_applied(Index(i + 1));
      ASSERT_TRUE(store->checkpoint());
    }
    store.crash(CrashKind::process);
    ASSERT_TRUE(store.open(64, 1));  // with nothing in SQLite's cache
    store.disk().fail_next_read();
    const bool failed = of_snapshot ? !store->snapshot() : !store->digest();
    EXPECT_TRUE(failed);
    EXPECT_FALSE(store->checkpoint()) << "it must not go on";
    store.crash(CrashKind::process);
    ASSERT_TRUE(store.open(64, 1));
    EXPECT_EQ(store->applied(), Index(20));
    EXPECT_EQ(*store->digest(), log.digests[19]);
  }
}

TEST(StoreOnSimulatedDisk, ErrorsAreTheDisksAndNotCorruption) {
  const Log log = make_log();
  StoreOnDisk store(1);
  ASSERT_TRUE(store.open(1, 1));
  ASSERT_TRUE(store->install(log.changes[0]));
  store->set_applied(Index(1));
  ASSERT_TRUE(store->checkpoint());
  store.disk().fail_next_sync();
  ASSERT_TRUE(store->install(log.changes[1]));
  store->set_applied(Index(2));
  const Result<void> kept = store->checkpoint();
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, ErrorCode::io) << kept.error().message;
  store.crash(CrashKind::process);
  store.disk().fail_next_read();
  const Result<void> opened = store.open(1, 1);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::io) << opened.error().message;
}

}  // namespace
}  // namespace assent
