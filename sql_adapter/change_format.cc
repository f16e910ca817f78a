#include "sql_adapter/change_format.h"

#include <bit>

#include "base/byte_codec.h"

namespace assent::sql {
namespace {

constexpr std::uint8_t format_version = 1;
constexpr std::uint8_t kind_rows = 1;
constexpr std::uint8_t kind_schema = 2;
constexpr std::uint64_t columns_max = 32'767;  // SQLite's own upper bound

// ---- changeset and key records ----

// After the first short read everything is zero and ok() stays false.
class RecordReader {
 public:
  explicit RecordReader(ByteView in) : in_(in) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return in_.empty(); }
  [[nodiscard]] std::uint8_t peek() const { return in_.empty() ? 0 : static_cast<std::uint8_t>(in_.front()); }

  std::uint8_t u8() {
    const ByteView byte = take(1);
    return byte.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(byte.front());
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) {
      const std::uint8_t byte = u8();
      value = (value << 7U) | (byte & 0x7FU);
      if ((byte & 0x80U) == 0) return value;
    }
    return (value << 8U) | u8();
  }

  ValueView value() {
    switch (const std::uint8_t type = u8(); static_cast<ValueType>(type)) {
      case ValueType::undefined: return {};
      case ValueType::null: return ValueView::of_null();
      case ValueType::integer: return ValueView::of(static_cast<std::int64_t>(big_endian()));
      case ValueType::real: return ValueView::of(std::bit_cast<double>(big_endian()));
      case ValueType::text: return ValueView::of_text(take(varint()));
      case ValueType::blob: return ValueView::of_blob(take(varint()));
    }
    ok_ = false;
    return {};
  }

  RowView row(std::size_t columns) {
    RowView out;
    for (std::size_t i = 0; i < columns && ok_; ++i) out.push_back(value());
    return out;
  }

  std::string_view name() {
    const std::size_t end = in_.find('\0');
    if (end == ByteView::npos) {
      ok_ = false;
      return {};
    }
    const std::string_view out = take(end);
    take(1);
    return out;
  }

  ByteView take(std::uint64_t size) {
    if (!ok_ || size > in_.size()) {
      ok_ = false;
      in_ = {};
      return {};
    }
    const ByteView out = in_.substr(0, static_cast<std::size_t>(size));
    in_.remove_prefix(static_cast<std::size_t>(size));
    return out;
  }

 private:
  std::uint64_t big_endian() {
    std::uint64_t value = 0;
    for (const char byte : take(8)) value = (value << 8U) | static_cast<std::uint8_t>(byte);
    return value;
  }

  ByteView in_;
  bool ok_ = true;
};

bool read_row_change(RecordReader& in, std::size_t columns, RowChange& out) {
  out.op = static_cast<RowOp>(in.u8());
  in.u8();  // indirect: of no interest here
  switch (out.op) {
    case RowOp::insert: out.after = in.row(columns); break;
    case RowOp::remove: out.before = in.row(columns); break;
    case RowOp::update:
      out.before = in.row(columns);
      out.after = in.row(columns);
      break;
    default: return false;
  }
  return in.ok();
}

bool read_changeset(ByteView bytes, std::vector<TableChange>& out) {
  RecordReader in(bytes);
  while (!in.at_end()) {
    if (in.u8() != 'T') return false;
    const std::uint64_t columns = in.varint();
    if (columns == 0 || columns > columns_max) return false;
    TableChange& table = out.emplace_back();
    for (const char flag : in.take(columns)) table.key_flags.push_back(static_cast<std::uint8_t>(flag));
    table.table = in.name();
    if (!in.ok()) return false;
    while (!in.at_end() && in.peek() != 'T') {
      if (!read_row_change(in, static_cast<std::size_t>(columns), table.rows.emplace_back())) return false;
    }
  }
  return in.ok();
}

void append_row(Bytes& out, const RowView& row) {
  for (const ValueView& value : row) append_record_value(out, value);
}

Bytes write_changeset(const std::vector<TableChange>& tables) {
  Bytes out;
  for (const TableChange& table : tables) {
    out.push_back('T');
    append_varint(out, table.key_flags.size());
    for (const std::uint8_t flag : table.key_flags) out.push_back(static_cast<char>(flag));
    out.append(table.table);
    out.push_back('\0');
    for (const RowChange& row : table.rows) {
      out.push_back(static_cast<char>(row.op));
      out.push_back('\0');
      append_row(out, row.before);
      append_row(out, row.after);
    }
  }
  return out;
}

