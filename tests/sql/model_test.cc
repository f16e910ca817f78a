// Random SQL on a shard against a plain SQLite database that runs the same statements: the same verdicts, the same
// rows, and replicas that took the effects alone are equal.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "support.h"

namespace assent::testing {
namespace {

const std::vector<std::string> schema = {
    "CREATE TABLE a(id INTEGER PRIMARY KEY, n INTEGER CHECK(n < 900), t TEXT UNIQUE, r REAL)",
    "CREATE TABLE b(x TEXT, y INTEGER, z, PRIMARY KEY(x, y)) WITHOUT ROWID",
    R"(CREATE TABLE c(k TEXT PRIMARY KEY, a REFERENCES a ON DELETE CASCADE ON UPDATE CASCADE,
                      v INTEGER DEFAULT 3 NOT NULL))",
    "CREATE TABLE d(name TEXT COLLATE NOCASE PRIMARY KEY, n)",
    "CREATE UNIQUE INDEX d_n ON d(n) WHERE n > 50",
    "CREATE TABLE e(id INTEGER PRIMARY KEY, v, UNIQUE(v) ON CONFLICT REPLACE)",
    "CREATE TABLE f(k PRIMARY KEY, up REFERENCES f DEFERRABLE INITIALLY DEFERRED, UNIQUE(up, k))",
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, what)",
    "CREATE TRIGGER a_audit AFTER UPDATE OF n ON a BEGIN INSERT INTO audit(what) VALUES(NEW.id || '/' || NEW.n); END",
    "CREATE TRIGGER c_bump AFTER INSERT ON c BEGIN UPDATE a SET r = r + 1 WHERE id = NEW.a; END",
    "CREATE VIEW ab AS SELECT a.id, b.z FROM a, b WHERE a.n = b.y",
};
const std::vector<std::string> tables = {"a", "b", "c", "d", "e", "f", "audit"};

class Statements {
 public:
  explicit Statements(Rng& rng) : rng_(rng) {}

  std::string next() {
    static const std::vector<std::string (Statements::*)()> kinds = {
        &Statements::on_a, &Statements::on_a, &Statements::on_b, &Statements::on_c, &Statements::on_c,
        &Statements::on_d, &Statements::on_e, &Statements::on_f, &Statements::wide};
    return (this->*kinds[rng_.below(kinds.size())])();
  }

