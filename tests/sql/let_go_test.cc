// A store whose group rests gives its connection and its files back, and nobody can tell by what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/rng.h"
#include "sql_adapter/database.h"
#include "sql_adapter/database_check.h"
#include "support.h"

namespace assent::testing {
namespace {

class LetGo : public ::testing::Test {
 protected:
  [[nodiscard]] SqliteOptions options() const {
    SqliteOptions made = quick();
    made.path = path_;
    made.lets_go = true;
    return made;
  }
  static void run(SqliteStore& store, const Work& work) {
    const auto made = store.evaluate(work);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(store.check(made->effects.change));
    ASSERT_TRUE(store.install(made->effects.change));
  }
  [[nodiscard]] std::string rows(const std::string& statement) {
    const auto answer = store->query({sql(statement)});
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? show_rows(answer->result.front().rows) : "";
  }
  // Of this process, of the database and what SQLite keeps beside it.
  [[nodiscard]] int files_open() const {
    int open = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry.path(), gone).string().starts_with(path_)) ++open;
    }
    return open;
  }
  void let_go() {
    const auto done = store->let_go();
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_EQ(files_open(), 0);
  }

  Directory folder_;
  std::string path_ = folder_.file("s1.db");
  std::unique_ptr<SqliteStore> store = open_store(options());
};

