// Which works may be prepared side by side: the locks say it.
#include <gmock/gmock.h>

#include "sql_adapter/lock_keys.h"
#include "support.h"
#include "txn_proto/sight.h"

namespace assent::testing {
namespace {

class LocksTest : public ::testing::Test {
 protected:
  LocksTest() {
    shard.run("CREATE TABLE accounts(id TEXT PRIMARY KEY, balance INTEGER NOT NULL, email TEXT UNIQUE)");
    shard.run("CREATE TABLE numbers(n INTEGER PRIMARY KEY, v)");
    shard.run("CREATE TABLE pairs(a INTEGER, b TEXT, v, PRIMARY KEY(a, b)) WITHOUT ROWID");
    shard.run("CREATE TABLE names(name TEXT COLLATE NOCASE PRIMARY KEY, v)");
    shard.run("CREATE TABLE parts(id INTEGER PRIMARY KEY, v, w)");
    shard.run("CREATE UNIQUE INDEX parts_v ON parts(v) WHERE w = 1");
    shard.run("CREATE TABLE parents(id INTEGER PRIMARY KEY, code TEXT UNIQUE, v)");
    shard.run(
        "CREATE TABLE children(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents, code REFERENCES "
        "parents(code))");
    shard.run("INSERT INTO accounts VALUES('a', 100, 'a@'), ('b', 100, 'b@'), ('c', 100, NULL)");
    shard.run("INSERT INTO numbers VALUES(1, 1), (2, 2)");
    shard.run("INSERT INTO pairs VALUES(1, 'x', 0), (1, 'y', 0)");
    shard.run("INSERT INTO names VALUES('Ann', 0), ('Bob', 0)");
    shard.run("INSERT INTO parts VALUES(1, 1, 1), (2, 2, 1)");
    shard.run("INSERT INTO parents VALUES(1, 'one', 0), (2, 'two', 0)");
    shard.run({KvPut{"k", "v"}, KvPut{"l", "w"}});
  }

  // Both orders must agree.
  bool together(const Work& a, const Work& b) {
    const bool answer = compatible_works(shard, a, b);
    EXPECT_EQ(compatible_works(shard, b, a), answer);
    return answer;
  }
  bool together(const std::string& a, const std::string& b) { return together(Work{sql(a)}, Work{sql(b)}); }

