// A shard's snapshot over SQLite: pages that nobody wrote, with a right checksum. What is taken over must answer,
// whatever it answers; what is refused leaves the old content.
#include "base/check.h"
#include "base/digest.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "fuzz/samples.h"
#include "participant/shard.h"
#include "sql_adapter/sqlite_store.h"

namespace assent::fuzz {
namespace {

constexpr ByteView magic = "ASNTSQL1";

std::unique_ptr<SqliteStore> open_store() {
  SqliteOptions options;
  options.instructions_max = 200'000;
  auto opened = SqliteStore::open(options);
  ASSENT_CHECK(opened, "a database in memory opens");
  return std::move(*opened);
}

void install(SqliteStore& store, const Work& work) {
  const auto made = store.evaluate(work);
  ASSENT_CHECK(made && store.check(made->effects.change) && store.install(made->effects.change),
               "a sample can be made");
}

// Errors are welcome, crashes are not.
void use(SqliteStore& store) {
  static_cast<void>(store.digest());
  static_cast<void>(store.records());
  static_cast<void>(store.machine_record());
  static_cast<void>(store.query({SqlStatement{"SELECT * FROM t", {}}, KvGet{"k"}}));
  const auto found = store.evaluate({SqlStatement{"UPDATE t SET b = b + 1", {}}, KvPut{"k", "new"}});
  if (found && store.check(found->effects.change)) static_cast<void>(store.install(found->effects.change));
  Shard shard({.self = GroupId(1), .window = {}});
  if (shard.load(store)) {
    static_cast<void>(shard.apply({Epoch(1), Index(1), ClusterMillis(sample_millis)}, SealWork{sample_txn(1)}, store));
  }
  static_cast<void>(store.checkpoint());
  static_cast<void>(store.snapshot());
}

}  // namespace

void run_sqlite_image(ByteView bytes) {
  Bytes image;
  ByteWriter(image).raw(magic).u64(xxh3(bytes)).raw(bytes);
  const auto store = open_store();
  install(*store, {KvPut{"old", "content"}});
  const auto before = store->digest();
  if (store->restore(image)) return use(*store);
  require(store->digest() == before, "a snapshot that was refused changed nothing");
}

std::vector<Bytes> sqlite_image_seeds() {
  const auto store = open_store();
  install(*store, {SqlStatement{"CREATE TABLE t(a TEXT PRIMARY KEY, b INTEGER UNIQUE, c REFERENCES t(a))", {}}});
  install(*store, {SqlStatement{"INSERT INTO t VALUES('x', 1, NULL), ('y', 2, 'x')", {}}, KvPut{"k", "v"}});
  ASSENT_CHECK(store->put_record(sample_txn(1), "record") && store->put_machine_record("machine"), "records are kept");
  const Bytes image = *store->snapshot();
  return {image.substr(magic.size() + 8)};
}

}  // namespace assent::fuzz
