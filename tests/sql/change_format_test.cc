#include "sql_adapter/change_format.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "sql_adapter/database.h"
#include "sql_adapter/lock_keys.h"

namespace assent::sql {
namespace {

Change sample() {
  RowsChange rows;
  rows.guards = {{.kind = GuardKind::row,
                  .table = "a",
                  .key = {ValueView::of(std::int64_t{7}), ValueView::of_text("x")},
                  .value = 99},
                 {.kind = GuardKind::absent_row, .table = "a", .key = {ValueView::of_blob("\x00\xff")}, .value = 0},
                 {.kind = GuardKind::table, .table = "b", .key = {}, .value = 3}};
  TableChange table{.table = "t", .key_flags = {1, 0, 0}, .rows = {}};
  const RowView full = {ValueView::of(std::numeric_limits<std::int64_t>::min()), ValueView::of(-0.5),
                        ValueView::of_null()};
  table.rows.push_back({.op = RowOp::insert, .before = {}, .after = full});
  table.rows.push_back({.op = RowOp::remove, .before = full, .after = {}});
  table.rows.push_back({.op = RowOp::update,
                        .before = {ValueView::of(std::int64_t{1}), ValueView::of_text(""), {}},
                        .after = {{}, ValueView::of_text("new"), {}},
                        .before_hash = 0xFEDCBA9876543210ULL});
  rows.tables.push_back(table);
  return {.schema = 0x1122334455667788ULL, .body = rows};
}

TEST(ChangeFormat, ReadsWhatItWrote) {
  const Bytes bytes = encode_change(sample());
  const auto read = decode_change(bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, sample());
  const Change schema{.schema = 5, .body = SchemaChange{{"CREATE TABLE t(a)", ""}}};
  EXPECT_EQ(*decode_change(encode_change(schema)), schema);
}

// The bytes are on disks and in logs: a change of them is a new version of the format.
TEST(ChangeFormat, HasTheseBytes) {
  RowsChange rows;
  rows.guards = {{.kind = GuardKind::table, .table = "b", .key = {}, .value = 3}};
  rows.tables.push_back({.table = "t",
                         .key_flags = {1, 0},
                         .rows = {{.op = RowOp::update,
                                   .before = {ValueView::of_text("k"), ValueView::of(std::int64_t{1})},
                                   .after = {{}, ValueView::of(std::int64_t{2})},
                                   .before_hash = 0xAB}}});
  std::string hex;
  for (const char byte : encode_change({.schema = 9, .body = rows})) {
    hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  EXPECT_EQ(hex,
            "0101"
            "0900000000000000"
            "01000000"
            "03"
            "01000000"
            "62"
            "0300000000000000"
            "1e000000"
            "54"
            "02"
            "0100"
            "7400"
            "17"
            "00"
            "03016b"
            "010000000000000001"
            "00"
            "010000000000000002"
            "ab00000000000000");
}

TEST(ChangeFormat, EveryCutIsMalformed) {
  const Bytes bytes = encode_change(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_change(ByteView(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(decode_change(bytes + "x"));
}

TEST(ChangeFormat, GarbageGivesAValueOrAnError) {
  const Bytes good = encode_change(sample());
  Rng rng(1);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes = good;
    if (rng.chance(0.2)) {
      bytes.resize(rng.below(200));
      for (char& byte : bytes) byte = static_cast<char>(rng.below(256));
      if (bytes.size() > 1) bytes[0] = 1, bytes[1] = static_cast<char>(rng.between(1, 2));
    }
    for (std::uint64_t flips = rng.between(1, 4); flips > 0 && !bytes.empty(); --flips) {
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    }
    const auto read = decode_change(bytes);
    if (read) {
      EXPECT_EQ(*decode_change(encode_change(*read)), *read);
    }
  }
}

TEST(ChangeFormat, HugeCountsTakeNoMemory) {
  Bytes bytes = encode_change({.schema = 0, .body = RowsChange{}});
  for (std::size_t i = 10; i < 14; ++i) bytes[i] = '\xff';  // the number of guards
  EXPECT_FALSE(decode_change(bytes));
}

// Made by SQLite's session extension, read by us.
TEST(ChangeFormat, ReadsChangesetsOfTheSessionExtension) {
  auto db = Database::open(":memory:");
  ASSERT_TRUE(db);
  ASSERT_TRUE((*db)->execute(
      "CREATE TABLE t(a TEXT, b INTEGER PRIMARY KEY, c); INSERT INTO t VALUES('x', 1, 2.5), (NULL, 2, x'00')"));
  sqlite3_preupdate_hook((*db)->handle(), nullptr, nullptr);  // the session takes the hook's place
  sqlite3_session* session = nullptr;
  ASSERT_EQ(sqlite3session_create((*db)->handle(), "main", &session), SQLITE_OK);
  ASSERT_EQ(sqlite3session_attach(session, nullptr), SQLITE_OK);
  const std::string long_text(70'000, 'z');  // a varint of three bytes
  ASSERT_TRUE((*db)->execute("INSERT INTO t VALUES('" + long_text +
                             "', 3, 7); DELETE FROM t WHERE b = 1; UPDATE t SET c = 8 WHERE b = 2"));
  int size = 0;
  void* data = nullptr;
  ASSERT_EQ(sqlite3session_changeset(session, &size, &data), SQLITE_OK);
  const Bytes theirs(static_cast<const char*>(data), static_cast<std::size_t>(size));
  sqlite3_free(data);
  sqlite3session_delete(session);

  // In place of our own, empty changeset; one UPDATE needs one hash.
  Bytes bytes = encode_change({.schema = 0, .body = RowsChange{}});
  bytes.resize(bytes.size() - 4);
  const auto put = [&](std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  };
  put(theirs.size(), 4);
  bytes += theirs;
  put(42, 8);
  const auto read = decode_change(bytes);
  ASSERT_TRUE(read) << read.error().message;
  const auto& tables = std::get<RowsChange>(read->body).tables;
  ASSERT_EQ(tables.size(), 1U);
  EXPECT_EQ(tables[0].table, "t");
  EXPECT_EQ(tables[0].key_flags, (std::vector<std::uint8_t>{0, 1, 0}));
  ASSERT_EQ(tables[0].rows.size(), 3U);
  EXPECT_EQ(*changeset_of(encode_change(*read)), theirs) << "and written by us it is the same";
}

TEST(LockKeys, HoldEqualWhatSqliteHoldsEqual) {
  const auto key = [](const ValueView& value) { return key_of(std::array{value}); };
  EXPECT_EQ(key(ValueView::of(std::int64_t{5})), key(ValueView::of(5.0)));
  EXPECT_EQ(key(ValueView::of(0.0)), key(ValueView::of(-0.0)));
  EXPECT_NE(key(ValueView::of(std::int64_t{5})), key(ValueView::of(5.5)));
  EXPECT_NE(key(ValueView::of(std::int64_t{5})), key(ValueView::of_text("5")));
  EXPECT_NE(key(ValueView::of_text("5")), key(ValueView::of_blob("5")));
  EXPECT_NE(key_of(std::array{ValueView::of_text("a"), ValueView::of_text("bc")}),
            key_of(std::array{ValueView::of_text("ab"), ValueView::of_text("c")}));
  EXPECT_NE(key(ValueView::of(9223372036854775807.0)), key(ValueView::of(std::numeric_limits<std::int64_t>::max())));
}

TEST(LockKeys, StrongestModeOfEachKeyInOrder) {
  LockSet locks;
  locks.add("b", LockMode::shared);
  locks.add("a", LockMode::shared);
  locks.add("b", LockMode::intention_exclusive);
  locks.add("a", LockMode::intention_shared);
  EXPECT_EQ(locks.take(), (std::vector<LockRequest>{{"a", LockMode::shared}, {"b", LockMode::exclusive}}));
}

}  // namespace
}  // namespace assent::sql
