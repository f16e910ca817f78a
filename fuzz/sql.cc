// Work of a client, run by a shard's leader: any statement is answered or refused, and leaves no trace.
#include <memory>

#include "base/check.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "sql_adapter/sqlite_store.h"

namespace assent::fuzz {
namespace {

std::unique_ptr<SqliteStore> store_with_rows() {
  SqliteOptions options;
  options.instructions_max = 100'000;
  options.result_bytes_max = 64U << 10U;
  options.value_bytes_max = 64U << 10U;
  options.change_bytes_max = 64U << 10U;
  auto opened = SqliteStore::open(options);
  ASSENT_CHECK(opened, "a database in memory opens");
  for (const char* text : {"CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL UNIQUE CHECK(c < 100))",
                           "INSERT INTO t VALUES(1, 'one', 1.5), (2, 'two', 2.5)"}) {
    const auto made = (*opened)->evaluate({SqlStatement{text, {}}});
    ASSENT_CHECK(made && (*opened)->check(made->effects.change) && (*opened)->install(made->effects.change),
                 "the sample schema can be made");
  }
  return std::move(*opened);
}

Work work_of(Input& input) {
  Work work;
  while (!input.empty() && work.size() < 4) {
    const std::uint64_t kind = input.below(8);
    const ByteView text = input.piece();
    switch (kind) {
      case 0: work.emplace_back(KvGet{std::string(text)}); break;
      case 1: work.emplace_back(KvPut{std::string(text), Bytes(input.piece())}); break;
      case 2: work.emplace_back(KvAdd{std::string(text), static_cast<std::int64_t>(input.number()), {}, {}}); break;
      default: {
        SqlStatement statement{std::string(text), {}};
        if (kind == 3) statement.parameters = {std::string(input.piece()), static_cast<std::int64_t>(input.number())};
        work.emplace_back(std::move(statement));
      }
    }
  }
  return work;
}

}  // namespace

void run_sql(ByteView bytes) {
  Input input(bytes);
  const bool query = input.flag();
  const Work work = work_of(input);
  const auto store = store_with_rows();
  const auto before = store->digest();
  const auto found = query ? store->query(work) : store->evaluate(work);
  require(store->digest() == before, "work that was run leaves no trace");
  if (!found) return require(!found.error().message.empty(), "a refusal says why");
  if (query) return require(found->effects.change.empty(), "a query changes nothing");
  if (found->effects.change.empty()) return;
  require(store->check(found->effects.change).has_value(), "what was found fits the rows it was found on");
  require(store->install(found->effects.change).has_value(), "what was checked can be made");
}

std::vector<Bytes> sql_seeds() {
  std::vector<Bytes> seeds;
  for (const char* text :
       {"SELECT * FROM t WHERE a = 1", "SELECT b, count(*) FROM t GROUP BY b HAVING c > 1 ORDER BY 1 LIMIT 3",
        "INSERT INTO t VALUES(3, 'x', 9) ON CONFLICT(a) DO UPDATE SET b = excluded.b RETURNING a",
        "UPDATE OR REPLACE t SET c = 2.5 WHERE b LIKE 'o%'", "DELETE FROM t", "CREATE UNIQUE INDEX i ON t(b, c DESC)",
        "ALTER TABLE t ADD COLUMN d", "DROP TABLE t", "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
        "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r",
        "REPLACE INTO t(a, b) VALUES(1.0, x'00ff')", "CREATE VIEW v AS SELECT a FROM t -- comment",
        "PRAGMA user_version", "CREATE TABLE u(k BLOB PRIMARY KEY, v) WITHOUT ROWID, STRICT",
        "SELECT json_extract('{\"a\":[1]}', '$.a[0]')"}) {
    for (const std::uint64_t query : {0U, 1U}) seeds.emplace_back(Seed().byte(query).byte(4).piece(text));
  }
  seeds.emplace_back(Seed()
                         .byte(0)
                         .byte(3)
                         .piece("UPDATE t SET b = ?1 WHERE a = ?2")
                         .piece("new")
                         .number(2)
                         .byte(1)
                         .piece("k")
                         .piece("v"));
  seeds.emplace_back(Seed().byte(0).byte(2).piece("n").number(5).byte(0).piece("n"));
  return seeds;
}

}  // namespace assent::fuzz
