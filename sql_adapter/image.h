// A store's database as one string of bytes, the way back, and a digest of what it means. The bytes:
//
//   snapshot := "ASNTSQL1" , XXH3-64 of the rest u64 , database file (SQLite 3, rollback-journal header)
//
// The database is a page image: equal contents may have unequal images; compare digests. Called from sqlite_store.cc,
// with no transaction open on the connection (snapshot, restore) or in any state (digest).
#pragma once

#include "sql_adapter/database.h"
#include "sql_adapter/rows.h"
#include "sql_adapter/schema.h"

namespace assent::sql {

[[nodiscard]] Result<Bytes> take_image(Database& db);
// The image as a database of its own, in memory. corruption when the bytes are not such an image, or its pages
// contradict each other.
[[nodiscard]] Result<std::unique_ptr<Database>> open_image(ByteView image);
// Replaces the whole content in one SQLite transaction: a crash or an error leaves the old.
[[nodiscard]] Result<void> copy_content(Database& from, Database& to);

// Over the schema's text and all rows of all tables of users and of assent_kv, in primary-key order.
[[nodiscard]] Result<std::uint64_t> digest_of_rows(Rows& rows, const Schema& schema);

// What marks a database file as ours; in its header.
inline constexpr std::int64_t application_id = 0x41534E54;  // "ASNT"
inline constexpr std::int64_t format_version = 1;

}  // namespace assent::sql
