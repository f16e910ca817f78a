// Effects: what was found on the leader, judged and made on each replica.
#include <gmock/gmock.h>

#include "base/rng.h"
#include "sql_adapter/change_format.h"
#include "support.h"

namespace assent::testing {
namespace {

using ::testing::HasSubstr;

TEST(Effects, CarryWhatChanceAndClocksGave) {
  Shard shard;
  shard.run("CREATE TABLE t(id INTEGER PRIMARY KEY, r, at DEFAULT (strftime('%Y %f', 'now')))");
  for (int i = 0; i < 20; ++i) shard.run("INSERT INTO t(r) VALUES(hex(randomblob(8)) || random())");
  shard.run("UPDATE t SET r = random() WHERE id % 2");
  shard.expect_replicas_equal();
}

TEST(Effects, TriggersAndCascadesRunOnce) {
  Shard shard;
  shard.run({sql("CREATE TABLE parents(id INTEGER PRIMARY KEY, n INTEGER DEFAULT 0)"),
             sql("CREATE TABLE children(id INTEGER PRIMARY KEY, parent REFERENCES parents ON DELETE CASCADE ON UPDATE "
                 "CASCADE)"),
             sql("CREATE TABLE audit(id INTEGER PRIMARY KEY, what TEXT)"),
             sql("CREATE TRIGGER count_children AFTER INSERT ON children BEGIN "
                 "UPDATE parents SET n = n + 1 WHERE id = NEW.parent; "
                 "INSERT INTO audit(what) VALUES('child ' || NEW.id); END"),
             sql("CREATE TRIGGER count_goners AFTER DELETE ON children BEGIN INSERT INTO audit(what) VALUES('gone ' || "
                 "OLD.id); END"),
             sql("CREATE TABLE nodes(id INTEGER PRIMARY KEY, up REFERENCES nodes ON DELETE SET NULL)")});
  shard.run("INSERT INTO parents(id) VALUES(1), (2)");
  shard.run("INSERT INTO children VALUES(1, 1), (2, 1), (3, 2)");
  EXPECT_EQ(shard.rows("SELECT n FROM parents"), "2;1");
  EXPECT_EQ(shard.rows("SELECT count(*) FROM audit"), "3");
  shard.run("UPDATE parents SET id = 10 WHERE id = 1");
  EXPECT_EQ(shard.rows("SELECT parent FROM children"), "10;10;2");
  shard.run("DELETE FROM parents WHERE id = 10");
  EXPECT_EQ(shard.rows("SELECT id FROM children"), "3");
  EXPECT_EQ(shard.rows("SELECT count(*) FROM audit"), "5");
  shard.run("INSERT INTO nodes VALUES(1, NULL), (2, 1), (3, 2), (4, 4)");
  shard.run("DELETE FROM nodes WHERE id IN (1, 4)");
  EXPECT_EQ(shard.rows("SELECT * FROM nodes"), "2|NULL;3|2");
  shard.expect_replicas_equal();
}

TEST(Effects, ViewsWithInsteadTriggers) {
  Shard shard;
  shard.run({sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"), sql("CREATE VIEW w AS SELECT id, v * 2 AS d FROM t"),
             sql("CREATE TRIGGER w_in INSTEAD OF INSERT ON w BEGIN INSERT INTO t VALUES(NEW.id, NEW.d / 2); END")});
  shard.run("INSERT INTO w VALUES(1, 10), (2, 20)");
  EXPECT_EQ(shard.rows("SELECT * FROM t"), "1|5;2|10");
  shard.expect_replicas_equal();
}

TEST(Effects, RowsThatTradeUniqueValues) {
  Shard shard;
  shard.run("CREATE TABLE t(id INTEGER PRIMARY KEY, u INTEGER UNIQUE, w TEXT)");
  shard.run("CREATE TABLE p(id TEXT PRIMARY KEY, u, w)");
  shard.run("CREATE UNIQUE INDEX p_u ON p(u) WHERE w > 0");
  shard.run("CREATE UNIQUE INDEX p_e ON p(lower(id))");
  shard.run("INSERT INTO t VALUES(1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')");
  shard.run("INSERT INTO p VALUES('1', 1, 1), ('2', 2, 1), ('3', 3, 1)");
  shard.run({sql("UPDATE t SET u = NULL WHERE id = 1"), sql("UPDATE t SET u = 1 WHERE id = 2"),
             sql("UPDATE t SET u = 2 WHERE id = 1")});
  shard.run({sql("UPDATE p SET u = NULL WHERE id = '1'"), sql("UPDATE p SET u = 1 WHERE id = '2'"),
             sql("UPDATE p SET u = 2 WHERE id = '1'")});
  shard.run({sql("DELETE FROM t WHERE id = 3"), sql("INSERT INTO t VALUES(4, 3, 'd')"),
             sql("UPDATE t SET u = u + 10 WHERE id = 4"), sql("INSERT INTO t VALUES(5, 3, 'e')")});
  shard.run("REPLACE INTO t VALUES(9, 1, 'takes the place of row 2')");
  EXPECT_EQ(shard.rows("SELECT id, u FROM t ORDER BY id"), "1|2;4|13;5|3;9|1");
  shard.run({sql("UPDATE t SET id = 100 WHERE id = 1"), sql("UPDATE t SET id = 1 WHERE id = 9"),
             sql("UPDATE t SET id = 9 WHERE id = 100")});  // keys change places
  shard.expect_replicas_equal();
}

TEST(Effects, KeysThatChangeTheirSpelling) {
  Shard shard;
  shard.run("CREATE TABLE any_type(id PRIMARY KEY, v)");
  shard.run("CREATE TABLE names(name TEXT COLLATE NOCASE PRIMARY KEY, v)");
  shard.run("INSERT INTO any_type VALUES(5, 'a'), ('5', 'b'), (x'35', 'c')");
  shard.run("UPDATE any_type SET id = 5.0 WHERE v = 'a'");
  shard.run("INSERT INTO names VALUES('Bob', 1), ('ann', 2)");
  shard.run("UPDATE names SET name = 'BOB' WHERE name = 'bob'");
  EXPECT_EQ(shard.rows("SELECT name FROM names ORDER BY name"), "'ann';'BOB'");
  EXPECT_EQ(shard.rows("SELECT typeof(id) FROM any_type WHERE v = 'a'"), "'real'");
  shard.expect_replicas_equal();
}

TEST(Effects, CompactTablesAndCopies) {
  Shard shard;
  shard.run({sql("CREATE TABLE a(x INTEGER, y TEXT, z, PRIMARY KEY(y, x)) WITHOUT ROWID"),
             sql("CREATE TABLE b(x INTEGER, y TEXT, z, PRIMARY KEY(y, x)) WITHOUT ROWID"),
             sql("CREATE TABLE c(x INTEGER PRIMARY KEY, y TEXT, z)"),
             sql("CREATE TABLE d(x INTEGER PRIMARY KEY, y TEXT, z)")});
  shard.run("INSERT INTO a VALUES(1, 'p', 1.5), (2, 'p', NULL), (1, 'q', x'00')");
  shard.run("INSERT INTO c VALUES(1, 'p', 1.5), (2, 'p', NULL)");
  shard.run("INSERT INTO d SELECT * FROM c");  // SQLite copies records whole here
  shard.run("INSERT INTO b SELECT * FROM a");
  EXPECT_EQ(shard.rows("SELECT count(*) FROM b"), "3");
  shard.run("INSERT INTO b SELECT x + 10, y, z FROM a");
  shard.run("UPDATE b SET z = 7 WHERE y = 'p'");
  shard.run("DELETE FROM a");
  EXPECT_EQ(shard.rows("SELECT count(*) FROM d"), "2");
  shard.expect_replicas_equal();
}

TEST(Effects, NetEffectOnly) {
  Shard shard;
  shard.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  shard.run("INSERT INTO t VALUES(1, 1), (2, 2)");
  const auto rows_of = [](const Evaluation& evaluation) {
    const auto change = sql::decode_change(evaluation.effects.change);
    std::size_t out = 0;
    for (const auto& table : std::get<sql::RowsChange>(change->body).tables) out += table.rows.size();
    return out;
  };
  EXPECT_EQ(rows_of(shard.evaluate({sql("INSERT INTO t VALUES(3, 3)"), sql("DELETE FROM t WHERE id = 3")})), 0U);
  EXPECT_EQ(rows_of(shard.evaluate({sql("UPDATE t SET v = 9 WHERE id = 1"), sql("UPDATE t SET v = 1 WHERE id = 1")})),
            0U);
  EXPECT_EQ(rows_of(shard.evaluate({sql("DELETE FROM t WHERE id = 1"), sql("INSERT INTO t VALUES(1, 5)")})), 1U);
  shard.run(
      {sql("DELETE FROM t WHERE id = 1"), sql("INSERT INTO t VALUES(1, 5)"), sql("UPDATE t SET id = 7 WHERE id = 2")});
  EXPECT_EQ(shard.rows("SELECT * FROM t"), "1|5;7|2");
  shard.expect_replicas_equal();
}

TEST(Effects, AutoincrementGoesOnAfterTheLeaderChanges) {
  Shard shard;
  shard.run("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)");
  shard.run("INSERT INTO t(v) VALUES('a'), ('b')");
  shard.run("DELETE FROM t WHERE id = 2");
  const auto next = shard.follower().evaluate({sql("INSERT INTO t(v) VALUES('c') RETURNING id")});
  ASSERT_TRUE(next);
  EXPECT_EQ(show_rows(next->result[0].rows), "3");
}

// ---- check
// -----------------------------------------------------------------------------------------------------------

class StaleTest : public ::testing::Test {
 protected:
  StaleTest() {
    shard.run({sql("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)"),
               sql("CREATE TABLE u(id INTEGER PRIMARY KEY, x UNIQUE)"),
               sql("CREATE TABLE p(id INTEGER PRIMARY KEY, code UNIQUE)"),
               sql("CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p, code REFERENCES p(code))"),
               sql("CREATE TABLE n(name TEXT COLLATE NOCASE PRIMARY KEY)")});
    shard.run("INSERT INTO t VALUES(1, 1, 1), (2, 2, 2)");
    shard.run("INSERT INTO u VALUES(1, 'one'), (2, 'two')");
    shard.run("INSERT INTO p VALUES(1, 'one'), (2, 'two'), (3, 'three')");
    shard.run({KvPut{"k", "1"}});
  }

