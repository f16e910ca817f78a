#include "sql_adapter/value.h"

#include <bit>
#include <cmath>

#include "base/digest.h"

namespace assent::sql {
namespace {

void append_big_endian(Bytes& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

// The integer that a real stands for exactly, when there is one.
bool as_integer(double real, std::int64_t& integer) {
  if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0) || std::trunc(real) != real) return false;
  integer = static_cast<std::int64_t>(real);
  return true;
}

constexpr std::size_t shown_bytes_max = 60;

}  // namespace

bool ValueView::operator==(const ValueView& other) const {
  if (type != other.type) return false;
  switch (type) {
    case ValueType::integer: return integer == other.integer;
    case ValueType::real: return std::bit_cast<std::uint64_t>(real) == std::bit_cast<std::uint64_t>(other.real);
    case ValueType::text:
    case ValueType::blob: return bytes == other.bytes;
    case ValueType::null:
    case ValueType::undefined: break;
  }
  return true;
}

ValueView view(const SqlValue& value) {
  switch (value.index()) {
    case 1: return ValueView::of(std::get<1>(value));
    case 2: return ValueView::of(std::get<2>(value));
    case 3: return ValueView::of_text(std::get<3>(value));
    case 4: return ValueView::of_blob(std::get<4>(value).bytes);
    default: return ValueView::of_null();
  }
}

SqlValue own(const ValueView& value) {
  switch (value.type) {
    case ValueType::integer: return value.integer;
    case ValueType::real: return value.real;
    case ValueType::text: return std::string(value.bytes);
    case ValueType::blob: return SqlBlob{Bytes(value.bytes)};
    case ValueType::null:
    case ValueType::undefined: break;
  }
  return SqlNull{};
}

RowView view(const Row& row) {
  RowView out;
  out.reserve(row.size());
  for (const SqlValue& value : row) out.push_back(view(value));
  return out;
}

Row own(std::span<const ValueView> row) {
  Row out;
  out.reserve(row.size());
  for (const ValueView& value : row) out.push_back(own(value));
  return out;
}

std::size_t size_of(const SqlValue& value) { return 9 + view(value).bytes.size(); }

void append_varint(Bytes& out, std::uint64_t value) {
  char digits[9];
  if (value >> 56U != 0) {  // nine bytes: the last one carries eight bits
    digits[8] = static_cast<char>(value);
    value >>= 8U;
    for (int i = 7; i >= 0; --i, value >>= 7U) digits[i] = static_cast<char>(0x80U | (value & 0x7FU));
    out.append(digits, sizeof digits);
    return;
  }
  int first = 9;
  char last_flag = 0;
  do {
    digits[--first] = static_cast<char>((value & 0x7FU) | static_cast<unsigned char>(last_flag));
    last_flag = static_cast<char>(0x80);
    value >>= 7U;
  } while (value != 0);
  out.append(digits + first, static_cast<std::size_t>(9 - first));
}

void append_record_value(Bytes& out, const ValueView& value) {
  out.push_back(static_cast<char>(value.type));
  switch (value.type) {
    case ValueType::integer: append_big_endian(out, static_cast<std::uint64_t>(value.integer)); break;
    case ValueType::real: append_big_endian(out, std::bit_cast<std::uint64_t>(value.real)); break;
    case ValueType::text:
    case ValueType::blob:
      append_varint(out, value.bytes.size());
      out.append(value.bytes);
      break;
    case ValueType::null:
    case ValueType::undefined: break;
  }
}

std::uint64_t row_hash(std::span<const ValueView> row) {
  Bytes bytes;
  for (const ValueView& value : row) append_record_value(bytes, value);
  return xxh3(bytes);
}

void append_key_value(Bytes& out, const ValueView& value) {
  std::int64_t integer = 0;
  if (value.type == ValueType::real && as_integer(value.real, integer)) {
    append_record_value(out, ValueView::of(integer));
  } else {
    append_record_value(out, value);
  }
}

Bytes key_of(std::span<const ValueView> values) {
  Bytes out;
  for (const ValueView& value : values) append_key_value(out, value);
  return out;
}

std::string show(const ValueView& value) {
  switch (value.type) {
    case ValueType::integer: return std::to_string(value.integer);
    case ValueType::real: return fmt::format("{}", value.real);
    case ValueType::text:
      if (value.bytes.size() <= shown_bytes_max) return fmt::format("'{}'", value.bytes);
      return fmt::format("'{}...'", value.bytes.substr(0, shown_bytes_max));
    case ValueType::blob: {
      std::string hex;
      for (const char byte : value.bytes.substr(0, shown_bytes_max / 2)) {
        hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
      }
      return fmt::format("x'{}{}'", hex, value.bytes.size() > shown_bytes_max / 2 ? "..." : "");
    }
    case ValueType::null:
    case ValueType::undefined: break;
  }
  return "NULL";
}

std::string show(std::span<const ValueView> values) {
  std::string out;
  for (const ValueView& value : values) {
    if (!out.empty()) out += ", ";
    out += show(value);
  }
  return out;
}

}  // namespace assent::sql
