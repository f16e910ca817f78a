// Operations, values and their results between plain structs and protobuf, for the two families of messages that share
// their shape: assent.v1 (the API, text is a UTF-8 string) and assent.wire (logs and messages, text is bytes). The
// family is the template argument, one of the two structs below.
#pragma once

#include "base/result.h"
#include "txn_proto/types.h"

namespace assent {

// A family names its message types: Value, Operation, OperationResult, and whether text must be UTF-8. Text that is not
// goes out as a blob there, so that a reader gets the bytes and no message fails to parse.
template <class F>
struct ValueCodec {
  using Value = typename F::Value;
  using OperationMessage = typename F::Operation;
  using ResultMessage = typename F::OperationResult;

  static void encode(const SqlValue& from, Value& to);
  [[nodiscard]] static SqlValue decode(const Value& from);  // an unset kind is null

  static void encode(const Operation& from, OperationMessage& to);
  // malformed when no kind is set.
  [[nodiscard]] static Result<Operation> decode(const OperationMessage& from);

  static void encode(const OperationResult& from, ResultMessage& to);
  [[nodiscard]] static OperationResult decode(const ResultMessage& from);
};

// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates.
[[nodiscard]] bool is_utf8(std::string_view text);

// ---- implementation
// --------------------------------------------------------------------------------------------------

template <class F>
void ValueCodec<F>::encode(const SqlValue& from, Value& to) {
  if (std::holds_alternative<SqlNull>(from)) to.mutable_null();
  if (const auto* integer = std::get_if<std::int64_t>(&from)) to.set_integer(*integer);
  if (const auto* real = std::get_if<double>(&from)) to.set_real(*real);
  if (const auto* blob = std::get_if<SqlBlob>(&from)) to.set_blob(blob->bytes);
  if (const auto* text = std::get_if<std::string>(&from)) {
    if (F::text_is_utf8 && !is_utf8(*text)) {
      to.set_blob(*text);
    } else {
      to.set_text(*text);
    }
  }
}

template <class F>
SqlValue ValueCodec<F>::decode(const Value& from) {
  switch (from.kind_case()) {
    case Value::kInteger: return from.integer();
    case Value::kReal: return from.real();
    case Value::kText: return from.text();
    case Value::kBlob: return SqlBlob{from.blob()};
    case Value::kNull:
    case Value::KIND_NOT_SET: return SqlNull{};
  }
  return SqlNull{};
}

namespace detail {

template <class F>
struct EncodeOperation {
  typename F::Operation& to;
  void operator()(const SqlStatement& op) const {
    auto& sql = *to.mutable_sql();
    sql.set_text(op.text);
    for (const SqlValue& value : op.parameters) ValueCodec<F>::encode(value, *sql.add_parameters());
    if (op.expected) sql.set_expected(*op.expected);
  }
  void operator()(const KvGet& op) const {
    to.mutable_get()->set_key(op.key);
    if (op.expected) to.mutable_get()->set_expected(*op.expected);
  }
  void operator()(const KvPut& op) const {
    to.mutable_put()->set_key(op.key);
    to.mutable_put()->set_value(op.value);
  }
  void operator()(const KvErase& op) const { to.mutable_erase()->set_key(op.key); }
  void operator()(const KvExpect& op) const {
    to.mutable_expect()->set_key(op.key);
    if (op.value) to.mutable_expect()->set_value(*op.value);
  }
  void operator()(const KvAdd& op) const {
    auto& add = *to.mutable_add();
    add.set_key(op.key);
    add.set_delta(op.delta);
    if (op.floor) add.set_floor(*op.floor);
    if (op.ceiling) add.set_ceiling(*op.ceiling);
    if (op.escrow) add.set_escrow(true);
  }
};

template <class F, class Sql>
SqlStatement decode_sql(const Sql& from) {
  SqlStatement statement{from.text(), {}};
  statement.parameters.reserve(static_cast<std::size_t>(from.parameters_size()));
  for (const auto& value : from.parameters()) statement.parameters.push_back(ValueCodec<F>::decode(value));
  if (from.has_expected()) statement.expected = from.expected();
  return statement;
}

template <class Get>
KvGet decode_get(const Get& from) {
  KvGet get{from.key()};
  if (from.has_expected()) get.expected = from.expected();
  return get;
}

template <class Expect>
KvExpect decode_expect(const Expect& from) {
  KvExpect expect{from.key(), std::nullopt};
  if (from.has_value()) expect.value = from.value();
  return expect;
}

template <class Add>
KvAdd decode_add(const Add& from) {
  KvAdd add{from.key(), from.delta(), std::nullopt, std::nullopt};
  if (from.has_floor()) add.floor = from.floor();
  if (from.has_ceiling()) add.ceiling = from.ceiling();
  add.escrow = from.escrow();
  return add;
}

}  // namespace detail

template <class F>
void ValueCodec<F>::encode(const Operation& from, OperationMessage& to) {
  std::visit(detail::EncodeOperation<F>{to}, from);
}

template <class F>
Result<Operation> ValueCodec<F>::decode(const OperationMessage& from) {
  switch (from.kind_case()) {
    case OperationMessage::kSql: return detail::decode_sql<F>(from.sql());
    case OperationMessage::kGet: return detail::decode_get(from.get());
    case OperationMessage::kPut: return KvPut{from.put().key(), from.put().value()};
    case OperationMessage::kErase: return KvErase{from.erase().key()};
    case OperationMessage::kExpect: return detail::decode_expect(from.expect());
    case OperationMessage::kAdd: return detail::decode_add(from.add());
    case OperationMessage::KIND_NOT_SET: break;
  }
  return fail(ErrorCode::malformed, "an operation has no kind; set one of sql, get, put, erase, expect, add");
}

template <class F>
void ValueCodec<F>::encode(const OperationResult& from, ResultMessage& to) {
  for (const std::string& column : from.columns) to.add_columns(F::text_is_utf8 && !is_utf8(column) ? "?" : column);
  for (const auto& row : from.rows) {
    auto& out = *to.add_rows();
    for (const SqlValue& value : row) encode(value, *out.add_values());
  }
  to.set_rows_affected(from.rows_affected);
}

template <class F>
OperationResult ValueCodec<F>::decode(const ResultMessage& from) {
  OperationResult result;
  result.columns.assign(from.columns().begin(), from.columns().end());
  result.rows.reserve(static_cast<std::size_t>(from.rows_size()));
  for (const auto& row : from.rows()) {
    auto& out = result.rows.emplace_back();
    out.reserve(static_cast<std::size_t>(row.values_size()));
    for (const auto& value : row.values()) out.push_back(decode(value));
  }
  result.rows_affected = from.rows_affected();
  return result;
}

}  // namespace assent
