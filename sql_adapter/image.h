// A store's database as one string of bytes, the way back, and a digest of what it means. The bytes:
//
//   snapshot := "ASNTSQL1" , XXH3-64 of the rest u64 , database file (SQLite 3, rollback-journal header)
//
// The database is a page image: equal contents may have unequal images; compare digests. Called from sqlite_store.cc,
// with no transaction open on the connection (snapshot, restore) or in any state (digest).
#pragma once

#include <memory>

#include "base/running_checksum.h"
#include "base/snapshot_data.h"
#include "sql_adapter/database.h"
#include "sql_adapter/rows.h"
#include "sql_adapter/schema.h"

namespace assent::sql {

[[nodiscard]] Result<Bytes> take_image(Database& db);
// The same in steps, between which the database is used as ever. Pages are copied some at a time; SQLite keeps up those
// that were copied before they changed (its backup interface, through the same connection), so that the copy is of the
// moment at which it became whole. Then its checksum is made, some bytes at a time.
class ImageCopy {
 public:
  // Where the copy is made: in memory, or, when it is larger than that, in a scratch file.
  struct Place {
    std::string path;  // empty: in memory, however large
    std::uint64_t memory_bytes_max = 0;
  };
  [[nodiscard]] static Result<std::unique_ptr<ImageCopy>> begin(Database& from, const Place& place);
  ~ImageCopy();
  ImageCopy(const ImageCopy&) = delete;
  ImageCopy& operator=(const ImageCopy&) = delete;

  // No transaction is open on the database. True: the copy is whole, and the database not needed any more.
  [[nodiscard]] Result<bool> copy(std::size_t bytes);
  // Afterwards: true when the checksum is there.
  [[nodiscard]] Result<bool> sum(std::size_t bytes);
  // Afterwards: the snapshot, which this becomes.
  [[nodiscard]] static SnapshotDataPtr finish(std::unique_ptr<ImageCopy> copy);

 private:
  class Data;
  ImageCopy(Database& from, std::unique_ptr<Database> to) : from_(from), to_(std::move(to)) {}
  void end_backup();
  [[nodiscard]] Result<void> freeze();
  // Appends bytes of the whole copy.
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::uint64_t size, Bytes& out) const;

  Database& from_;
  std::unique_ptr<Database> to_;  // a scratch file, or one piece of memory
  sqlite3_backup* backup_ = nullptr;
  std::uint64_t steps_left_ = 0;  // where each commit makes SQLite begin again, the rest is copied at once after these
  std::uint64_t size_ = 0;        // of the whole copy
  std::uint64_t summed_ = 0;
  RunningChecksum sum_;
};

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
