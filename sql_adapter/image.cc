#include "sql_adapter/image.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "base/byte_codec.h"
#include "base/digest.h"

namespace assent::sql {
namespace {

constexpr ByteView magic = "ASNTSQL1";
constexpr std::size_t header_bytes = 16;
constexpr std::size_t sqlite_header_bytes = 100;
constexpr std::size_t journal_mode_offset = 18;  // write and read format: 1 rollback journal, 2 WAL

tl::unexpected<Error> not_a_snapshot(std::string_view why) {
  return fail(ErrorCode::corruption, fmt::format("the bytes are not a snapshot of this store: {}", why));
}

// The pages as the content of a database in memory.
Result<void> take_pages(Database& db, ByteView file) {
  auto* copy = static_cast<unsigned char*>(sqlite3_malloc64(file.size()));
  if (copy == nullptr) return fail(ErrorCode::io, "there is no memory for a snapshot");
  std::memcpy(copy, file.data(), file.size());
  const auto size = static_cast<sqlite3_int64>(file.size());
  const int code = sqlite3_deserialize(db.handle(), "main", copy, size, size, SQLITE_DESERIALIZE_FREEONCLOSE);
  return code == SQLITE_OK ? Result<void>() : Result<void>(not_a_snapshot(db.message()));
}

Result<std::int64_t> number(sqlite3* db, const char* sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v2(db, sql, -1, &raw, nullptr);
  Statement statement(raw);
  if (code != SQLITE_OK || statement.step() != SQLITE_ROW) return not_a_snapshot(sqlite3_errmsg(db));
  return std::int64_t{sqlite3_column_int64(raw, 0)};
}

// Pages that contradict each other: the checksum vouches for what was sent, not for what it was made of.
Result<void> check_pages(Database& db) {
  const auto found = db.rows("PRAGMA quick_check(1)");
  if (!found) return not_a_snapshot(found.error().message);
  const bool good = found->size() == 1 && view(found->front().front()).bytes == "ok";
  return good ? Result<void>() : Result<void>(not_a_snapshot("its pages are damaged"));
}

Result<void> check_identity(sqlite3* db) {
  const auto id = number(db, "PRAGMA application_id");
  if (!id) return fail(id.error());
  if (*id != application_id) return not_a_snapshot("it is a database of something else");
  const auto version = number(db, "PRAGMA user_version");
  if (!version) return fail(version.error());
  if (*version > format_version) {
    return fail(ErrorCode::unsupported,
                fmt::format("the snapshot has format {}, and this build knows {}: use a newer build", *version,
                            format_version));
  }
  const auto tables =
      number(db, "SELECT count(*) FROM sqlite_schema WHERE name IN ('assent_kv', 'assent_record', 'assent_meta')");
  if (!tables) return fail(tables.error());
  return *tables == 3 ? Result<void>() : Result<void>(not_a_snapshot("it lacks tables of the store"));
}

}  // namespace

// By way of a copy in memory: sqlite3_serialize() puts zeros for a page that it cannot read, and does not say so.
Result<Bytes> take_image(Database& db) {
  auto copy = Database::open(":memory:");
  if (!copy) return fail(copy.error());
  sqlite3_backup* backup = sqlite3_backup_init((*copy)->handle(), "main", db.handle(), "main");
  if (backup == nullptr) return fail((*copy)->error(sqlite3_errcode((*copy)->handle()), "making a snapshot"));
  const int stepped = sqlite3_backup_step(backup, -1);
  sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE) return fail(db.error(stepped, "making a snapshot"));
  sqlite3_int64 size = 0;
  std::unique_ptr<unsigned char, void (*)(void*)> file(sqlite3_serialize((*copy)->handle(), "main", &size, 0),
                                                       sqlite3_free);
  if (file == nullptr || size < static_cast<sqlite3_int64>(sqlite_header_bytes)) {
    return fail(ErrorCode::io, fmt::format("SQLite could not make a snapshot: {}", db.message()));
  }
  file.get()[journal_mode_offset] = file.get()[journal_mode_offset + 1] = 1;
  const ByteView pages(reinterpret_cast<const char*>(file.get()), static_cast<std::size_t>(size));
  Bytes out;
  out.reserve(header_bytes + pages.size());
  ByteWriter(out).raw(magic).u64(xxh3(pages)).raw(pages);
  return out;
}

Result<std::unique_ptr<Database>> open_image(ByteView image) {
  ByteReader in(image);
  const ByteView found = in.raw(magic.size());
  const std::uint64_t sum = in.u64();
  if (!in.ok() || found != magic) return not_a_snapshot("it does not begin as one");
  const ByteView file = in.raw(in.remaining());
  if (file.size() < sqlite_header_bytes || xxh3(file) != sum) return not_a_snapshot("its checksum is wrong");
  auto db = Database::open(":memory:");
  if (!db) return db;
  if (auto done = take_pages(**db, file); !done) return fail(done.error());
  if (auto done = check_identity((*db)->handle()); !done) return fail(done.error());
  if (auto done = check_pages(**db); !done) return fail(done.error());
  return db;
}

Result<void> copy_content(Database& from, Database& to) {
  sqlite3_backup* backup = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (backup == nullptr) return fail(to.error(sqlite3_errcode(to.handle()), "restoring a snapshot"));
  const int stepped = sqlite3_backup_step(backup, -1);
  const int code = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE) return fail(to.error(code == SQLITE_OK ? stepped : code, "restoring a snapshot"));
  return {};
}

Result<std::uint64_t> digest_of_rows(Rows& rows, const Schema& schema) {
  Digest out;
  out.add(schema.fingerprint());
  for (const auto& [name, table] : schema.tables()) {
    if (table->key.empty() || (table->internal && name != "assent_kv")) continue;
    out.add(table->name);
    const auto add = [&](std::span<const ValueView> row) { out.add(row_hash(row)); };
    if (auto done = rows.each(*table, add); !done) return fail(done.error());
  }
  return out.value();
}

}  // namespace assent::sql
