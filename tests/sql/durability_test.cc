// What survives: restarts in the middle of a batch, snapshots, and what happens when the disk is full or its bytes are
// wrong.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "base/rng.h"
#include "support.h"

namespace assent::testing {
namespace {

using ::testing::HasSubstr;

SqliteOptions at(const std::string& path, std::size_t changes_per_commit = 512) {
  SqliteOptions out;
  out.path = path;
  out.changes_per_commit = changes_per_commit;
  return out;
}

void run(SqliteStore& store, const Work& work) {
  const auto evaluation = store.evaluate(work);
  ASSERT_TRUE(evaluation) << evaluation.error().message;
  ASSERT_TRUE(store.check(evaluation->effects.change));
  ASSERT_TRUE(store.install(evaluation->effects.change));
}

TEST(Durability, WhatIsCommittedStaysWhatIsNotGoesTogether) {
  const Directory directory;
  const std::string path = directory.file("shard.db");
  std::uint64_t digest = 0;
  {
    auto store = open_store(at(path, 4));
    run(*store, {sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")});
    store->set_applied(Index(1));
    ASSERT_TRUE(store->checkpoint());  // a change of the schema is committed at once
    for (int i = 1; i <= 2; ++i) {
      run(*store, {sql("INSERT INTO t VALUES(?, 'kept')", {number(i)})});
      ASSERT_TRUE(store->put_record(txn(static_cast<std::uint64_t>(i)), "kept"));
      store->set_applied(Index(static_cast<std::uint64_t>(1 + i)));
      ASSERT_TRUE(store->checkpoint());
    }
    ASSERT_TRUE(store->put_machine_record("kept"));
    ASSERT_TRUE(store->commit());
    digest = *store->digest();
    run(*store, {sql("INSERT INTO t VALUES(9, 'lost')"), KvPut{"k", "lost"}});
    ASSERT_TRUE(store->put_record(txn(9), "lost"));
    ASSERT_TRUE(store->erase_record(txn(1)));
    ASSERT_TRUE(store->put_machine_record("lost"));
    store->set_applied(Index(9));
    ASSERT_TRUE(store->checkpoint());
    EXPECT_NE(*store->digest(), digest);
    EXPECT_EQ(store->applied(), Index(9));
  }
  auto store = open_store(at(path));
  EXPECT_EQ(*store->digest(), digest);
  EXPECT_EQ(store->applied(), Index(3));
  EXPECT_EQ(store->records()->size(), 2U);
  EXPECT_EQ(*store->machine_record(), "kept");
  run(*store, {sql("INSERT INTO t VALUES(9, 'again')")});
}

// A crash anywhere, then the log again from applied() on: always the same state as without a crash.
TEST(Durability, ReplayFromAppliedGivesTheSameState) {
  const Directory directory;
  const std::string path = directory.file("shard.db");
  auto straight = open_store({});
  std::vector<Bytes> log;
  const auto add = [&](const Work& work) {
    const auto evaluation = straight->evaluate(work);
    ASSERT_TRUE(evaluation) << evaluation.error().message;
    ASSERT_TRUE(straight->install(evaluation->effects.change));
    log.push_back(evaluation->effects.change);
  };
  add({sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER)")});
  for (int i = 0; i < 60; ++i) {
    if (i == 30) add({sql("ALTER TABLE t ADD COLUMN w DEFAULT 7")});
    add({sql("INSERT INTO t(id, v) VALUES(?, 0)", {number(i)}), sql("UPDATE t SET v = v + 1 WHERE id % 3 = 0"),
         KvAdd{"n", i, {}, {}}});
  }
  Rng rng(3);
  auto store = open_store(at(path, 5));
  while (store->applied().value < log.size()) {
    const std::uint64_t next = store->applied().value;
    const auto checked = store->check(log[next]);
    ASSERT_TRUE(checked) << next << ": " << checked.error().message;
    ASSERT_TRUE(store->install(log[next]));
    ASSERT_TRUE(store->put_record(txn(next % 7), Bytes(log[next])));
    store->set_applied(Index(next + 1));
    ASSERT_TRUE(store->checkpoint());
    if (rng.chance(0.15)) store.reset(), store = open_store(at(path, rng.between(1, 10)));
  }
  for (std::uint64_t i = 0; i < log.size(); ++i) ASSERT_TRUE(straight->put_record(txn(i % 7), log[i]));
  EXPECT_EQ(*store->digest(), *straight->digest());
}

TEST(Durability, SnapshotsTravelBetweenFilesAndMemory) {
  const Directory directory;
  auto source = open_store(at(directory.file("a.db")));
  run(*source, {sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v REFERENCES t)")});
  run(*source, {sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) INSERT INTO t SELECT "
                    "i, i FROM n")});
  source->set_applied(Index(2));
  const auto snapshot = source->snapshot();
  ASSERT_TRUE(snapshot);
  const std::string path = directory.file("b.db");
  {
    auto target = open_store(at(path));
    run(*target, {sql("CREATE TABLE other(id INTEGER PRIMARY KEY)"), sql("CREATE TABLE t(x PRIMARY KEY, y, z)")});
    run(*target, {sql("INSERT INTO t VALUES(1, 2, 3)")});
    ASSERT_TRUE(target->restore(*snapshot));
    EXPECT_EQ(*target->digest(), *source->digest());
    EXPECT_EQ(target->evaluate({sql("SELECT * FROM other")}).error().reason, AbortReason::invalid);
    run(*target, {sql("INSERT INTO t VALUES(6000, 1)")});
    target->set_applied(Index(3));
  }
  auto target = open_store(at(path));  // what came after the restore was not committed, the restore was
  EXPECT_EQ(target->applied(), Index(2));
  EXPECT_EQ(*target->digest(), *source->digest());
  auto memory = open_store({});
  ASSERT_TRUE(memory->restore(*target->snapshot()));
  EXPECT_EQ(*memory->digest(), *source->digest());
}

TEST(Durability, EveryDamagedByteOfASnapshotIsFound) {
  auto store = open_store({});
  run(*store, {KvPut{"a", "1"}});
  const std::uint64_t digest = *store->digest();
  const Bytes good = *store->snapshot();
  Rng rng(5);
  for (int round = 0; round < 200; ++round) {
    Bytes bad = good;
    bad[rng.below(bad.size())] ^= static_cast<char>(1 << rng.below(8));
    const auto restored = store->restore(bad);
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().code, ErrorCode::corruption);
  }
  EXPECT_EQ(*store->digest(), digest);
}

TEST(Durability, RefusesFilesThatAreNotItsOwn) {
  const Directory directory;
  std::ofstream(directory.file("text.db")) << std::string(5'000, 'x');
  auto opened = SqliteStore::open(at(directory.file("text.db")));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);

  ASSERT_TRUE((*sql::Database::open(directory.file("foreign.db")))->execute("CREATE TABLE t(a)"));
  opened = SqliteStore::open(at(directory.file("foreign.db")));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);
  EXPECT_THAT(opened.error().message, HasSubstr("not one of a shard"));

  open_store(at(directory.file("newer.db"))).reset();
  ASSERT_TRUE((*sql::Database::open(directory.file("newer.db")))->execute("PRAGMA user_version=2"));
  opened = SqliteStore::open(at(directory.file("newer.db")));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::unsupported);