TEST_F(LetGo, WhatIsGatheredIsKept) {
  run(*store, {sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"), sql("CREATE INDEX by_v ON t(v)")});
  run(*store, {sql("INSERT INTO t VALUES(1, 'a'), (2, 'b')"), KvPut{"k", "v"}});
  ASSERT_TRUE(store->put_record(txn(1), "record"));
  ASSERT_TRUE(store->put_machine_record("machine"));
  store->set_applied(Index(5));
  const std::uint64_t digest = *store->digest();
  EXPECT_GT(files_open(), 0);
  let_go();
  EXPECT_EQ(store->applied(), Index(5));
  EXPECT_EQ(*store->machine_record(), "machine");
  EXPECT_EQ(*store->digest(), digest);
  EXPECT_EQ(files_open(), 0) << "who only looks leaves it as it was";
  store.reset();
  store = open_store(options());  // as after a crash
  EXPECT_EQ(*store->digest(), digest);
  EXPECT_EQ(store->applied(), Index(5));
  EXPECT_EQ(store->records()->size(), 1U);
}

TEST_F(LetGo, WhateverNeedsTheRowsOpensItAgain) {
  run(*store, {sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")});
  run(*store, {sql("INSERT INTO t VALUES(1, 7)")});
  const Bytes change = store->evaluate({sql("UPDATE t SET v = v + 1")})->effects.change;
  ASSERT_TRUE(store->put_record(txn(1), "record"));
  const std::vector<std::function<void()>> uses = {
      [&] { EXPECT_TRUE(store->check(change)); },
      [&] { EXPECT_TRUE(store->install(change)); },
      [&] { EXPECT_EQ(rows("SELECT v FROM t"), "8"); },
      [&] { EXPECT_TRUE(store->evaluate({sql("INSERT INTO t VALUES(2, 2)")})); },
      [&] { EXPECT_EQ(store->records()->size(), 1U); },
      [&] { EXPECT_EQ(*store->counter("none"), 0); },
      [&] {
        run(*store, {KvAdd{"n", 2, {}, {}}});
      },
      [&] { EXPECT_EQ(*store->counter("n"), 2); },
      [&] { EXPECT_TRUE(store->add("n", 3)); },
      [&] { EXPECT_EQ(*store->counter("n"), 5); },
      [&] { EXPECT_TRUE(store->snapshot()); },
      [&] { EXPECT_TRUE(store->restore(*store->snapshot())); },
      [&] { run(*store, {sql("ALTER TABLE t ADD COLUMN w DEFAULT 1")}); },
      [&] { EXPECT_EQ(rows("SELECT v, w FROM t"), "8|1"); },
  };
  for (std::size_t i = 0; i < uses.size(); ++i) {
    SCOPED_TRACE(i);
    let_go();
    uses[i]();
  }
}

// A sleeper that wakes for a stamp and sleeps again opens nothing; the log has what is not committed yet.
TEST_F(LetGo, RecordsAloneOpenNothingAndAreCommittedWithTheNext) {
  let_go();
  ASSERT_TRUE(store->put_record(txn(1), "one"));
  ASSERT_TRUE(store->put_machine_record("machine"));
  store->set_applied(Index(3));
  ASSERT_TRUE(store->checkpoint());
  EXPECT_EQ(files_open(), 0);
  let_go();
  EXPECT_EQ(store->records()->size(), 1U);
  let_go();
  ASSERT_TRUE(store->put_record(txn(2), "two"));
  store->set_applied(Index(4));
  store.reset();
  store = open_store(options());
  EXPECT_EQ(store->records()->size(), 1U);
  EXPECT_EQ(store->applied(), Index(3));
  store->set_applied(Index(4));
  ASSERT_TRUE(store->put_record(txn(2), "two"));
  let_go();
  ASSERT_TRUE(store->erase_record(txn(2)));
  store->set_applied(Index(5));
  ASSERT_TRUE(store->commit()) << "at a graceful stop";
  store.reset();
  store = open_store(options());
  EXPECT_EQ(store->records()->size(), 1U);
  EXPECT_EQ(store->applied(), Index(5));
}

// Entries that change nothing move the applied index alone: for that no file is opened.
TEST_F(LetGo, TheAppliedIndexAloneOpensNothing) {
  let_go();
  store->set_applied(Index(9));
  ASSERT_TRUE(store->checkpoint());
  ASSERT_TRUE(store->commit());
  EXPECT_EQ(files_open(), 0);
  EXPECT_EQ(store->applied(), Index(9));
  EXPECT_EQ(rows("SELECT 1"), "1") << "and it is not taken for another file";
}

TEST_F(LetGo, ALongLogIsBroughtIntoTheFileFirst) {
  SqliteOptions small = options();
  small.let_go_wal_pages_max = 3;
  store.reset();
  store = open_store(small);
  for (int i = 0; i < 20; ++i) {
    run(*store, {KvPut{"key" + std::to_string(i), std::string(2'000, 'v')}});
    ASSERT_TRUE(store->commit());
  }
  const std::uint64_t digest = *store->digest();
  EXPECT_GT(std::filesystem::file_size(path_ + "-wal"), 10'000U);
  let_go();
  EXPECT_EQ(std::filesystem::file_size(path_ + "-wal"), 0U);
  EXPECT_EQ(*store->digest(), digest);
}

TEST_F(LetGo, AFileThatIsGoneIsNotMadeAnew) {
  run(*store, {KvPut{"k", "v"}});
  store->set_applied(Index(4));
  let_go();
  for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + ending);
  EXPECT_FALSE(store->query({KvGet{"k"}}));
  ASSERT_FALSE(store->healthy());
  EXPECT_EQ(store->healthy().error().code, ErrorCode::io);
  EXPECT_THAT(store->healthy().error().message, ::testing::HasSubstr(path_));
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_FALSE(store->records());
  EXPECT_FALSE(store->commit());
}

TEST_F(LetGo, AnotherFileInItsPlaceIsRefused) {
  run(*store, {KvPut{"k", "v"}});
  store->set_applied(Index(4));
  ASSERT_TRUE(store->commit());
  store.reset();  // SQLite's own log goes into the file
  const std::string old = folder_.file("old.db");
  std::filesystem::copy_file(path_, old);
  store.reset();
  store = open_store(options());
  run(*store, {KvPut{"k", "w"}});
  store->set_applied(Index(5));
  let_go();
  for (const char* ending : {"-wal", "-shm"}) std::filesystem::remove(path_ + ending);
  std::filesystem::copy_file(old, path_, std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(store->check(store->evaluate({KvGet{"k"}}) ? Bytes() : Bytes("x")));
  ASSERT_FALSE(store->healthy());
  EXPECT_EQ(store->healthy().error().code, ErrorCode::corruption);
  EXPECT_THAT(store->healthy().error().message, ::testing::HasSubstr("entry 4, not 5"));
}

TEST_F(LetGo, WhoIsNotToldToKeepsItsFile) {
  SqliteOptions keeps = options();
  keeps.lets_go = false;
  store.reset();
  store = open_store(keeps);
  ASSERT_TRUE(store->let_go());
  EXPECT_GT(files_open(), 0);
  auto memory = options();
  memory.path = ":memory:";
  store.reset();
  store = open_store(memory);
  run(*store, {KvPut{"k", "v"}});
  ASSERT_TRUE(store->let_go());
  EXPECT_TRUE(store->query({KvGet{"k"}})->result.front().rows.size() == 1);
}

// As the scrubber does, with a connection of its own (sql_adapter/database_check.h).
TEST_F(LetGo, WhoLooksAtAClosedFileDoesNoHarm) {
  run(*store, {sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")});
  run(*store, {sql("INSERT INTO t VALUES(1, 'a')")});
  store->set_applied(Index(2));
  const std::uint64_t digest = *store->digest();
  let_go();
  const auto problems = look_at_database(path_, [](std::uint64_t) { return true; });
  ASSERT_TRUE(problems) << problems.error().message;
  EXPECT_TRUE(problems->empty());
  EXPECT_EQ(*store->digest(), digest);
  EXPECT_EQ(files_open(), 0);
}

TEST_F(LetGo, WhoReadsTheFileMeanwhileHoldsNothingUp) {
  SqliteOptions small = options();
  small.let_go_wal_pages_max = 0;
  store.reset();
  store = open_store(small);
  run(*store, {sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")});
  run(*store, {sql("INSERT INTO t VALUES(1, 'a')")});
  ASSERT_TRUE(store->commit());
  const auto reader = sql::Database::open({.path = path_, .vfs = {}, .wal_pages_max = 1, .read_only = true});
  ASSERT_TRUE(reader);
  ASSERT_TRUE((*reader)->execute("BEGIN"));
  EXPECT_EQ((*reader)->rows("SELECT v FROM t")->size(), 1U);
  run(*store, {sql("INSERT INTO t VALUES(2, 'b')")});
  const auto done = store->let_go();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(rows("SELECT v FROM t ORDER BY id"), "'a';'b'");
  EXPECT_EQ((*reader)->rows("SELECT v FROM t")->size(), 1U) << "of the moment at which it began";
}

TEST_F(LetGo, ASnapshotInTheMakingIsMadeToItsEnd) {
  run(*store, {sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")});
  for (int i = 0; i < 50; ++i) run(*store, {KvPut{"key" + std::to_string(i), std::string(1'000, 'v')}});
  store->set_applied(Index(9));
  const std::uint64_t digest = *store->digest();
  let_go();
  std::optional<SnapshotMade> made;
  int steps = 0;
  while (!made) {
    auto step = store->snapshot_step(4'096);
    ASSERT_TRUE(step) << step.error().message;
    made = std::move(*step);
    ASSERT_TRUE(store->let_go()) << "between any two steps";
    ASSERT_LT(++steps, 1'000);
  }
  EXPECT_GT(steps, 5);
  EXPECT_EQ(files_open(), 0);
  EXPECT_EQ(made->applied, Index(9));
  Bytes whole;
  ASSERT_TRUE(made->data->copy(0, made->data->size(), whole));
  const auto image = store->image(whole);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(*(*image)->digest(), digest);
}

// Two replicas of one history, one of which is let go now and then: they stay equal.
TEST_F(LetGo, HistoriesAreTheSameWithAndWithout) {
  auto straight = open_store({});
  Rng rng(11);
  const auto both = [&](const Work& work, std::uint64_t index) {
    const auto made = store->evaluate(work);
    ASSERT_TRUE(made) << made.error().message;
    for (SqliteStore* one : {store.get(), straight.get()}) {
      ASSERT_TRUE(one->check(made->effects.change));
      ASSERT_TRUE(one->install(made->effects.change));
      ASSERT_TRUE(one->put_record(txn(index % 5), made->effects.change));
      one->set_applied(Index(index));
      ASSERT_TRUE(one->checkpoint());
    }
  };
  both({sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER UNIQUE)")}, 1);
  for (std::uint64_t i = 2; i < 80; ++i) {
    if (rng.chance(0.3)) let_go();
    if (rng.chance(0.1)) {
      ASSERT_TRUE(store->restore(*straight->snapshot()));
    }
    both({sql("INSERT INTO t VALUES(?, ?)",
              {number(static_cast<std::int64_t>(i)), number(-static_cast<std::int64_t>(i))}),
          KvAdd{"n", 1, {}, {}}},
         i);
  }
  EXPECT_EQ(*store->digest(), *straight->digest());
}

}  // namespace
}  // namespace assent::testing