  static std::string words(const Result<void>& verdict) { return verdict ? "fits" : verdict.error().message; }

  // The first is run, the second happens, then the first is judged.
  std::string judge(const Work& first, const Work& second) {
    const Evaluation stale = shard.evaluate(first);
    shard.run(second);
    const auto leader = shard.leader().check(stale.effects.change);
    const auto follower = shard.follower().check(stale.effects.change);
    EXPECT_EQ(words(leader), words(follower)) << "replicas differ in a verdict";
    if (leader) return "fits";
    EXPECT_EQ(leader.error().code, ErrorCode::conflict);
    return leader.error().message;
  }
  std::string judge(const std::string& first, const std::string& second) { return judge({sql(first)}, {sql(second)}); }

  Shard shard;
};

TEST_F(StaleTest, WrittenRows) {
  EXPECT_THAT(judge("UPDATE t SET a = 5 WHERE id = 1", "UPDATE t SET a = 6 WHERE id = 1"),
              HasSubstr("row 1 of table t has changed"));
  EXPECT_THAT(judge("UPDATE t SET a = b WHERE id = 1", "UPDATE t SET b = 7 WHERE id = 1"), HasSubstr("has changed"));
  EXPECT_THAT(judge("DELETE FROM t WHERE id = 2", "UPDATE t SET b = 7 WHERE id = 2"),
              HasSubstr("row 2 of table t has changed"));
  EXPECT_THAT(judge("UPDATE t SET a = 8 WHERE id = 1", "DELETE FROM t WHERE id = 1"), HasSubstr("is gone"));
  EXPECT_THAT(judge("INSERT INTO t VALUES(9, 1, 1)", "INSERT INTO t VALUES(9, 2, 2)"),
              HasSubstr("inserted by somebody else"));
  EXPECT_EQ(judge("UPDATE t SET a = 5 WHERE id = 2", "UPDATE t SET a = 6 WHERE id = 9"), "fits");
}

TEST_F(StaleTest, ReadRows) {
  EXPECT_THAT(judge("SELECT a FROM t WHERE id = 1", "UPDATE t SET b = 6 WHERE id = 1"), HasSubstr("since it was read"));
  EXPECT_THAT(judge("SELECT a FROM t WHERE id = 5", "INSERT INTO t VALUES(5, 5, 5)"), HasSubstr("since it was read"));
  EXPECT_THAT(judge("UPDATE t SET a = 0 WHERE id = 2 AND b > 100", "UPDATE t SET b = 101 WHERE id = 2"),
              HasSubstr("since it was read"));
  EXPECT_THAT(judge("SELECT max(a) FROM t", "INSERT INTO t VALUES(6, 0, 0)"),
              HasSubstr("table t has changed since it was read"));
  EXPECT_EQ(judge("SELECT a FROM t WHERE id = 1", "UPDATE t SET b = 6 WHERE id = 2"), "fits");
  EXPECT_EQ(judge("SELECT max(a) FROM t", "INSERT INTO u VALUES(6, 0)"), "fits");
  EXPECT_THAT(judge({KvGet{"k"}}, {KvPut{"k", "2"}}), HasSubstr("since it was read"));
  EXPECT_THAT(judge({KvExpect{"z", std::nullopt}}, {KvPut{"z", "2"}}), HasSubstr("since it was read"));
}

TEST_F(StaleTest, UniqueValuesAndCollations) {
  EXPECT_THAT(judge("INSERT INTO u VALUES(8, 'new')", "INSERT INTO u VALUES(9, 'new')"),
              HasSubstr("taken a unique value"));
  EXPECT_THAT(judge("UPDATE u SET x = 'x' WHERE id = 1", "UPDATE u SET x = 'x' WHERE id = 2"),
              HasSubstr("taken a unique value"));
  EXPECT_EQ(judge("UPDATE u SET x = 'y' WHERE id = 1", "UPDATE u SET x = 'z' WHERE id = 2"), "fits");
  EXPECT_THAT(judge("INSERT INTO n VALUES('Ann')", "INSERT INTO n VALUES('ANN')"), HasSubstr("table n has changed"));
}

TEST_F(StaleTest, ForeignKeys) {
  EXPECT_THAT(judge("INSERT INTO c VALUES(1, 1, NULL)", "DELETE FROM p WHERE id = 1"), HasSubstr("is gone"));
  EXPECT_THAT(judge("DELETE FROM p WHERE id = 2", "INSERT INTO c VALUES(1, 2, NULL)"), HasSubstr("refers by c.p -> p"));
  EXPECT_THAT(judge("UPDATE p SET code = 'drei' WHERE id = 3", "INSERT INTO c VALUES(2, NULL, 'three')"),
              HasSubstr("refers by"));
  EXPECT_EQ(judge({sql("INSERT INTO p VALUES(7, 'seven')"), sql("INSERT INTO c VALUES(7, 7, 'seven')")},
                  {sql("INSERT INTO c VALUES(8, NULL, 'two')")}),
            "fits");
}

TEST_F(StaleTest, Schema) {
  EXPECT_THAT(judge("UPDATE t SET a = 5 WHERE id = 1", "CREATE TABLE another(x PRIMARY KEY)"),
              HasSubstr("schema has changed"));
  EXPECT_THAT(judge("CREATE UNIQUE INDEX t_a ON t(a)", "INSERT INTO t VALUES(50, 1, 1)"),
              HasSubstr("cannot be changed any more"));
  EXPECT_EQ(judge("CREATE UNIQUE INDEX t_b ON t(id, b)", "INSERT INTO t VALUES(51, 1, 1)"), "fits");
  shard.run("INSERT INTO t VALUES(52, 1, 1)");
  shard.expect_replicas_equal();
}

TEST_F(StaleTest, SeveralPreparedAtOnceInAnyOrder) {
  std::vector<Evaluation> prepared;
  for (int i = 1; i <= 2; ++i)
    prepared.push_back(shard.evaluate(fmt::format("UPDATE t SET a = a + 10 WHERE id = {}", i)));
  for (int i = 10; i < 20; ++i) prepared.push_back(shard.evaluate(fmt::format("INSERT INTO t VALUES({}, 0, 0)", i)));
  LockTable table;
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    EXPECT_TRUE(table.free(prepared[i].effects.locks, txn(i))) << i;
    table.acquire(txn(i), prepared[i].effects.locks);
    ASSERT_TRUE(shard.leader().check(prepared[i].effects.change));
  }
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    ASSERT_TRUE(shard.leader().install(prepared[i].effects.change));
    ASSERT_TRUE(shard.follower().install(prepared[prepared.size() - 1 - i].effects.change));
  }
  EXPECT_EQ(*shard.leader().digest(), *shard.follower().digest());
}

