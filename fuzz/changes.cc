// Effects of SQL work, as a log carries them: read, judged against rows, and made. The first byte picks the way in: the
// change's own bytes, or a changeset with a right head and right hashes around it.
#include <array>
#include <memory>

#include "base/check.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "sql_adapter/change_format.h"
#include "sql_adapter/sqlite_store.h"

namespace assent::fuzz {
namespace {

std::unique_ptr<SqliteStore> store_with_rows() {
  auto opened = SqliteStore::open({});
  ASSENT_CHECK(opened, "a database in memory opens");
  const Work setup{
      SqlStatement{"CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE)", {}},
      SqlStatement{"CREATE TABLE c(a TEXT, b REAL, parent INTEGER REFERENCES p(id), n INTEGER NOT NULL CHECK(n >= 0), "
                   "PRIMARY KEY(a, b))",
                   {}}};
  const Work rows{SqlStatement{"INSERT INTO p VALUES(1, 'one'), (2, 'two')", {}},
                  SqlStatement{"INSERT INTO c VALUES('x', 1.5, 1, 10), ('y', 2, 2, 20)", {}}};
  for (const Work& work : {setup, rows}) {
    const auto made = (*opened)->evaluate(work);
    ASSENT_CHECK(made && (*opened)->check(made->effects.change) && (*opened)->install(made->effects.change),
                 "the sample schema can be made");
  }
  return std::move(*opened);
}

Bytes change_by(SqliteStore& store, const Work& work) {
  const auto made = store.evaluate(work);
  ASSENT_CHECK(made, "a sample can be evaluated");
  return made->effects.change;
}

// Of no effect, for the fingerprint of the schema.
std::uint64_t schema_of(SqliteStore& store) {
  const Bytes change = change_by(store, {SqlStatement{"INSERT INTO p VALUES(7, 'seven')", {}}});
  return sql::decode_change(change)->schema;
}

void judge(SqliteStore& store, ByteView change) {
  const auto before = store.digest();
  require(before.has_value(), "a digest can be taken");
  if (!store.check(change)) return require(store.digest() == before, "a check leaves no trace");
  require(store.digest() == before, "a check leaves no trace");
  // A CHECK is judged where work is evaluated, not again here: a change that nobody evaluated may still break one.
  if (const auto made = store.install(change); !made) {
    return require(made.error().code == ErrorCode::corruption, "a change that cannot be made stops the node");
  }
  const auto snapshot = store.snapshot();
  require(snapshot.has_value(), "a snapshot can be taken");
}

}  // namespace

void run_changes(ByteView bytes) {
  Input input(bytes);
  const bool raw = input.flag();
  const ByteView rest = input.rest();
  if (raw) {
    static_cast<void>(sql::changeset_of(rest));
    const auto change = sql::decode_change(rest);
    if (!change) return;
    const Bytes again = sql::encode_change(*change);
    const auto twice = sql::decode_change(again);
    require(twice && sql::encode_change(*twice) == again, "a change comes back as it was");
  }
  const auto store = store_with_rows();
  if (raw) return judge(*store, rest);
  // version, kind, schema, then what came in.
  Bytes change;
  ByteWriter(change).u8(1).u8(1).u64(schema_of(*store)).raw(rest);
  judge(*store, change);
}

std::vector<Bytes> changes_seeds() {
  const auto store = store_with_rows();
  constexpr std::size_t head = 10;
  std::vector<Bytes> seeds;
  for (const char* text :
       {"INSERT INTO p VALUES(3, 'three')", "UPDATE c SET n = n + 1 WHERE a = 'x'", "DELETE FROM c WHERE a = 'y'",
        "UPDATE p SET name = name || '!'", "INSERT INTO c VALUES('z', 3, 1, 5) RETURNING *",
        "CREATE TABLE t(a PRIMARY KEY)", "UPDATE c SET a = 'q' WHERE n > (SELECT min(id) FROM p)",
        "REPLACE INTO p VALUES(9, 'two2')"}) {
    const Bytes change = change_by(*store, {SqlStatement{text, {}}});
    seeds.emplace_back(Seed().byte(1).rest(change));
    seeds.emplace_back(Seed().byte(0).rest(ByteView(change).substr(head)));
  }
  seeds.emplace_back(Seed().byte(1).rest(change_by(*store, {KvPut{"k", "v"}, KvGet{"g"}, KvAdd{"n", 5, 0, 10}})));
  return seeds;
}

}  // namespace assent::fuzz
