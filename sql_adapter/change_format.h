// The bytes of a change: what evaluate() found, what the log replicates, what check() judges and install() makes.
//
//   change    := version u8 (1) , kind u8 , schema u64 , body
//   schema    := fingerprint of the schema's text under which it was made (Schema::fingerprint)
//   body of kind 1, rows
//             := guards u32 , guard * ,
//                changeset bytes ,                        -- SQLite's own format, see below
//                u64 *                                    -- for each UPDATE in the changeset, in order: row_hash() of
//                the
//                                                            whole row before it
//   guard     := 1 u8 , table bytes , key bytes , u64     -- a row that was read: row_hash() of it
//              | 2 u8 , table bytes , key bytes           -- a row that was read and is absent
//              | 3 u8 , table bytes , u64                 -- a table that was read as a whole: its version
//   key       := primary-key values in key order, as record values
//   body of kind 2, schema
//             := statements u32 , bytes *                 -- run in order
//
// Integers are little-endian and bytes have a u32 length in front (base/byte_codec.h). The changeset is what SQLite's
// session extension writes and reads (https://sqlite.org/session/intro.html, format in the comment of
// sqlite3session.c):
//
//   changeset := table *
//   table     := 'T' , columns varint , flag byte * , name , NUL , record *      -- flag: non-zero in the primary key
//   record    := 18 , indirect byte , new values          -- INSERT
//              | 9  , indirect byte , old values          -- DELETE
//              | 23 , indirect byte , old values , new values   -- UPDATE: the key and changed columns; 0 for the
//              others
//
// A row stands in a changeset at most once, except that a DELETE and an INSERT of one key mean a key that changed its
// spelling only (5 to 5.0). Tables stand in ascending order of name, rows of a table in ascending order of lock key.
//
// Reading is total: any bytes give a Change or a malformed error, and what is allocated is bounded by what came in.
// Whether a change fits the tables is for check() to say. Pure; views point into the bytes that were read.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "sql_adapter/value.h"

namespace assent::sql {

enum class RowOp : std::uint8_t { remove = 9, insert = 18, update = 23 };

struct RowChange {
  RowOp op = RowOp::insert;
  RowView before = {};            // of DELETE and UPDATE, one per column
  RowView after = {};             // of INSERT and UPDATE, one per column
  std::uint64_t before_hash = 0;  // of UPDATE
  bool operator==(const RowChange&) const = default;
};

struct TableChange {
  std::string_view table;
  std::vector<std::uint8_t> key_flags;  // one per column
  std::vector<RowChange> rows;
  bool operator==(const TableChange&) const = default;
};

enum class GuardKind : std::uint8_t { row = 1, absent_row = 2, table = 3 };

struct Guard {
  GuardKind kind = GuardKind::row;
  std::string_view table;
  RowView key;              // of a row
  std::uint64_t value = 0;  // hash of a row, version of a table
  bool operator==(const Guard&) const = default;
};

struct RowsChange {
  std::vector<Guard> guards;
  std::vector<TableChange> tables;
  bool operator==(const RowsChange&) const = default;
};

struct SchemaChange {
  std::vector<std::string_view> statements;
  bool operator==(const SchemaChange&) const = default;
};

struct Change {
  std::uint64_t schema = 0;
  std::variant<RowsChange, SchemaChange> body;
  bool operator==(const Change&) const = default;
};

[[nodiscard]] Bytes encode_change(const Change& change);
[[nodiscard]] Result<Change> decode_change(ByteView bytes);

// Record values up to the end of the bytes; nothing when they are no such values.
[[nodiscard]] std::optional<RowView> decode_values(ByteView bytes);

// The changeset alone, for tools that know SQLite's format.
[[nodiscard]] Result<ByteView> changeset_of(ByteView change);

}  // namespace assent::sql
