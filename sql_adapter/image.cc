#include "sql_adapter/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/byte_codec.h"
#include "base/digest.h"

namespace assent::sql {
namespace {

constexpr ByteView magic = "ASNTSQL1";
constexpr std::size_t header_bytes = 16;
constexpr std::size_t sqlite_header_bytes = 100;
constexpr std::size_t journal_mode_offset = 18;  // write and read format: 1 rollback journal, 2 WAL
constexpr char rollback_journal = 1;

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
  file.get()[journal_mode_offset] = file.get()[journal_mode_offset + 1] = rollback_journal;
  const ByteView pages(reinterpret_cast<const char*>(file.get()), static_cast<std::size_t>(size));
  Bytes out;
  out.reserve(header_bytes + pages.size());
  ByteWriter(out).raw(magic).u64(xxh3(pages)).raw(pages);
  return out;
}

// ---- in steps ----

class ImageCopy::Data final : public SnapshotData {
 public:
  explicit Data(std::unique_ptr<ImageCopy> copy) : copy_(std::move(copy)) {
    ByteWriter(header_).raw(magic).u64(copy_->sum_.value());
  }
  [[nodiscard]] std::uint64_t size() const override { return header_.size() + copy_->size_; }
  [[nodiscard]] Result<void> copy(std::uint64_t offset, std::uint64_t size, Bytes& out) const override {
    if (offset < header_.size()) {
      const ByteView part = ByteView(header_).substr(offset, size);
      out += part;
      offset += part.size();
      size -= part.size();
    }
    return size > 0 ? copy_->read(offset - header_.size(), size, out) : Result<void>();
  }

 private:
  std::unique_ptr<ImageCopy> copy_;
  Bytes header_;
};

Result<std::uint64_t> bytes_of(Database& db) {
  const auto pages = number(db.handle(), "PRAGMA page_count");
  const auto page_bytes = number(db.handle(), "PRAGMA page_size");
  if (!pages || !page_bytes) return fail(db.error(sqlite3_errcode(db.handle()), "making a snapshot"));
  return static_cast<std::uint64_t>(*pages * *page_bytes);
}

// Room for what the database has now and a quarter more: growing would move all of it at once.
Result<std::unique_ptr<Database>> open_in_memory(std::uint64_t bytes) {
  auto to = Database::open(":memory:");
  if (!to) return fail(to.error());
  sqlite3* const handle = (*to)->handle();
  const auto room = static_cast<sqlite3_int64>(bytes / 4 * 5 + (1 << 20));
  auto* const memory = static_cast<unsigned char*>(sqlite3_malloc64(static_cast<sqlite3_uint64>(room)));
  if (memory == nullptr) return fail(ErrorCode::io, "there is no memory for a snapshot");
  const int code = sqlite3_deserialize(handle, "main", memory, 0, room,
                                       SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
  if (code != SQLITE_OK) return fail((*to)->error(code, "making a snapshot"));
  sqlite3_int64 most = sqlite3_int64{1} << 40U;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_SIZE_LIMIT, &most);
  if (auto done = (*to)->execute("PRAGMA synchronous=OFF"); !done) return fail(done.error());
  return to;
}

Result<std::unique_ptr<Database>> open_in_file(const std::string& path) {
  DatabaseFile scratch;
  scratch.path = path;
  scratch.scratch = true;
  return Database::open(scratch);
}

Result<std::unique_ptr<ImageCopy>> ImageCopy::begin(Database& from, const Place& place) {
  const auto bytes = bytes_of(from);
  if (!bytes) return fail(bytes.error());
  const bool in_file = !place.path.empty() && *bytes > place.memory_bytes_max;
  auto to = in_file ? open_in_file(place.path) : open_in_memory(*bytes);
  if (!to) return fail(to.error());
  sqlite3* const handle = (*to)->handle();
  std::unique_ptr<ImageCopy> copy(new ImageCopy(from, std::move(*to)));
  copy->backup_ = sqlite3_backup_init(handle, "main", from.handle(), "main");
  if (copy->backup_ == nullptr) return fail(copy->to_->error(sqlite3_errcode(handle), "making a snapshot"));
  return copy;
}

ImageCopy::~ImageCopy() { end_backup(); }

void ImageCopy::end_backup() {
  if (backup_ != nullptr) sqlite3_backup_finish(std::exchange(backup_, nullptr));
}

Result<bool> ImageCopy::copy(std::size_t bytes) {
  constexpr std::size_t page_bytes = 4096;  // SQLite's default; others make the steps larger or smaller
  constexpr std::uint64_t rounds_max = 4;
  const int pages = static_cast<int>(std::clamp<std::size_t>(bytes / page_bytes, 1, 1U << 20U));
  const int code = sqlite3_backup_step(backup_, steps_left_ == 1 ? -1 : pages);
  if (code == SQLITE_OK) {
    const int all = sqlite3_backup_pagecount(backup_);
    if (steps_left_ == 0) steps_left_ = rounds_max * (static_cast<std::uint64_t>(all / pages) + 16);
    if (steps_left_ > 1) --steps_left_;
    return false;
  }
  if (code != SQLITE_DONE) {
    const bool writing = (code & 0xFF) == SQLITE_FULL || code == SQLITE_IOERR_WRITE;
    return fail((writing ? *to_ : from_).error(code, "making a snapshot"));
  }
  end_backup();
  if (auto done = freeze(); !done) return fail(done.error());
  return true;
}

sqlite3_file* file_of(Database& db) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(db.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  return file;
}

Result<void> ImageCopy::freeze() {
  sqlite3_file* const file = file_of(*to_);
  sqlite3_int64 size = 0;
  const int code = file->pMethods->xFileSize(file, &size);
  if (code != SQLITE_OK) return fail(to_->error(code, "reading a snapshot"));
  if (size < static_cast<sqlite3_int64>(sqlite_header_bytes)) {
    return fail(ErrorCode::io, "SQLite made a snapshot of no pages");
  }
  size_ = static_cast<std::uint64_t>(size);
  return {};
}

Result<void> ImageCopy::read(std::uint64_t offset, std::uint64_t size, Bytes& out) const {
  constexpr std::uint64_t read_bytes_max = 1ULL << 30U;  // SQLite takes an int
  sqlite3_file* const file = file_of(*to_);
  const std::size_t begin = out.size();
  out.resize(begin + size);
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t part = std::min(size - done, read_bytes_max);
    const int code = file->pMethods->xRead(file, out.data() + begin + done, static_cast<int>(part),
                                           static_cast<sqlite3_int64>(offset + done));
    if (code != SQLITE_OK) return fail(to_->error(code, "reading a snapshot"));
    done += part;
  }
  for (const std::size_t at : {journal_mode_offset, journal_mode_offset + 1}) {
    if (at >= offset && at < offset + size) out[begin + at - offset] = rollback_journal;
  }
  return {};
}

Result<bool> ImageCopy::sum(std::size_t bytes) {
  Bytes part;
  const std::uint64_t size = std::min<std::uint64_t>(std::max<std::size_t>(bytes, 1), size_ - summed_);
  if (auto done = read(summed_, size, part); !done) return fail(done.error());
  sum_.add(part);
  summed_ += size;
  return summed_ == size_;
}

SnapshotDataPtr ImageCopy::finish(std::unique_ptr<ImageCopy> copy) { return std::make_shared<Data>(std::move(copy)); }

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
