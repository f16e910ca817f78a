// What a client may send: results, and refusals that say what is wrong in one sentence.
#include <gmock/gmock.h>

#include <limits>

#include "support.h"

namespace assent::testing {
namespace {

using ::testing::HasSubstr;

class WorkTest : public ::testing::Test {
 protected:
  WorkTest() {
    shard.run("CREATE TABLE accounts(id TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK(balance >= 0))");
    shard.run({sql("INSERT INTO accounts VALUES(?, ?)", {text("alice"), number(100)}),
               sql("INSERT INTO accounts VALUES('bob', 5)")});
  }
  Shard shard;
};

TEST_F(WorkTest, ResultsComeBack) {
  const WorkResult result = shard.run({
      sql("UPDATE accounts SET balance = balance - ? WHERE id = ? RETURNING balance", {number(30), text("alice")}),
      sql("SELECT id, balance AS b FROM accounts ORDER BY id"),
      sql("DELETE FROM accounts WHERE id = 'nobody'"),
      sql("INSERT INTO accounts VALUES('carol', 1), ('dave', 2)"),
  });
  EXPECT_EQ(show_rows(result[0].rows), "70");
  EXPECT_EQ(result[0].rows_affected, 1U);
  EXPECT_EQ(result[1].columns, (std::vector<std::string>{"id", "b"}));
  EXPECT_EQ(show_rows(result[1].rows), "'alice'|70;'bob'|5");
  EXPECT_EQ(result[1].rows_affected, 0U);
  EXPECT_EQ(result[2].rows_affected, 0U);
  EXPECT_EQ(result[3].rows_affected, 2U);
  shard.expect_replicas_equal();
}

TEST_F(WorkTest, EvaluationLeavesNoTrace) {
  const std::uint64_t before = *shard.leader().digest();
  (void)shard.evaluate("DELETE FROM accounts");
  (void)shard.evaluate("CREATE TABLE t(a PRIMARY KEY)");
  (void)shard.evaluate({KvPut{"k", "v"}});
  EXPECT_EQ(*shard.leader().digest(), before);
  EXPECT_EQ(shard.rows("SELECT count(*) FROM accounts"), "2");
}

TEST_F(WorkTest, ValuesKeepTypeAndAffinity) {
  shard.run("CREATE TABLE v(id INTEGER PRIMARY KEY, i INTEGER, r REAL, t TEXT, n NUMERIC, b)");
  const auto insert = [&](std::int64_t id, const SqlValue& value) {
    shard.run({sql("INSERT INTO v VALUES(?1, ?2, ?2, ?2, ?2, ?2)", {id, value})});
  };
  insert(1, std::int64_t{5});
  insert(2, 5.0);
  insert(3, 2.5);
  insert(4, text("007"));
  insert(5, SqlNull{});
  insert(6, SqlBlob{Bytes("\0\xff", 2)});
  insert(7, text(""));
  insert(8, SqlBlob{});
  insert(9, std::numeric_limits<std::int64_t>::min());
  insert(10, -0.0);
  insert(11, text(std::string("a\0b", 3)));
  shard.expect_replicas_equal();
  const std::string types = "SELECT group_concat(typeof(i)||typeof(r)||typeof(t)||typeof(n)||typeof(b), ' ') FROM v";
  const auto leader = shard.leader().query({sql(types)});
  const auto follower = shard.follower().query({sql(types)});
  EXPECT_EQ(leader->result, follower->result);
  shard.run("UPDATE v SET r = i, t = r, n = t, b = n");
  shard.run("UPDATE v SET b = CAST(b AS REAL) WHERE id < 5");
  shard.expect_replicas_equal();
}

struct BadStatement {
  const char* name;
  const char* text;
  AbortReason reason;
  const char* words;
};
void PrintTo(const BadStatement& bad, std::ostream* out) { *out << bad.name; }

class BadStatementTest : public WorkTest, public ::testing::WithParamInterface<BadStatement> {};

TEST_P(BadStatementTest, IsRefusedAndTheStoreGoesOn) {
  const Refusal refusal = shard.refuse(GetParam().text);
  EXPECT_EQ(refusal.reason, GetParam().reason) << refusal.message;
  EXPECT_THAT(refusal.message, HasSubstr(GetParam().words));
  EXPECT_TRUE(refusal.participant.none());
  const auto query = shard.leader().query({sql(GetParam().text)});
  EXPECT_FALSE(query);
  shard.run("UPDATE accounts SET balance = 1 WHERE id = 'bob'");
  shard.expect_replicas_equal();
}

INSTANTIATE_TEST_SUITE_P(
    All, BadStatementTest,
    ::testing::Values(
        BadStatement{"syntax", "SELEC 1", AbortReason::invalid, "near \"SELEC\": syntax error (at byte 0"},
        BadStatement{"syntax_later", "SELECT * FROM accounts WHERE", AbortReason::invalid, "incomplete input"},
        BadStatement{"unclosed", "SELECT 'x", AbortReason::invalid, "unrecognized token"},
        BadStatement{"empty", "  -- nothing\n ;", AbortReason::invalid, "empty"},
        BadStatement{"missing_table", "UPDATE acounts SET balance = 1", AbortReason::invalid, "no such table: acounts"},
        BadStatement{"missing_column", "SELECT nam FROM accounts", AbortReason::invalid, "no such column: nam"},
        BadStatement{"double_quoted_text", "SELECT * FROM accounts WHERE id = \"alice\"", AbortReason::invalid,
                     "alice"},
        BadStatement{"two_statements", "SELECT 1; DELETE FROM accounts", AbortReason::invalid, "two statements"},
        BadStatement{"two_schema_statements", "CREATE TABLE a(x PRIMARY KEY); DROP TABLE accounts",
                     AbortReason::invalid, "two statements"},
        BadStatement{"attach", "ATTACH 'x.db' AS x", AbortReason::invalid, "ATTACH is not allowed"},
        BadStatement{"detach", "detach x", AbortReason::invalid, "DETACH is not allowed"},
        BadStatement{"pragma", "/* */ PRAGMA foreign_keys=OFF", AbortReason::invalid, "PRAGMA is not allowed"},
        BadStatement{"begin", "BEGIN", AbortReason::invalid, "BEGIN is not allowed"},
        BadStatement{"commit", "COMMIT", AbortReason::invalid, "COMMIT is not allowed"},
        BadStatement{"end", "END", AbortReason::invalid, "END is not allowed"},
        BadStatement{"rollback", "ROLLBACK", AbortReason::invalid, "ROLLBACK is not allowed"},
        BadStatement{"savepoint", "SAVEPOINT x", AbortReason::invalid, "SAVEPOINT is not allowed"},
        BadStatement{"release", "RELEASE assent_work", AbortReason::invalid, "RELEASE is not allowed"},
        BadStatement{"vacuum", "VACUUM INTO 'x'", AbortReason::invalid, "VACUUM is not allowed"},
        BadStatement{"reindex", "REINDEX", AbortReason::invalid, "REINDEX is not allowed"},
        BadStatement{"analyze", "ANALYZE", AbortReason::invalid, "ANALYZE is not allowed"},
        BadStatement{"explain_pragma", "EXPLAIN PRAGMA user_version", AbortReason::invalid, "not allowed"},
        BadStatement{"pragma_function", "SELECT * FROM pragma_table_info('accounts')", AbortReason::invalid,
                     "reserved"},
        BadStatement{"load_extension", "SELECT load_extension('x')", AbortReason::invalid,
                     "load_extension() is not allowed"},
        BadStatement{"or_rollback", "INSERT OR ROLLBACK INTO accounts VALUES('alice', 1)", AbortReason::invalid,
                     "use ABORT"},
        BadStatement{"store_table_read", "SELECT * FROM assent_kv", AbortReason::invalid, "assent_kv is reserved"},
        BadStatement{"store_table_written", "DELETE FROM assent_meta", AbortReason::invalid, "assent_meta is reserved"},
        BadStatement{"store_table_in_subquery", "UPDATE accounts SET balance = (SELECT count(*) FROM assent_record)",
                     AbortReason::invalid, "assent_record is reserved"},
        BadStatement{"sqlite_table_written", "DELETE FROM sqlite_master", AbortReason::invalid, "sqlite_master"},
        BadStatement{"sqlite_table_read", "SELECT * FROM sqlite_schema", AbortReason::invalid, "reserved"},
        BadStatement{"create_reserved", "CREATE TABLE assent_x(a PRIMARY KEY)", AbortReason::invalid, "reserved"},
        BadStatement{"rename_to_reserved", "ALTER TABLE accounts RENAME TO assent_x", AbortReason::invalid, "reserved"},
        BadStatement{"drop_reserved", "DROP TABLE assent_kv", AbortReason::invalid, "reserved"},
        BadStatement{"index_on_reserved", "CREATE INDEX i ON assent_kv(value)", AbortReason::invalid, "reserved"},
        BadStatement{"refer_to_reserved", "CREATE TABLE x(a PRIMARY KEY REFERENCES assent_kv(key))",
                     AbortReason::invalid, "reserved"},
        BadStatement{"trigger_on_reserved", "CREATE TRIGGER x AFTER INSERT ON assent_kv BEGIN SELECT 1; END",
                     AbortReason::invalid, "reserved"},
        BadStatement{"no_primary_key", "CREATE TABLE t(a, b)", AbortReason::invalid, "table t has no PRIMARY KEY"},
        BadStatement{"create_as", "CREATE TABLE t AS SELECT * FROM accounts", AbortReason::invalid, "no PRIMARY KEY"},
        BadStatement{"temporary", "CREATE TEMP TABLE t(a PRIMARY KEY)", AbortReason::invalid, "temporary"},
        BadStatement{"temporary_by_name", "CREATE TABLE temp.t(a PRIMARY KEY)", AbortReason::invalid, "temporary"},
        BadStatement{"virtual_table", "CREATE VIRTUAL TABLE t USING fts5(a)", AbortReason::invalid, "virtual tables"},
        BadStatement{"generated_column", "CREATE TABLE t(a PRIMARY KEY, b AS (a + 1))", AbortReason::invalid,
                     "generated"},
        BadStatement{"table_or_rollback", "CREATE TABLE t(a PRIMARY KEY ON CONFLICT ROLLBACK)", AbortReason::invalid,
                     "use ABORT"},
        BadStatement{"existing_table", "CREATE TABLE accounts(id PRIMARY KEY)", AbortReason::invalid, "already exists"},
        BadStatement{"column_of_no_default", "ALTER TABLE accounts ADD COLUMN c NOT NULL", AbortReason::invalid,
                     "NOT NULL"},
        BadStatement{"drop_missing", "DROP TABLE nowhere", AbortReason::invalid, "no such table"},
        BadStatement{"parameters_missing", "UPDATE accounts SET balance = ? WHERE id = ?", AbortReason::invalid,
                     "2 parameters and 0 values"},
        BadStatement{"check", "UPDATE accounts SET balance = balance - 6 WHERE id = 'bob'", AbortReason::constraint,
                     "accounts.balance >= 0"},
        BadStatement{"datatype", "SELECT abs(-9223372036854775808)", AbortReason::invalid, "integer overflow"},
        BadStatement{"endless_read",
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
                     AbortReason::too_large, "runs too long"},
        BadStatement{
            "endless_write",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO accounts SELECT 'x' || "
            "i % 2, (SELECT count(*) FROM n WHERE i < 1) FROM n",
            AbortReason::too_large, "runs too long"},
        BadStatement{"too_many_rows",
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO accounts SELECT i, 0 "
                     "FROM n",
                     AbortReason::too_large, "rows written"},
        BadStatement{"too_many_results",
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, 'some words' FROM n",
                     AbortReason::too_large, "rows returned"},
        BadStatement{"huge_value", "SELECT length(zeroblob(100000000))", AbortReason::too_large, "a value"},
        BadStatement{"huge_value_written", "INSERT INTO accounts VALUES(randomblob(2000000), 1)",
                     AbortReason::too_large, "a value"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST_F(WorkTest, MoreBadInput) {
  EXPECT_THAT(shard.refuse({sql("SELECT 1", {number(1)})}).message, HasSubstr("0 parameters and 1 values"));
  EXPECT_EQ(shard.refuse({sql(std::string("SELECT 1\0; x", 12))}).reason, AbortReason::invalid);
  EXPECT_EQ(shard.refuse({sql("SELECT '" + std::string(300'000, 'x') + "'")}).reason, AbortReason::too_large);
  EXPECT_EQ(shard.refuse({sql("SELECT ?", {text(std::string(300'000, 'x'))})}).reason, AbortReason::too_large);
  EXPECT_EQ(shard.refuse({KvPut{"k", Bytes(300'000, 'x')}}).reason, AbortReason::too_large);
  EXPECT_EQ(shard.refuse({KvGet{""}}).reason, AbortReason::invalid);
  const Refusal mixed = shard.refuse({sql("CREATE TABLE t(a PRIMARY KEY)"), sql("INSERT INTO t VALUES(1)")});
  EXPECT_THAT(mixed.message, HasSubstr("transaction of their own"));
  EXPECT_THAT(shard.refuse({sql("CREATE TABLE t(a PRIMARY KEY)"), KvPut{"a", "b"}}).message, HasSubstr("of their own"));
  EXPECT_THAT(shard.refuse({sql("CREATE TABLE t(a PRIMARY KEY)", {number(1)})}).message, HasSubstr("no parameters"));
  // The effects alone may be too large, though each value is not.
  Work large;
  for (int i = 0; i < 12; ++i) large.push_back(KvPut{fmt::format("k{}", i), Bytes(200'000, 'x')});
  EXPECT_EQ(shard.refuse(large).reason, AbortReason::too_large);
}

TEST_F(WorkTest, QueriesOnlyRead) {
  EXPECT_THAT(shard.leader().query({sql("DELETE FROM accounts")}).error().message, HasSubstr("only reads"));
  EXPECT_THAT(shard.leader().query({KvPut{"a", "b"}}).error().message, HasSubstr("only reads"));
  EXPECT_THAT(shard.leader().query({KvAdd{"a", 1, {}, {}}}).error().message, HasSubstr("only reads"));
  EXPECT_THAT(shard.leader().query({sql("DROP TABLE accounts")}).error().message, HasSubstr("only reads"));
  const auto answer = shard.leader().query({sql("SELECT max(balance) FROM accounts"), KvGet{"a"}});
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->effects.change.empty());
  EXPECT_EQ(show_rows(answer->result[0].rows), "100");
  EXPECT_TRUE(shard.leader().query({sql("EXPLAIN QUERY PLAN SELECT * FROM accounts")}));
}

// The interrupt makes SQLite roll back everything that is not committed; the store must have it again.
TEST_F(WorkTest, AStatementThatRunsTooLongCostsNobodyElseARow) {
  shard.run({KvPut{"k", "v"}});
  shard.run("CREATE TABLE more(a PRIMARY KEY)");
  shard.run("INSERT INTO more VALUES(1)");
  shard.leader().set_applied(Index(9));
  const Refusal refusal = shard.refuse(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) UPDATE accounts SET balance = (SELECT max(i) "
      "FROM n)");
  EXPECT_EQ(refusal.reason, AbortReason::too_large);
  EXPECT_EQ(shard.rows("SELECT count(*) FROM more, accounts"), "2");
  shard.run("INSERT INTO more VALUES(2)");
  shard.expect_replicas_equal();
  EXPECT_EQ(shard.leader().applied(), Index(9));
}

// ---- constraints
// -----------------------------------------------------------------------------------------------------

struct Violation {
  const char* name;
  const char* statement;
  const char* constraint;
};
void PrintTo(const Violation& violation, std::ostream* out) { *out << violation.name; }

class ViolationTest : public ::testing::TestWithParam<Violation> {};

TEST_P(ViolationTest, NamesTheConstraint) {
  Shard shard;
  shard.run(
      "CREATE TABLE people(id INTEGER PRIMARY KEY, email TEXT UNIQUE, age INTEGER NOT NULL, "
      "CONSTRAINT grown_up CHECK(age >= 18), CHECK(length(email) > 3))");
  shard.run(
      "CREATE TABLE pets(name TEXT, owner INTEGER REFERENCES people(id), born INTEGER, PRIMARY KEY(name, owner))");
  shard.run("CREATE TABLE late(id INTEGER PRIMARY KEY, owner INTEGER REFERENCES people DEFERRABLE INITIALLY DEFERRED)");
  shard.run("CREATE TABLE strict_one(id INTEGER PRIMARY KEY, n INTEGER) STRICT");
  shard.run("CREATE TABLE compact(a TEXT, b TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID");
  shard.run("CREATE TABLE guarded(id INTEGER PRIMARY KEY)");
  shard.run(
      "CREATE TRIGGER no_thirteen BEFORE INSERT ON guarded WHEN NEW.id = 13 BEGIN SELECT RAISE(ABORT, 'bad luck'); "
      "END");
  shard.run("INSERT INTO people VALUES(1, 'a@b.c', 20), (2, 'b@b.c', 30)");
  shard.run("INSERT INTO pets VALUES('rex', 1, 2000)");
  const Refusal refusal = shard.refuse(GetParam().statement);
  EXPECT_EQ(refusal.reason, AbortReason::constraint) << refusal.message;
  EXPECT_EQ(refusal.constraint, GetParam().constraint) << refusal.message;
  EXPECT_FALSE(refusal.message.empty());
  shard.run("INSERT INTO people VALUES(3, 'c@b.c', 40)");
  shard.expect_replicas_equal();
}

INSTANTIATE_TEST_SUITE_P(
    All, ViolationTest,
    ::testing::Values(Violation{"named_check", "UPDATE people SET age = 17 WHERE id = 1", "grown_up"},
                      Violation{"check", "INSERT INTO people VALUES(9, 'x', 20)", "people.length(email) > 3"},
                      Violation{"not_null", "INSERT INTO people(id) VALUES(9)", "people.age NOT NULL"},
                      Violation{"unique", "INSERT INTO people VALUES(9, 'a@b.c', 20)", "people.email"},
                      Violation{"primary_key", "INSERT INTO people VALUES(1, 'x@y.z', 20)", "people.id"},
                      Violation{"primary_key_pair", "INSERT INTO pets VALUES('rex', 1, 1)", "pets.name, pets.owner"},
                      Violation{"foreign_key_child", "INSERT INTO pets VALUES('tom', 7, 1)", "pets.owner -> people"},
                      Violation{"foreign_key_parent", "DELETE FROM people WHERE id = 1",
                                "late.owner -> people or pets.owner -> people"},
                      Violation{"foreign_key_deferred", "INSERT INTO late VALUES(1, 99)", "late.owner -> people"},
                      Violation{"null_in_key", "INSERT INTO pets VALUES(NULL, 1, 1)", "pets PRIMARY KEY"},
                      Violation{"null_made_in_key", "UPDATE pets SET name = NULL", "pets PRIMARY KEY"},
                      Violation{"null_in_compact_key", "INSERT INTO compact VALUES('a', NULL)", "compact.b NOT NULL"},
                      Violation{"strict_type", "INSERT INTO strict_one VALUES(1, 'x')",
                                "cannot store TEXT value in INTEGER column strict_one.n"},
                      Violation{"rowid_type", "INSERT INTO people VALUES('x', 'e@f.g', 20)", "datatype mismatch"},
                      Violation{"raise", "INSERT INTO guarded VALUES(13)", "bad luck"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST_F(WorkTest, KeyValueBounds) {
  shard.run({KvAdd{"n", 5, {}, {}}});
  EXPECT_EQ(shard.refuse({KvAdd{"n", -6, 0, {}}}).constraint, "add 'n': floor 0");
  EXPECT_EQ(shard.refuse({KvAdd{"n", 6, {}, 10}}).constraint, "add 'n': ceiling 10");
  EXPECT_EQ(shard.refuse({KvAdd{"n", std::numeric_limits<std::int64_t>::max(), {}, {}}}).constraint,
            "add 'n': 64 bits");
  EXPECT_EQ(shard.refuse({KvExpect{"n", "6"}}).constraint, "expect 'n'");
  EXPECT_EQ(shard.refuse({KvExpect{"n", std::nullopt}}).reason, AbortReason::constraint);
  shard.run({KvPut{"t", "12x"}});
  EXPECT_EQ(shard.refuse({KvAdd{"t", 1, {}, {}}}).constraint, "add 't': integer");
  // SQL and keys together, in order, or not at all.
  EXPECT_EQ(shard.refuse({sql("DELETE FROM accounts"), KvPut{"a", "1"}, KvExpect{"a", "2"}}).reason,
            AbortReason::constraint);
  const WorkResult result = shard.run({sql("UPDATE accounts SET balance = 9 WHERE id = 'bob'"), KvErase{"t"},
                                       KvErase{"t"}, KvGet{"t"}, KvAdd{"n", 1, {}, {}}});
  EXPECT_EQ(result[1].rows_affected, 1U);
  EXPECT_EQ(result[2].rows_affected, 0U);
  EXPECT_TRUE(result[3].rows.empty());
  EXPECT_EQ(show_rows(result[4].rows), "6");
  shard.expect_replicas_equal();
}

TEST_F(WorkTest, SchemaChangesReachEveryReplica) {
  shard.run({sql("CREATE TABLE a(x INTEGER PRIMARY KEY, y)"), sql("CREATE INDEX a_y ON a(y)"),
             sql("CREATE VIEW v AS SELECT y FROM a"), sql("CREATE TABLE IF NOT EXISTS accounts(id PRIMARY KEY)")});
  shard.run("INSERT INTO a VALUES(1, 2)");
  EXPECT_EQ(shard.rows("SELECT * FROM v"), "2");
  shard.run("ALTER TABLE a ADD COLUMN z DEFAULT 'd'");
  shard.run("UPDATE a SET y = 3 WHERE x = 1");  // the stored row is older than its column z
  shard.run("DELETE FROM a WHERE x = 1 AND z = 'd'");
  shard.run(
      {sql("ALTER TABLE a RENAME COLUMN y TO w"), sql("ALTER TABLE a RENAME TO b"), sql("DROP VIEW IF EXISTS v")});
  shard.run("INSERT INTO b(x, w) VALUES(5, 6)");
  EXPECT_EQ(shard.rows("SELECT * FROM b"), "5|6|'d'");
  shard.run("DROP TABLE b");
  EXPECT_EQ(shard.refuse("SELECT * FROM b").reason, AbortReason::invalid);
  EXPECT_TRUE(shard.evaluate("CREATE TABLE IF NOT EXISTS accounts(id PRIMARY KEY)").effects.change.empty());
  shard.expect_replicas_equal();
}

}  // namespace
}  // namespace assent::testing