 private:
  std::string id() { return std::to_string(rng_.below(30)); }
  std::string number() { return std::to_string(static_cast<std::int64_t>(rng_.below(1'000)) - 50); }
  std::string value() {
    switch (rng_.below(7)) {
      case 0: return "NULL";
      case 1: return number() + ".5";
      case 2: return fmt::format("x'{:02x}'", rng_.below(256));
      case 3: return number() + ".0";
      case 4: return "'" + id() + "'";
      default: return number();
    }
  }
  std::string word() {
    static const std::vector<std::string> words = {"'ann'",  "'Ann'",  "'bob'", "'BOB'",
                                                   "'c''c'", "'dora'", "''",    "'\xc3\xa9'"};
    return words[rng_.below(words.size())];
  }
  std::string text_or_null() { return rng_.chance(0.2) ? "NULL" : fmt::format("'t{}'", id()); }
  std::string pick(std::vector<std::string> all) { return all[rng_.below(all.size())]; }

  std::string on_a() {
    return pick(
        {fmt::format("INSERT INTO a VALUES({}, {}, {}, {})", id(), number(), text_or_null(), value()),
         fmt::format("INSERT INTO a(n, t) VALUES({}, {})", number(), text_or_null()),
         fmt::format("UPDATE a SET n = n + {} WHERE id = {}", number(), id()),
         fmt::format("UPDATE a SET t = {}, r = {} WHERE id = {}", text_or_null(), value(), id()),
         fmt::format("UPDATE a SET id = {} WHERE id = {}", id(), id()),
         fmt::format("DELETE FROM a WHERE id = {}", id()),
         fmt::format("REPLACE INTO a VALUES({}, {}, {}, 1)", id(), number(), text_or_null()),
         fmt::format("INSERT INTO a VALUES({}, 1, {}, 2) ON CONFLICT(id) DO UPDATE SET n = n + 1, r = excluded.r", id(),
                     text_or_null()),
         fmt::format("INSERT OR IGNORE INTO a VALUES({}, {}, {}, 2)", id(), number(), text_or_null())});
  }
  std::string on_b() {
    return pick({fmt::format("INSERT INTO b VALUES({}, {}, {})", word(), id(), value()),
                 fmt::format("INSERT OR REPLACE INTO b VALUES({}, {}, {})", word(), id(), value()),
                 fmt::format("UPDATE b SET z = {} WHERE x = {} AND y = {}", value(), word(), id()),
                 fmt::format("UPDATE b SET y = y + 1 WHERE x = {}", word()),
                 fmt::format("DELETE FROM b WHERE y < {} - 20", id()),
                 fmt::format("INSERT INTO b SELECT {}, id, r FROM a WHERE n > {}", word(), number())});
  }
  std::string on_c() {
    return pick({fmt::format("INSERT INTO c(k, a) VALUES({}, {})", text_or_null(), id()),
                 fmt::format("INSERT INTO c VALUES({}, NULL, {})", text_or_null(), value()),
                 fmt::format("UPDATE c SET a = {} WHERE k = {}", id(), text_or_null()),
                 fmt::format("UPDATE c SET k = k || 'x' WHERE a = {}", id()),
                 fmt::format("DELETE FROM c WHERE length(k) > 4")});
  }
  std::string on_d() {
    return pick({fmt::format("INSERT INTO d VALUES({}, {})", word(), number()),
                 fmt::format("UPDATE d SET name = {} WHERE name = {}", word(), word()),
                 fmt::format("UPDATE d SET n = {} WHERE name = {}", number(), word()),
                 fmt::format("UPDATE OR REPLACE d SET n = {} WHERE name = {}", number(), word()),
                 fmt::format("DELETE FROM d WHERE name = {}", word())});
  }
  std::string on_e() {
    return pick({fmt::format("INSERT INTO e(v) VALUES({})", value()),
                 fmt::format("UPDATE e SET v = {} WHERE id = {}", value(), id()),
                 fmt::format("DELETE FROM e WHERE id = {}", id()), "DELETE FROM e WHERE id = (SELECT max(id) FROM e)"});
  }
  std::string on_f() {
    return pick({fmt::format("INSERT INTO f VALUES({}, {})", value(), value()),
                 fmt::format("INSERT INTO f VALUES({0}, {0})", value()),
                 fmt::format("UPDATE f SET k = {} WHERE k = {}", value(), value()),
                 fmt::format("DELETE FROM f WHERE k = {}", value())});
  }
  std::string wide() {
    return pick({"UPDATE a SET r = r * 2", "UPDATE a SET n = -n", "SELECT count(*), total(n) FROM a",
                 "SELECT * FROM ab ORDER BY 1, 2", "DELETE FROM audit WHERE id % 3",
                 fmt::format("SELECT * FROM a WHERE id = {}", id()),
                 fmt::format("DELETE FROM a WHERE n > {} AND id IN (SELECT a FROM c)", number()), "DELETE FROM b",
                 "UPDATE b SET z = (SELECT max(n) FROM a) WHERE y % 2",
                 fmt::format("DELETE FROM a WHERE id > {} RETURNING id, t", id())});
  }

  Rng& rng_;
};

// The plain database runs the same works, each in a transaction of its own, with the rule that keys are never NULL.
class Plain {
 public:
  Plain() {
    auto opened = sql::Database::open(":memory:");
    db_ = std::move(*opened);
    for (const std::string& text : schema) EXPECT_TRUE(db_->execute(text));
  }

  // The rows that its statements returned, or nothing when one failed.
  std::optional<std::string> run(const Work& work) {
    EXPECT_TRUE(db_->execute("BEGIN"));
    std::string out;
    for (const Operation& operation : work) {
      auto rows = db_->rows(std::get<SqlStatement>(operation).text);
      if (!rows) return fail();
      out += show_rows(*rows) + "/";
    }
    const auto nulls = db_->rows(
        "SELECT 1 FROM c WHERE k IS NULL UNION SELECT 1 FROM d WHERE name IS NULL UNION SELECT 1 FROM f WHERE k IS "
        "NULL");
    if (!nulls->empty()) return fail();
    if (!db_->execute("COMMIT")) return fail();
    return out;
  }
  std::string rows(const std::string& table) {
    return show_rows(*db_->rows("SELECT * FROM " + table + " ORDER BY 1, 2, 3"));
  }
  std::string rows2(const std::string& text) { return show_rows(*db_->rows(text)); }

 private:
  std::optional<std::string> fail() {
    EXPECT_TRUE(db_->execute("ROLLBACK"));
    return std::nullopt;
  }
  std::unique_ptr<sql::Database> db_;
};

class ModelTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ModelTest, SameVerdictsSameRows) {
  Rng rng(GetParam());
  SqliteOptions options;
  options.changes_per_commit = rng.between(1, 40);
  options.row_locks_max = rng.between(1, 50);
  options.cached_statements_max = rng.between(1, 20);
  Shard shard(options);
  Plain plain;
  for (const std::string& text : schema) shard.run(text);
  Statements statements(rng);
  int committed = 0;
  for (int round = 0; round < 400; ++round) {
    Work work;
    for (std::uint64_t i = rng.between(1, 3); i > 0; --i) work.push_back(sql(statements.next()));
    std::string said;
    for (const Operation& operation : work) said += std::get<SqlStatement>(operation).text + "; ";
    SCOPED_TRACE(said);

    const auto expected = plain.run(work);
    const auto evaluation = shard.leader().evaluate(work);
    ASSERT_EQ(evaluation.has_value(), expected.has_value()) << (evaluation ? "" : evaluation.error().message);
    if (!evaluation) {
      ASSERT_EQ(evaluation.error().reason, AbortReason::constraint) << evaluation.error().message;
      continue;
    }
    std::string answered;
    for (const OperationResult& result : evaluation->result) answered += show_rows(result.rows) + "/";
    ASSERT_EQ(answered, *expected);
    shard.install(*evaluation);
    ASSERT_TRUE(shard.leader().checkpoint());
    ++committed;
    if (round % 20 != 0) continue;
    ASSERT_EQ(*shard.leader().digest(), *shard.follower().digest());
  }
  EXPECT_GT(committed, 80);
  for (const std::string& table : tables) {
    const std::string text = "SELECT * FROM " + table + " ORDER BY 1, 2";
    EXPECT_EQ(shard.rows(text), plain.rows2(text));
  }
  shard.expect_replicas_equal();
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, ::testing::Range(std::uint64_t{1}, std::uint64_t{25}));

// Works prepared side by side as far as their locks let them: whatever order they finish in, all replicas come out
// equal, and equal to running them one after the other.
TEST_P(ModelTest, PreparedSideBySide) {
  Rng rng(GetParam() + 1'000);
  Shard shard(quick());
  for (const std::string& text : schema) shard.run(text);
  Statements statements(rng);
  std::map<std::uint64_t, Evaluation> prepared;
  LockTable locks;
  std::uint64_t next = 1;
  int side_by_side = 0;
  for (int round = 0; round < 600; ++round) {
    if (prepared.size() < 6 && rng.chance(0.6)) {
      const auto evaluation = shard.leader().evaluate({sql(statements.next())});
      if (!evaluation || !locks.free(evaluation->effects.locks, txn(next))) continue;
      for (SqliteStore* store : {&shard.leader(), &shard.follower()}) {
        const auto fits = store->check(evaluation->effects.change);
        ASSERT_TRUE(fits) << fits.error().message;
      }
      locks.acquire(txn(next), evaluation->effects.locks);
      prepared.emplace(next++, *evaluation);
      side_by_side += prepared.size() > 1;
      continue;
    }
    if (prepared.empty()) continue;
    auto it = prepared.begin();
    std::advance(it, rng.below(prepared.size()));
    if (rng.chance(0.8)) {
      for (SqliteStore* store : {&shard.leader(), &shard.follower()}) {
        const auto still = store->check(it->second.effects.change);
        ASSERT_TRUE(still) << "its locks did not keep it as it was: " << still.error().message;
        const auto installed = store->install(it->second.effects.change);
        ASSERT_TRUE(installed) << installed.error().message;
      }
    }
    locks.release(txn(it->first));
    prepared.erase(it);
  }
  EXPECT_GT(side_by_side, 20);
  shard.expect_replicas_equal();
}

}  // namespace
}  // namespace assent::testing
