#include "txn_proto/api_pieces.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

namespace assent::api_pieces {

std::string Place::text() const {
  std::string path = parent == nullptr ? std::string() : parent->text();
  if (!path.empty() && !field.empty()) path += '.';
  path += field;
  if (item >= 0) path += fmt::format("[{}]", item);
  return path;
}

tl::unexpected<Error> bad(const Place& place, std::string_view what, ErrorCode code) {
  const std::string path = place.text();
  return fail(code, path.empty() ? std::string(what) : fmt::format("{}: {}", path, what));
}

namespace {

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

// ---- what the codec of values does not judge ----

using Problem = std::optional<Error>;

Problem check(const api::Value& value, const Place& place) {
  if (value.kind_case() == api::Value::KIND_NOT_SET) {
    return bad(place, "has no kind; set null, integer, real, text or blob").value();
  }
  if (value.kind_case() == api::Value::kReal && std::isnan(value.real())) {
    return bad(place, "is not a number; SQL has NULL for that").value();
  }
  return std::nullopt;
}

Problem check(const api::SqlStatement& sql, const Place& place) {
  const Place text{&place, "text"};
  if (sql.text().empty()) return bad(text, "is empty; it takes exactly one SQL statement").value();
  if (has_nul(sql.text())) return bad(text, "contains a NUL character").value();
  for (int i = 0; i < sql.parameters_size(); ++i) {
    if (Problem problem = check(sql.parameters(i), Place{&place, "parameters", i})) return problem;
  }
  return std::nullopt;
}

Problem check(const api::KvAdd& add, const Place& place) {
  if (add.key().empty()) return bad(Place{&place, "key"}, "is empty").value();
  if (add.has_floor() && add.has_ceiling() && add.floor() > add.ceiling()) {
    const std::string what = fmt::format("{} is above the ceiling {}", add.floor(), add.ceiling());
    return bad(Place{&place, "floor"}, what).value();
  }
  return std::nullopt;
}

Problem check_key(const std::string& key, const Place& operation, std::string_view kind) {
  if (!key.empty()) return std::nullopt;
  const Place place{&operation, kind};
  return bad(Place{&place, "key"}, "is empty").value();
}

Problem check(const api::Operation& operation, const Place& place) {
  switch (operation.kind_case()) {
    case api::Operation::kSql: return check(operation.sql(), Place{&place, "sql"});
    case api::Operation::kGet: return check_key(operation.get().key(), place, "get");
    case api::Operation::kPut: return check_key(operation.put().key(), place, "put");
    case api::Operation::kErase: return check_key(operation.erase().key(), place, "erase");
    case api::Operation::kExpect: return check_key(operation.expect().key(), place, "expect");
    case api::Operation::kAdd: return check(operation.add(), Place{&place, "add"});
    case api::Operation::KIND_NOT_SET: break;
  }
  return bad(place, "has no kind; set sql, get, put, erase, expect or add").value();
}

Problem check(const api::OperationResult& result, const Place& place) {
  for (int i = 0; i < result.rows_size(); ++i) {
    const Place row{&place, "rows", i};
    for (int j = 0; j < result.rows(i).values_size(); ++j) {
      if (Problem problem = check(result.rows(i).values(j), Place{&row, "values", j})) return problem;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<SqlValue> read(const api::Value& value, const Place& place) {
  if (Problem problem = check(value, place)) return fail(std::move(*problem));
  return Codec::decode(value);
}

Result<Operation> read(const api::Operation& operation, const Place& place) {
  if (Problem problem = check(operation, place)) return fail(std::move(*problem));
  return Codec::decode(operation);
}

Result<OperationResult> read(const api::OperationResult& result, const Place& place) {
  if (Problem problem = check(result, place)) return fail(std::move(*problem));
  return Codec::decode(result);
}
Result<TxnId> read_txn(const std::string& text, const Place& place) {
  if (text.empty()) return bad(place, "is missing; it takes 32 hexadecimal digits (a UUIDv7 without dashes)");
  const std::optional<TxnId> id = TxnId::from_hex(text);
  if (!id) return bad(place, fmt::format("\"{:.40}\" is not a transaction id: 32 hexadecimal digits, no dashes", text));
  if (id->none()) return bad(place, "is all zeros, which is no transaction id");
  return *id;
}

Result<std::uint64_t> read_millis(std::uint32_t millis, const Place& place) {
  if (millis > timeout_millis_max)
    return bad(place, fmt::format("{} is above the maximum {}", millis, timeout_millis_max));
  return ticks_of_millis(millis);
}

Result<GroupId> read_shard(const std::string& name, const GroupDirectory& groups, const Place& place) {
  if (name.empty()) return bad(place, "is missing; it takes the name of a shard");
  const GroupDirectory::Group* group = groups.find(name);
  if (group == nullptr) {
    return bad(place, fmt::format("there is no shard \"{:.63}\"; there are {}", name, groups.list(GroupKind::shard)),
               ErrorCode::not_found);
  }
  if (group->kind != GroupKind::shard) {
    return bad(place, fmt::format("{} is a coordinator group; the shards are {}", name, groups.list(GroupKind::shard)));
  }
  return group->id;
}

Result<Protocol> read(api::Protocol protocol, const Place& place) {
  switch (protocol) {
    case api::AUTO: return Protocol::automatic;
    case api::ONE_PHASE: return Protocol::one_phase;
    case api::TWO_PHASE: return Protocol::two_phase;
    case api::THREE_PHASE: return Protocol::three_phase;
    case api::PAXOS_COMMIT: return Protocol::paxos_commit;
    default: break;
  }
  return bad(place, fmt::format("{} is not a protocol; 0 auto, 1 one-phase, 2 two-phase, 3 three-phase, 4 paxos-commit",
                                static_cast<int>(protocol)));
}

Result<Mode> read(api::Mode mode, const Place& place) {
  switch (mode) {
    case api::ATOMIC: return Mode::atomic;
    case api::TCC: return Mode::tcc;
    case api::SAGA: return Mode::saga;
    case api::CONCURRENT_SAGA: return Mode::concurrent_saga;
    default: break;
  }
  return bad(place,
             fmt::format("{} is not a mode; 0 atomic, 1 tcc, 2 saga, 3 concurrent-saga", static_cast<int>(mode)));
}

Result<TxnState> read(api::TxnState state, const Place& place) {
  switch (state) {
    case api::UNKNOWN: return TxnState::unknown;
    case api::RUNNING: return TxnState::running;
    case api::PREPARED: return TxnState::prepared;
    case api::COMMITTED: return TxnState::committed;
    case api::ABORTED: return TxnState::aborted;
    case api::EXPIRED: return TxnState::expired;
    default: break;
  }
  return bad(place, fmt::format("{} is not a state that this build knows", static_cast<int>(state)));
}

}  // namespace assent::api_pieces