  opened = SqliteStore::open(at(directory.file("no/such/directory.db")));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::io);
}

TEST(Durability, ASecondWriterIsTurnedAwayAtOnce) {
  const Directory directory;
  auto first = open_store(at(directory.file("a.db")));
  const auto second = SqliteStore::open(at(directory.file("a.db")));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::io);
  EXPECT_THAT(second.error().message, HasSubstr("another process"));
  run(*first, {KvPut{"a", "1"}});
}

// The error comes out, and from then on nothing pretends to work.
TEST(Durability, AFullDiskIsAnErrorAndStaysOne) {
  const Directory directory;
  auto store = open_store(at(directory.file("a.db")));
  run(*store, {sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")});
  ASSERT_TRUE(store->commit());
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 200'000, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  Result<void> outcome;
  for (int i = 0; i < 200 && outcome; ++i) {
    const auto evaluation = store->evaluate({sql("INSERT INTO t VALUES(?, zeroblob(10000))", {number(i)})});
    if (!evaluation) break;
    outcome = store->install(evaluation->effects.change);
    if (outcome) outcome = store->commit();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::io);
  EXPECT_FALSE(store->evaluate({sql("SELECT 1")}));
  EXPECT_FALSE(store->checkpoint());
  store.reset();
  store = open_store(at(directory.file("a.db")));  // with room again the log can go on
  run(*store, {sql("INSERT INTO t VALUES(1000, 1)")});
}

}  // namespace
}  // namespace assent::testing