  Shard shard;
};

TEST_F(LocksTest, EachHasANameForPeople) {
  const auto names_of = [&](const Work& work) {
    std::vector<std::string> names;
    for (const LockRequest& lock : shard.evaluate(work).effects.locks) {
      if (lock.mode == LockMode::exclusive) names.push_back(shard.leader().lock_name(lock.key));
    }
    return names;
  };
  EXPECT_THAT(names_of({sql("UPDATE accounts SET balance = 1 WHERE id = 'a'")}),
              ::testing::ElementsAre("accounts('a')"));
  EXPECT_THAT(names_of({sql("DELETE FROM pairs WHERE a = 1 AND b = 'x'")}), ::testing::ElementsAre("pairs(1, 'x')"));
  EXPECT_THAT(names_of({KvPut{"acct/alice\n", "1"}}), ::testing::ElementsAre("acct/alice\\x0a"));
  EXPECT_THAT(names_of({sql("INSERT INTO accounts VALUES('d', 1, 'd@')")}),
              ::testing::Contains(::testing::AllOf(::testing::StartsWith("unique "), ::testing::EndsWith("('d@')"))));
  for (const Bytes& odd : {Bytes(), Bytes("r"), Bytes("rname"), Bytes("rname\0\x09", 7), Bytes("\xFF\0", 2)}) {
    EXPECT_LE(shard.leader().lock_name(odd).size(), sight_key_bytes_max);
  }
  EXPECT_EQ(shard.leader().lock_name(sql::root_lock()), "the schema");
  EXPECT_EQ(shard.leader().lock_name(sql::table_lock("accounts")), "table accounts");
}

TEST_F(LocksTest, TransfersMeetOnlyAtTheirRows) {
  const std::string pay_a = "UPDATE accounts SET balance = balance - 1 WHERE id = 'a'";
  EXPECT_FALSE(together(pay_a, pay_a));
  EXPECT_TRUE(together(pay_a, "UPDATE accounts SET balance = balance - 1 WHERE id = 'b'"));
  EXPECT_TRUE(together(pay_a, "INSERT INTO accounts VALUES('d', 1, NULL)"));
  EXPECT_FALSE(together(pay_a, "SELECT balance FROM accounts WHERE id = 'a'"));
  EXPECT_TRUE(together(pay_a, "SELECT balance FROM accounts WHERE id = 'b'"));
  EXPECT_FALSE(together(pay_a, "SELECT sum(balance) FROM accounts"));
  EXPECT_FALSE(together(pay_a, "DELETE FROM accounts WHERE id = 'a'"));
  EXPECT_FALSE(together(pay_a, "UPDATE accounts SET balance = 0 WHERE balance > 50"));
  EXPECT_TRUE(together(pay_a, "UPDATE numbers SET v = 0"));
}

TEST_F(LocksTest, ReturningReadsNothingElse) {
  const std::string pay_b = "UPDATE accounts SET balance = balance - 1 WHERE id = 'b'";
  EXPECT_TRUE(together("UPDATE accounts SET balance = 1 WHERE id = 'a' RETURNING balance", pay_b));
  EXPECT_TRUE(together("INSERT INTO accounts VALUES('d', 1, NULL) RETURNING id, balance", pay_b));
  EXPECT_TRUE(together("DELETE FROM accounts WHERE id = 'c' RETURNING *", pay_b));
  EXPECT_FALSE(together("DELETE FROM accounts WHERE id = 'c' RETURNING (SELECT sum(balance) FROM accounts)", pay_b));
}

TEST_F(LocksTest, ParametersAreValuesToo) {
  const auto pay = [](SqlValue id) { return Work{sql("UPDATE numbers SET v = v + 1 WHERE n = ?", {std::move(id)})}; };
  EXPECT_FALSE(together(pay(number(1)), pay(number(1))));
  EXPECT_FALSE(together(pay(number(1)), pay(1.0)));
  EXPECT_TRUE(together(pay(number(1)), pay(number(2))));
  EXPECT_FALSE(together(pay(number(1)), pay(text("1")))) << "a text compared with numbers locks the table";
  const auto named = [](const char* id) { return Work{sql("DELETE FROM accounts WHERE id = :id", {text(id)})}; };
  EXPECT_FALSE(together(named("a"), named("a")));
  EXPECT_TRUE(together(named("a"), named("b")));
}

TEST_F(LocksTest, WhatIsNotThereIsLockedAgainstComing) {
  const std::string look = "SELECT * FROM accounts WHERE id = 'new'";
  EXPECT_FALSE(together(look, "INSERT INTO accounts VALUES('new', 1, NULL)"));
  EXPECT_TRUE(together(look, "INSERT INTO accounts VALUES('other', 1, NULL)"));
  EXPECT_FALSE(
      together("UPDATE accounts SET balance = 1 WHERE id = 'new'", "INSERT INTO accounts VALUES('new', 1, NULL)"));
  EXPECT_FALSE(together("DELETE FROM accounts WHERE id = 'new'", "INSERT INTO accounts VALUES('new', 1, NULL)"));
  EXPECT_FALSE(together("SELECT count(*) FROM accounts", "INSERT INTO accounts VALUES('new', 1, NULL)"));
  EXPECT_FALSE(together("INSERT INTO accounts VALUES('new', 1, NULL)", "INSERT INTO accounts VALUES('new', 2, NULL)"));
  EXPECT_FALSE(together("INSERT OR IGNORE INTO accounts VALUES('a', 1, NULL)", "DELETE FROM accounts WHERE id = 'a'"));
}

TEST_F(LocksTest, ReadersAndNoOpsShare) {
  EXPECT_TRUE(together("SELECT * FROM accounts", "SELECT * FROM accounts WHERE id = 'a'"));
  EXPECT_TRUE(together("UPDATE accounts SET balance = 100 WHERE id = 'a'", "SELECT * FROM accounts WHERE id = 'a'"));
  EXPECT_FALSE(
      together("UPDATE accounts SET balance = 100 WHERE id = 'a'", "UPDATE accounts SET balance = 1 WHERE id = 'a'"));
  EXPECT_FALSE(together("INSERT INTO accounts VALUES('a', 1, 'a@') ON CONFLICT(id) DO UPDATE SET balance = balance",
                        "UPDATE accounts SET balance = 1 WHERE id = 'a'"));
  EXPECT_TRUE(together("INSERT INTO accounts VALUES('a', 1, 'q@') ON CONFLICT(id) DO UPDATE SET balance = balance + 1",
                       "UPDATE accounts SET balance = 1 WHERE id = 'b'"));
}

TEST_F(LocksTest, CompositeKeys) {
  EXPECT_TRUE(
      together("UPDATE pairs SET v = 1 WHERE a = 1 AND b = 'x'", "UPDATE pairs SET v = 1 WHERE b = 'y' AND a = 1"));
  EXPECT_FALSE(
      together("UPDATE pairs SET v = 1 WHERE a = 1 AND b = 'x'", "UPDATE pairs SET v = 1 WHERE b = 'x' AND a = 1"));
  EXPECT_FALSE(together("UPDATE pairs SET v = 1 WHERE a = 1", "INSERT INTO pairs VALUES(1, 'z', 0)"));
}

TEST_F(LocksTest, UniqueValues) {
  EXPECT_FALSE(together("INSERT INTO accounts VALUES('d', 1, 'd@')", "INSERT INTO accounts VALUES('e', 1, 'd@')"));
  EXPECT_TRUE(together("INSERT INTO accounts VALUES('d', 1, 'd@')", "INSERT INTO accounts VALUES('e', 1, 'e@')"));
  EXPECT_TRUE(together("INSERT INTO accounts VALUES('d', 1, NULL)", "INSERT INTO accounts VALUES('e', 1, NULL)"));
  EXPECT_FALSE(
      together("UPDATE accounts SET email = 'x@' WHERE id = 'a'", "UPDATE accounts SET email = 'x@' WHERE id = 'b'"));
  // A value that is given up is not free before it is certain.
  EXPECT_TRUE(shard.leader().evaluate({sql("UPDATE accounts SET email = NULL WHERE id = 'a'")})->effects.locks.size() >=
              4);
}

TEST_F(LocksTest, CollationsAndPartialIndexesLockTheTable) {
  EXPECT_FALSE(together("UPDATE names SET v = 1 WHERE name = 'ann'", "UPDATE names SET v = 1 WHERE name = 'bob'"));
  EXPECT_FALSE(together("INSERT INTO names VALUES('x', 1)", "INSERT INTO names VALUES('X', 1)"));
  EXPECT_FALSE(together("UPDATE parts SET v = 5 WHERE id = 1", "UPDATE parts SET v = 5 WHERE id = 2"));
  EXPECT_FALSE(together("SELECT * FROM names WHERE name = 'NEW'", "INSERT INTO names VALUES('new', 1)"));
}

TEST_F(LocksTest, ForeignKeys) {
  const std::string child = "INSERT INTO children VALUES(1, 1, 'one')";
  EXPECT_TRUE(together(child, "INSERT INTO children VALUES(2, 1, 'one')"));
  EXPECT_FALSE(together(child, "DELETE FROM parents WHERE id = 1"));
  EXPECT_TRUE(together(child, "DELETE FROM parents WHERE id = 2"));
  EXPECT_FALSE(
      together("INSERT INTO children VALUES(1, NULL, 'two')", "UPDATE parents SET code = 'zwei' WHERE id = 2"));
  EXPECT_TRUE(together("INSERT INTO children VALUES(1, NULL, 'two')", "UPDATE parents SET v = 9 WHERE id = 2"));
  EXPECT_TRUE(together("INSERT INTO children VALUES(1, NULL, NULL)", "DELETE FROM parents WHERE id = 1"));
}

// SQLite tells the rows that foreign keys look up like rows that are read; those behind a view are read.
TEST_F(LocksTest, ViewsAndTriggersOverParents) {
  shard.run({sql("CREATE VIEW old_parents AS SELECT id, v FROM parents WHERE v > 5"),
             sql("CREATE VIEW outer_view AS SELECT * FROM old_parents"),
             sql("CREATE TABLE log(id INTEGER PRIMARY KEY, n)"),
             sql("CREATE TRIGGER t AFTER INSERT ON log BEGIN UPDATE log SET n = (SELECT count(*) FROM parents) WHERE "
                 "id = NEW.id; END")});
  const std::string write = "UPDATE parents SET v = 9 WHERE id = 2";
  EXPECT_FALSE(together("SELECT * FROM old_parents", write));
  EXPECT_FALSE(together("SELECT count(*) FROM outer_view", write));
  EXPECT_FALSE(together("SELECT (SELECT max(v) FROM outer_view) FROM accounts", write));
  EXPECT_FALSE(together("DELETE FROM numbers WHERE n IN (SELECT id FROM outer_view)", write));
  EXPECT_FALSE(together("INSERT INTO log(id) VALUES(1)", write));
  EXPECT_FALSE(together("UPDATE children SET id = 2 WHERE id = 1 AND EXISTS(SELECT 1 FROM [Parents])", write));
}

TEST_F(LocksTest, SchemaChangesStandAlone) {
  for (const std::string other : {"UPDATE accounts SET balance = 1 WHERE id = 'a'", "SELECT 1", "SELECT * FROM numbers",
                                  "CREATE TABLE b(x PRIMARY KEY)"}) {
    EXPECT_FALSE(together("CREATE TABLE a(x PRIMARY KEY)", other)) << other;
  }
  EXPECT_FALSE(together(Work{sql("CREATE TABLE a(x PRIMARY KEY)")}, Work{KvGet{"k"}}));
  EXPECT_TRUE(together("CREATE TABLE IF NOT EXISTS numbers(x PRIMARY KEY)", "SELECT * FROM numbers"));
}

TEST_F(LocksTest, KeysAndValues) {
  EXPECT_FALSE(together(Work{KvPut{"k", "1"}}, Work{KvGet{"k"}}));
  EXPECT_TRUE(together(Work{KvGet{"k"}}, Work{KvExpect{"k", "v"}}));
  EXPECT_TRUE(together(Work{KvPut{"k", "1"}}, Work{KvPut{"l", "1"}}));
  EXPECT_FALSE(together(Work{KvExpect{"m", std::nullopt}}, Work{KvPut{"m", "1"}}));
  EXPECT_FALSE(together(Work{KvAdd{"m", 1, {}, {}}}, Work{KvAdd{"m", 1, {}, {}}}));
  EXPECT_FALSE(together(Work{KvErase{"m"}}, Work{KvPut{"m", "1"}}));
  EXPECT_TRUE(together(Work{KvPut{"k", "1"}}, Work{sql("SELECT * FROM accounts")}));
}

// The add, which touches no row, must name the key as those name it that do.
TEST_F(LocksTest, AddsInEscrowLeaveAKeyToEachOtherAlone) {
  for (const char* key : {"m", "n"}) {
    if (key[0] == 'n') shard.run({KvPut{"n", "5"}});  // absent, then there
    const Work add = {KvAdd{key, 1, {}, {}, true}};
    EXPECT_TRUE(together(add, add));
    EXPECT_TRUE(together(add, Work{KvAdd{key, -1, 0, {}, true}, KvPut{"k", "1"}}));
    EXPECT_TRUE(together(add, Work{KvGet{"k"}, sql("SELECT * FROM accounts")}));
    EXPECT_FALSE(together(add, Work{KvAdd{key, 1, {}, {}}}));
    EXPECT_FALSE(together(add, Work{KvAdd{key, 1, {}, {}, true}, KvGet{key}})) << "it is read as well";
    EXPECT_FALSE(together(add, Work{KvGet{key}}));
    EXPECT_FALSE(together(add, Work{KvPut{key, "1"}}));
    EXPECT_FALSE(together(add, Work{KvErase{key}}));
    EXPECT_FALSE(together(add, Work{KvExpect{key, key[0] == 'n' ? std::optional<Bytes>("5") : std::nullopt}}));
  }
  EXPECT_FALSE(together(Work{KvAdd{"m", 1, {}, {}, true}}, Work{sql("CREATE TABLE a(x PRIMARY KEY)")}));
}

TEST_F(LocksTest, StatementsThatLookLikePointsButReadMore) {
  const std::string write_b = "UPDATE accounts SET balance = 7 WHERE id = 'b'";
  for (const std::string read : {
           "SELECT * FROM accounts x, accounts y WHERE x.id = 'a'",
           "SELECT (SELECT sum(balance) FROM accounts) FROM accounts WHERE id = 'a'",
           "SELECT * FROM accounts WHERE id = 'a' OR balance > 1",
           "SELECT * FROM accounts WHERE id = 'a' UNION ALL SELECT * FROM accounts",
           "WITH t AS (SELECT * FROM accounts) SELECT * FROM t WHERE id = 'a'",
           "UPDATE accounts SET balance = (SELECT balance FROM accounts WHERE id = 'b') WHERE id = 'a'",
           "UPDATE numbers SET v = x.balance FROM accounts x WHERE n = 1",
           "INSERT INTO numbers SELECT 77, sum(balance) FROM accounts",
           "INSERT INTO numbers VALUES(77, (SELECT sum(balance) FROM accounts))",
           "SELECT * FROM numbers WHERE n = 1 AND v IN (SELECT balance FROM accounts)",
       }) {
    EXPECT_FALSE(together(read, write_b)) << read;
  }
}

TEST_F(LocksTest, ManyRowsBecomeTheTable) {
  SqliteOptions options;
  options.row_locks_max = 10;
  Shard small(options);
  small.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  const Evaluation many = small.evaluate(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50) INSERT INTO t SELECT i, 0 FROM n");
  EXPECT_LE(many.effects.locks.size(), 3U);
  LockTable table;
  table.acquire(txn(1), many.effects.locks);
  EXPECT_FALSE(table.free(small.evaluate("SELECT * FROM t WHERE id = 3").effects.locks, txn(2)));
}

TEST_F(LocksTest, AreAscendingAndOnePerKey) {
  const auto locks =
      shard
          .evaluate({sql("UPDATE accounts SET balance = 1 WHERE id = 'a'"), sql("SELECT * FROM accounts"),
                     sql("SELECT * FROM accounts WHERE id = 'a'"), KvGet{"k"}, KvPut{"k", "x"}})
          .effects.locks;
  for (std::size_t i = 1; i < locks.size(); ++i) EXPECT_LT(locks[i - 1].key, locks[i].key);
  const auto mode_of = [&](const Bytes& key) {
    for (const LockRequest& lock : locks) {
      if (lock.key == key) return lock.mode;
    }
    return LockMode::intention_shared;
  };
  EXPECT_EQ(mode_of(sql::root_lock()), LockMode::intention_exclusive);
  EXPECT_EQ(mode_of(sql::table_lock("accounts")), LockMode::exclusive) << "read as a whole and written";
}

}  // namespace
}  // namespace assent::testing
