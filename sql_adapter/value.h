// A SQL value borrowed from wherever it lives (a statement's column, a decoded change, an owned SqlValue), and the
// three forms it takes here: owned, in a changeset's record, and in a lock key.
//
// Pure: knows nothing of SQLite's connection. A view is valid as long as what it borrows from.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "txn_proto/types.h"

namespace assent::sql {

// The numbers are those of SQLite's changeset format.
enum class ValueType : std::uint8_t { undefined = 0, integer = 1, real = 2, text = 3, blob = 4, null = 5 };

struct ValueView {
  ValueType type = ValueType::undefined;
  std::int64_t integer = 0;
  double real = 0;
  ByteView bytes = {};  // of text and blob

  [[nodiscard]] static ValueView of_null() { return {.type = ValueType::null}; }
  [[nodiscard]] static ValueView of(std::int64_t value) { return {.type = ValueType::integer, .integer = value}; }
  [[nodiscard]] static ValueView of(double value) { return {.type = ValueType::real, .real = value}; }
  [[nodiscard]] static ValueView of_text(ByteView value) { return {.type = ValueType::text, .bytes = value}; }
  [[nodiscard]] static ValueView of_blob(ByteView value) { return {.type = ValueType::blob, .bytes = value}; }
  // Same type and same bits: 1 and 1.0 differ, and so do 0.0 and -0.0.
  [[nodiscard]] bool operator==(const ValueView& other) const;
};

using Row = std::vector<SqlValue>;
using RowView = std::vector<ValueView>;

[[nodiscard]] ValueView view(const SqlValue& value);
[[nodiscard]] SqlValue own(const ValueView& value);  // undefined becomes NULL
[[nodiscard]] RowView view(const Row& row);
[[nodiscard]] Row own(std::span<const ValueView> row);
[[nodiscard]] std::size_t size_of(const SqlValue& value);

// A value in the record format of SQLite's changesets: a type byte; integers and reals as 8 bytes, most significant
// first; text and blobs after a varint length.
void append_record_value(Bytes& out, const ValueView& value);
void append_varint(Bytes& out, std::uint64_t value);
// XXH3-64 of a row in that format.
[[nodiscard]] std::uint64_t row_hash(std::span<const ValueView> row);

// A value inside a lock key: values that SQLite's BINARY comparison holds equal have equal bytes, others do not, and no
// value's bytes are a prefix of another's. So 5 and 5.0 are one.
void append_key_value(Bytes& out, const ValueView& value);
[[nodiscard]] Bytes key_of(std::span<const ValueView> values);

// For messages to people: 'alice', 42, x'0aff', NULL, or the values of a key with commas; cut when long.
[[nodiscard]] std::string show(const ValueView& value);
[[nodiscard]] std::string show(std::span<const ValueView> values);

}  // namespace assent::sql
