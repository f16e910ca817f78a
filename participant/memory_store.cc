#include "participant/memory_store.h"

#include <fmt/format.h>

#include <charconv>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "base/utf8.h"
#include "participant/escrow.h"
#include "txn_proto/sight.h"

namespace assent {
namespace {

constexpr std::string_view lock_prefix = "kv/";

using Value = std::optional<Bytes>;  // absent is a value too

struct Change {
  std::string key;
  Value before;
  Value after;
};

void write(ByteWriter& out, const Value& value) { out.u8(value ? 1 : 0).bytes(value ? ByteView(*value) : ByteView()); }

Value read_value(ByteReader& in) {
  const bool present = in.u8() != 0;
  const ByteView bytes = in.bytes();
  if (!present) return std::nullopt;
  return Bytes(bytes);
}

Result<std::vector<Change>> decode_change(ByteView bytes) {
  if (bytes.empty()) return std::vector<Change>();  // nothing is written
  ByteReader in(bytes);
  const std::uint32_t count = in.u32();
  std::vector<Change> changes;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    Change& change = changes.emplace_back();
    change.key = in.bytes();
    change.before = read_value(in);
    change.after = read_value(in);
  }
  if (!in.complete()) return fail(ErrorCode::corruption, "a change of the memory store is damaged");
  return changes;
}

Refusal refuse(AbortReason reason, std::string message, std::string constraint = {}) {
  return Refusal{.reason = reason,
                 .participant = {},
                 .message = std::move(message),
                 .constraint = std::move(constraint),
                 .holder = {}};
}

OperationResult one_row(SqlValue value) {
  OperationResult result;
  result.columns = {"value"};
  result.rows = {{std::move(value)}};
  return result;
}

std::optional<std::int64_t> decimal(const Value& value) {
  if (!value) return 0;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (error != std::errc() || end != value->data() + value->size()) return std::nullopt;
  return number;
}

// The work as it runs on a copy of what it touches.
class Run {
 public:
  Run(const std::map<std::string, Bytes>& rows, const Work& work) : rows_(rows), counters_(counters_of(work)) {}

  std::optional<Refusal> operator()(const SqlStatement&) {
    return refuse(AbortReason::invalid, "this shard keeps keys and values only; it runs no SQL");
  }
  std::optional<Refusal> operator()(const KvGet& op) {
    const Value& value = touch(op.key, LockMode::shared);
    results.push_back(value ? one_row(SqlBlob{*value}) : OperationResult{});
    return std::nullopt;
  }
  std::optional<Refusal> operator()(const KvPut& op) {
    touch(op.key, LockMode::exclusive) = op.value;
    results.emplace_back().rows_affected = 1;
    return std::nullopt;
  }
  std::optional<Refusal> operator()(const KvErase& op) {
    Value& value = touch(op.key, LockMode::exclusive);
    results.emplace_back().rows_affected = value ? 1 : 0;
    value.reset();
    return std::nullopt;
  }
  std::optional<Refusal> operator()(const KvExpect& op) {
    if (touch(op.key, LockMode::shared) != op.value) {
      return refuse(AbortReason::constraint, fmt::format("the key '{}' has not the expected value", op.key),
                    fmt::format("expect {}", op.key));
    }
    results.emplace_back();
    return std::nullopt;
  }
  std::optional<Refusal> operator()(const KvAdd& op) {
    const bool counts = counters_.contains(op.key);
    Value& value = touch(op.key, counts ? LockMode::escrow : LockMode::exclusive);
    const auto before = decimal(value);
    if (!before) {
      return refuse(AbortReason::constraint, fmt::format("the key '{}' holds no integer", op.key),
                    fmt::format("integer {}", op.key));
    }
    std::int64_t sum = 0;
    const bool within = counts ? join(touched_.at(op.key).add, op)
                               : !__builtin_add_overflow(*before, op.delta, &sum) && sum >= op.floor.value_or(sum) &&
                                     sum <= op.ceiling.value_or(sum);
    if (!within) {
      return refuse(AbortReason::constraint, fmt::format("adding {} to '{}' leaves its bounds", op.delta, op.key),
                    fmt::format("bounds {}", op.key));
    }
    if (!counts) value = std::to_string(sum);
    results.push_back(op.escrow ? OperationResult{} : one_row(sum));
    results.back().rows_affected = 1;
    return std::nullopt;
  }

  [[nodiscard]] Evaluation evaluation() {
    Evaluation evaluation;
    evaluation.result = std::move(results);
    Effects& effects = evaluation.effects;
    std::uint32_t written = 0;
    Bytes body;
    ByteWriter out(body);
    for (const auto& [key, row] : touched_) {
      effects.locks.push_back(LockRequest{.key = Bytes(lock_prefix) + key, .mode = row.mode});
      if (row.mode == LockMode::escrow) {
        effects.adds.push_back(row.add);
        effects.adds.back().key = key;
        evaluation.counters.push_back(decimal(row.before).value_or(0));
      }
      if (row.mode != LockMode::exclusive) continue;
      ++written;
      out.bytes(key);
      write(out, row.before);
      write(out, row.after);
    }
    if (written > 0) ByteWriter(effects.change).u32(written).raw(body);
    return evaluation;
  }

  WorkResult results;

