// The cache gives what SQLite would be asked for: equal text the same schema, other text another one.
#include "sql_adapter/schema_cache.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support.h"

namespace assent::testing {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<sql::Database> with(const std::string& statements) {
  auto db = sql::Database::open(":memory:");
  EXPECT_TRUE(db) << db.error().message;
  EXPECT_TRUE((*db)->execute(statements));
  return std::move(*db);
}

std::shared_ptr<const sql::Schema> load(sql::SchemaCache& cache, sql::Database& db) {
  auto schema = cache.load(db);
  EXPECT_TRUE(schema) << schema.error().message;
  return *schema;
}

TEST(SchemaCache, EqualTextIsTheSameSchemaInWhicheverDatabase) {
  const std::string text = "CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE); CREATE INDEX i ON t(v)";
  sql::SchemaCache cache;
  EXPECT_EQ(load(cache, *with(text)), load(cache, *with(text)));
  EXPECT_EQ(cache.size(), 1U);
}

TEST(SchemaCache, AChangeInsideATransactionIsSeenAndSoIsItsRollback) {
  sql::SchemaCache cache;
  const auto db = with("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  const auto before = load(cache, *db);
  ASSERT_TRUE(db->execute("BEGIN; ALTER TABLE t ADD COLUMN v"));
  const auto during = load(cache, *db);
  ASSERT_TRUE(db->execute("ROLLBACK"));
  EXPECT_EQ(before->find("t")->columns.size(), 1U);
  EXPECT_EQ(during->find("t")->columns.size(), 2U);
  EXPECT_EQ(load(cache, *db), before);
}

// Where one name ends and the next begins is part of the text.
TEST(SchemaCache, NamesThatRunTogetherAreDifferent) {
  sql::SchemaCache cache;
  const auto one = load(cache, *with("CREATE VIEW ab AS SELECT 1 AS c"));
  const auto other = load(cache, *with("CREATE VIEW a AS SELECT 1 AS bc"));
  EXPECT_TRUE(one->is_view("ab"));
  EXPECT_FALSE(other->is_view("ab"));
}

TEST(SchemaCache, ForgetsAllWhenTheyBecomeTooMany) {
  sql::SchemaCache cache;
  const auto kept = load(cache, *with("CREATE TABLE kept(id INTEGER PRIMARY KEY)"));
  for (std::size_t i = 0; i < sql::SchemaCache::schemas_max; ++i) {
    const auto schema = load(cache, *with(fmt::format("CREATE TABLE t{}(id INTEGER PRIMARY KEY)", i)));
    ASSERT_NE(schema->find(fmt::format("t{}", i)), nullptr);
    ASSERT_LE(cache.size(), sql::SchemaCache::schemas_max);
  }
  EXPECT_THAT(kept->find("kept")->key, ElementsAre(0));  // who uses one keeps it
}

TEST(SchemaCache, StoresThatShareOneKeepTheirOwnRows) {
  SqliteOptions options = quick();
  options.schemas = std::make_shared<sql::SchemaCache>();
  Shard shard(options);
  shard.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  Shard other(options);
  other.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  shard.run("INSERT INTO t VALUES(1, 'one')");
  other.run("INSERT INTO t VALUES(2, 'two')");
  EXPECT_EQ(shard.rows("SELECT * FROM t"), "1|'one'");
  EXPECT_EQ(other.rows("SELECT * FROM t"), "2|'two'");
  shard.expect_replicas_equal();
  other.expect_replicas_equal();
}

}  // namespace
// The second is a copy of what was made for the first, and what either stores afterwards is its own.
TEST(SchemaCache, FillsEachDatabaseAlikeAndApart) {
  sql::SchemaCache cache;
  const std::string statements = "BEGIN; PRAGMA user_version=7; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); COMMIT;";
  std::vector<std::unique_ptr<sql::Database>> databases;
  for (int i = 0; i < 3; ++i) {
    databases.push_back(sql::Database::open(":memory:").value());
    ASSERT_TRUE(cache.fill(*databases.back(), statements));
    ASSERT_TRUE(databases.back()->execute(fmt::format("INSERT INTO t VALUES({}, 'own')", i)));
  }
  for (const auto& db : databases) {
    EXPECT_EQ(db->rows("SELECT * FROM t").value().size(), 1U);
    EXPECT_EQ(db->rows("PRAGMA user_version").value().at(0).at(0), SqlValue(std::int64_t{7}));
  }
}

}  // namespace assent::testing