// ---- changes that no store of ours made
// ------------------------------------------------------------------------------

TEST_F(StaleTest, GarbageIsJudgedNeverObeyedAndNeverFatal) {
  const Bytes good = shard
                         .evaluate({sql("UPDATE t SET a = 5 WHERE id = 1"), sql("DELETE FROM u WHERE id = 1"),
                                    sql("INSERT INTO c VALUES(1, 1, 'one')"), sql("SELECT * FROM n"), KvPut{"q", "r"}})
                         .effects.change;
  const std::uint64_t before = *shard.leader().digest();
  Rng rng(7);
  int refused = 0;
  for (int round = 0; round < 5'000; ++round) {
    Bytes bytes = good;
    for (std::uint64_t flips = rng.between(1, 3); flips > 0; --flips) {
      // Mostly behind the schema's fingerprint, which would turn everything away.
      bytes[rng.chance(0.9) ? 10 + rng.below(bytes.size() - 10) : rng.below(bytes.size())] =
          static_cast<char>(rng.below(256));
    }
    if (rng.chance(0.1)) bytes.resize(rng.below(bytes.size()));
    const auto leader = shard.leader().check(bytes);
    EXPECT_EQ(words(leader), words(shard.follower().check(bytes)));
    if (leader) continue;
    EXPECT_EQ(leader.error().code, ErrorCode::conflict);
    ++refused;
  }
  EXPECT_GT(refused, 3'000);
  EXPECT_EQ(*shard.leader().digest(), before);
  EXPECT_TRUE(shard.leader().check(good));
  shard.run("UPDATE t SET a = 77 WHERE id = 2");
  shard.expect_replicas_equal();
}

// What our changesets say is what SQLite's own applier understands by them.
TEST(Changesets, AreReadBySqliteItself) {
  Shard shard;
  auto plain = sql::Database::open(":memory:");
  ASSERT_TRUE(plain);
  const std::vector<std::string> schema = {"CREATE TABLE t(a TEXT, id INTEGER PRIMARY KEY, b REAL)",
                                           "CREATE TABLE w(x, y, z, PRIMARY KEY(z, x)) WITHOUT ROWID"};
  for (const std::string& text : schema) {
    shard.run(text);
    ASSERT_TRUE((*plain)->execute(text));
  }
  const std::vector<std::string> statements = {"INSERT INTO t VALUES('x', 1, 5), (NULL, 2, 2.5), ('z', 3, NULL)",
                                               "INSERT INTO w VALUES(1, 'a', 'p'), (2.5, NULL, x'00')",
                                               "UPDATE t SET b = b + 1",
                                               "UPDATE w SET y = 'long ' || hex(zeroblob(200))",
                                               "DELETE FROM t WHERE id = 1",
                                               "UPDATE t SET id = 30 WHERE id = 3",
                                               "UPDATE w SET x = x + 1"};
  for (const std::string& text : statements) {
    const Evaluation evaluation = shard.evaluate(text);
    shard.install(evaluation);
    Bytes changeset(*sql::changeset_of(evaluation.effects.change));
    const auto abort_on_conflict = [](void*, int, sqlite3_changeset_iter*) { return SQLITE_CHANGESET_ABORT; };
    EXPECT_EQ(sqlite3changeset_apply((*plain)->handle(), static_cast<int>(changeset.size()), changeset.data(), nullptr,
                                     abort_on_conflict, nullptr),
              SQLITE_OK)
        << text;
  }
  for (const std::string text : {"SELECT * FROM t ORDER BY id", "SELECT * FROM w ORDER BY z, x"}) {
    EXPECT_EQ(show_rows(*(*plain)->rows(text)), shard.rows(text));
  }
}

}  // namespace
}  // namespace assent::testing