 private:
  struct Row {
    Value before;
    Value after;
    LockMode mode = LockMode::shared;
    CounterAdd add = {};  // with escrow
  };
  Value& touch(const std::string& key, LockMode mode) {
    const auto [place, fresh] = touched_.try_emplace(key);
    Row& row = place->second;
    if (fresh) {
      const auto stored = rows_.find(key);
      if (stored != rows_.end()) row.before = row.after = stored->second;
    }
    if (mode != LockMode::shared) row.mode = mode;
    return row.after;
  }

  const std::map<std::string, Bytes>& rows_;
  std::set<std::string_view> counters_;
  std::map<std::string, Row> touched_;
};

}  // namespace

Result<void> MemoryStore::check(ByteView change) const {
  auto changes = decode_change(change);
  if (!changes) return fail(changes.error());
  for (const Change& one : *changes) {
    if (get(one.key) != one.before) {
      return fail(ErrorCode::conflict, fmt::format("the key '{}' changed since it was read", one.key));
    }
  }
  return {};
}

Result<void> MemoryStore::install(ByteView change) {
  auto changes = decode_change(change);
  if (!changes) return fail(changes.error());
  for (const Change& one : *changes) {
    if (one.after) {
      rows_[one.key] = *one.after;
    } else {
      rows_.erase(one.key);
    }
  }
  return {};
}

Result<std::int64_t> MemoryStore::counter(std::string_view key) const {
  const auto value = decimal(get(std::string(key)));
  if (!value) return fail(ErrorCode::conflict, fmt::format("the key '{}' holds no integer", key));
  return *value;
}

Result<void> MemoryStore::add(std::string_view key, std::int64_t delta) {
  const auto value = counter(key);
  std::int64_t sum = 0;
  if (!value || __builtin_add_overflow(*value, delta, &sum)) {
    return fail(ErrorCode::corruption, fmt::format("a counter that was judged cannot be added to: '{}'", key));
  }
  rows_[std::string(key)] = std::to_string(sum);
  return {};
}

Result<void> MemoryStore::put_record(const TxnId& txn, ByteView record) {
  records_[txn] = Bytes(record);
  ++records_put_;
  return {};
}

Result<void> MemoryStore::erase_record(const TxnId& txn) {
  records_.erase(txn);
  return {};
}

Result<std::map<TxnId, Bytes>> MemoryStore::records() const { return records_; }

Result<void> MemoryStore::put_machine_record(ByteView record) {
  machine_record_ = Bytes(record);
  return {};
}

Result<Bytes> MemoryStore::machine_record() const { return machine_record_; }

Result<Bytes> MemoryStore::snapshot() {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(1).id(applied_).bytes(machine_record_).u64(rows_.size());
  for (const auto& [key, value] : rows_) out.bytes(key).bytes(value);
  out.u64(records_.size());
  for (const auto& [txn, record] : records_) out.txn(txn).bytes(record);
  return bytes;
}

Result<void> MemoryStore::restore(ByteView snapshot) {
  ByteReader in(snapshot);
  const bool known = in.u8() == 1;
  MemoryStore loaded;
  loaded.applied_ = in.id<Index>();
  loaded.machine_record_ = in.bytes();
  for (std::uint64_t left = in.u64(); left > 0 && in.ok(); --left) {
    std::string key(in.bytes());
    loaded.rows_[std::move(key)] = in.bytes();
  }
  for (std::uint64_t left = in.u64(); left > 0 && in.ok(); --left) {
    const TxnId txn = in.txn();
    loaded.records_[txn] = in.bytes();
  }
  if (!known || !in.complete()) return fail(ErrorCode::corruption, "not a snapshot of a memory store");
  loaded.records_put_ = records_put_;
  *this = std::move(loaded);
  return {};
}

Result<std::unique_ptr<Store>> MemoryStore::image(ByteView snapshot) const {
  auto store = std::make_unique<MemoryStore>();
  if (auto restored = store->restore(snapshot); !restored) return fail(restored.error());
  return store;
}

Result<std::uint64_t> MemoryStore::digest() {
  Digest digest;
  digest.add(rows_.size());
  for (const auto& [key, value] : rows_) digest.add(key).add(value);
  digest.add(records_.size());
  for (const auto& [txn, record] : records_) digest.add(txn).add(record);
  digest.add(machine_record_);
  return digest.value();
}

tl::expected<Evaluation, Refusal> MemoryStore::evaluate(const Work& work) {
  Run run(rows_, work);
  for (const Operation& operation : work) {
    if (auto refusal = std::visit(run, operation)) return tl::unexpected<Refusal>(std::move(*refusal));
    if (!as_expected(operation, run.results.back())) {
      return tl::unexpected<Refusal>(refuse(AbortReason::conflict, "what it read before has changed"));
    }
  }
  return run.evaluation();
}

tl::expected<Evaluation, Refusal> MemoryStore::query(const Work& work) {
  for (const Operation& operation : work) {
    if (!std::holds_alternative<KvGet>(operation)) {
      return tl::unexpected<Refusal>(refuse(AbortReason::invalid, "a query only reads"));
    }
  }
  return evaluate(work);
}

std::string MemoryStore::lock_name(ByteView key) const {
  return as_name(key.substr(std::min(key.size(), lock_prefix.size())), sight_key_bytes_max);
}

std::optional<Bytes> MemoryStore::get(const std::string& key) const {
  const auto found = rows_.find(key);
  if (found == rows_.end()) return std::nullopt;
  return found->second;
}

}  // namespace assent