// ---- guards ----

void write_guard(ByteWriter& out, const Guard& guard) {
  out.u8(static_cast<std::uint8_t>(guard.kind)).bytes(guard.table);
  if (guard.kind != GuardKind::table) {
    Bytes key;
    append_row(key, guard.key);
    out.bytes(key);
  }
  if (guard.kind != GuardKind::absent_row) out.u64(guard.value);
}

bool read_guard(ByteReader& in, Guard& out) {
  out.kind = static_cast<GuardKind>(in.u8());
  if (out.kind < GuardKind::row || out.kind > GuardKind::table) return false;
  out.table = in.bytes();
  if (out.kind != GuardKind::table) {
    RecordReader key(in.bytes());
    while (key.ok() && !key.at_end()) out.key.push_back(key.value());
    if (!key.ok() || out.key.empty()) return false;
  }
  if (out.kind != GuardKind::absent_row) out.value = in.u64();
  return in.ok();
}

bool read_rows(ByteReader& in, RowsChange& out) {
  const std::uint32_t guards = in.u32();
  for (std::uint32_t i = 0; i < guards; ++i) {
    if (!in.ok() || !read_guard(in, out.guards.emplace_back())) return false;
  }
  if (!read_changeset(in.bytes(), out.tables)) return false;
  for (TableChange& table : out.tables) {
    for (RowChange& row : table.rows) {
      if (row.op == RowOp::update) row.before_hash = in.u64();
    }
  }
  return in.complete();
}

bool read_schema(ByteReader& in, SchemaChange& out) {
  const std::uint32_t statements = in.u32();
  for (std::uint32_t i = 0; i < statements && in.ok(); ++i) out.statements.push_back(in.bytes());
  return in.complete();
}

}  // namespace

Bytes encode_change(const Change& change) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(format_version);
  if (const auto* schema = std::get_if<SchemaChange>(&change.body)) {
    out.u8(kind_schema).u64(change.schema).u32(static_cast<std::uint32_t>(schema->statements.size()));
    for (const std::string_view statement : schema->statements) out.bytes(statement);
    return bytes;
  }
  const auto& rows = std::get<RowsChange>(change.body);
  out.u8(kind_rows).u64(change.schema).u32(static_cast<std::uint32_t>(rows.guards.size()));
  for (const Guard& guard : rows.guards) write_guard(out, guard);
  out.bytes(write_changeset(rows.tables));
  for (const TableChange& table : rows.tables) {
    for (const RowChange& row : table.rows) {
      if (row.op == RowOp::update) out.u64(row.before_hash);
    }
  }
  return bytes;
}

Result<Change> decode_change(ByteView bytes) {
  ByteReader in(bytes);
  Change out;
  const std::uint8_t version = in.u8();
  const std::uint8_t kind = in.u8();
  out.schema = in.u64();
  if (!in.ok() || version != format_version) return fail(ErrorCode::malformed, "the change is of no known format");
  if (kind == kind_rows && read_rows(in, out.body.emplace<RowsChange>())) return out;
  if (kind == kind_schema && read_schema(in, out.body.emplace<SchemaChange>())) return out;
  return fail(ErrorCode::malformed, "the change is cut short or garbled");
}

std::optional<RowView> decode_values(ByteView bytes) {
  RecordReader in(bytes);
  RowView out;
  while (in.ok() && !in.at_end()) out.push_back(in.value());
  if (!in.ok()) return std::nullopt;
  return out;
}

Result<ByteView> changeset_of(ByteView change) {
  ByteReader in(change);
  in.u8();
  const std::uint8_t kind = in.u8();
  in.u64();
  const std::uint32_t guards = in.u32();
  for (std::uint32_t i = 0; i < guards && in.ok(); ++i) {
    Guard guard;
    if (!read_guard(in, guard)) break;
  }
  const ByteView changeset = in.bytes();
  if (!in.ok() || kind != kind_rows) return fail(ErrorCode::malformed, "the change holds no changeset");
  return changeset;
}

}  // namespace assent::sql
