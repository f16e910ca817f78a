// The evaluator's operations on keys and values.
#include <fmt/format.h>

#include <array>

#include "participant/escrow.h"
#include "sql_adapter/counters.h"
#include "sql_adapter/evaluator.h"
#include "sql_adapter/evaluator_run.h"
#include "sql_adapter/refusals.h"

namespace assent::sql {

namespace {

std::string show_bytes(const std::optional<Bytes>& value) {
  return value ? show(ValueView::of_text(*value)) : std::string("nothing");
}

}  // namespace

tl::expected<std::optional<Bytes>, Refusal> Evaluator::kv_read(Run& run, const std::string& key) {
  auto out = kv_look(run, key);
  const std::array key_values = {ValueView::of_blob(key)};
  if (out) run.footprint.read_row(*run.schema.find(kv_table), own(key_values));
  return out;
}

tl::expected<std::optional<Bytes>, Refusal> Evaluator::kv_look(const Run& run, const std::string& key) {
  if (key.empty()) return tl::unexpected(refusal(AbortReason::invalid, "a key is empty"));
  if (key.size() > options_.statement_bytes_max) {
    return tl::unexpected(too_large_refusal("a key", options_.statement_bytes_max));
  }
  const Table& table = *run.schema.find(kv_table);
  std::optional<Bytes> out;
  const std::array key_values = {ValueView::of_blob(key)};
  auto looked = rows_.look(table, key_values, [&](std::span<const ValueView> row) {
    if (!row.empty()) out = Bytes(row[1].bytes);
  });
  if (!looked) return failed(looked.error());
  return out;
}

Evaluator::Done Evaluator::kv_write(Run& run, const std::string& key, const Bytes& value) {
  if (value.size() > options_.statement_bytes_max) {
    return tl::unexpected(too_large_refusal("a value", options_.statement_bytes_max));
  }
  auto before = kv_read(run, key);
  if (!before) return tl::unexpected(std::move(before.error()));
  if (auto done = begin_savepoint(run.wrote); !done) return done;
  const Table& table = *run.schema.find(kv_table);
  const std::array key_values = {ValueView::of_blob(key)};
  const std::array row = {ValueView::of_blob(key), ValueView::of_blob(value)};
  const std::array after = {ValueView{}, ValueView::of_blob(value)};
  auto written = *before ? rows_.update(table, key_values, after) : rows_.insert(table, row);
  if (run.capture.too_large()) return tl::unexpected(too_large_refusal("the rows written", options_.change_bytes_max));
  if (!written) return failed(written.error());
  return {};
}

Evaluator::Done Evaluator::run_get(Run& run, const KvGet& operation) {
  auto value = kv_read(run, operation.key);
  if (!value) return tl::unexpected(std::move(value.error()));
  OperationResult result;
  if (*value) {
    result.columns = {"value"};
    run.result_bytes += (*value)->size();
    if (run.result_bytes > options_.result_bytes_max) {
      return tl::unexpected(too_large_refusal("the rows returned", options_.result_bytes_max));
    }
    result.rows.push_back({SqlBlob{std::move(**value)}});
  }
  return add_result(run, std::move(result));
}

Evaluator::Done Evaluator::run_put(Run& run, const KvPut& operation) {
  if (!run.writable) return tl::unexpected(read_only_refusal());
  if (auto done = kv_write(run, operation.key, operation.value); !done) return done;
  OperationResult result;
  result.rows_affected = 1;
  return add_result(run, std::move(result));
}

Evaluator::Done Evaluator::run_erase(Run& run, const KvErase& operation) {
  if (!run.writable) return tl::unexpected(read_only_refusal());
  auto before = kv_read(run, operation.key);
  if (!before) return tl::unexpected(std::move(before.error()));
  OperationResult result;
  if (*before) {
    if (auto done = begin_savepoint(run.wrote); !done) return done;
    const std::array key_values = {ValueView::of_blob(operation.key)};
    if (auto removed = rows_.remove(*run.schema.find(kv_table), key_values); !removed) return failed(removed.error());
    result.rows_affected = 1;
  }
  return add_result(run, std::move(result));
}

Evaluator::Done Evaluator::run_expect(Run& run, const KvExpect& operation) {
  auto value = kv_read(run, operation.key);
  if (!value) return tl::unexpected(std::move(value.error()));
  if (*value != operation.value) {
    const std::string key = show(ValueView::of_text(operation.key));
    return tl::unexpected(refusal(
        AbortReason::constraint,
        fmt::format("key {} holds {} where {} was expected", key, show_bytes(*value), show_bytes(operation.value)),
        fmt::format("expect {}", key)));
  }
  return add_result(run, {});
}

namespace {

tl::unexpected<Refusal> add_refusal(const KvAdd& add, const std::string& what, const std::string& rule) {
  const std::string key = show(ValueView::of_text(add.key));
  return tl::unexpected(refusal(AbortReason::constraint, fmt::format("adding {} to key {} {}", add.delta, key, what),
                                fmt::format("add {}: {}", key, rule)));
}

}  // namespace

// Whether the bounds hold is for those to say who know what else is being added.
Evaluator::Done Evaluator::run_escrowed_add(Run& run, const KvAdd& operation, std::int64_t value) {
  Run::Counter& counter = run.adds[counter_of_key(operation.key)];
  counter.value = value;
  counter.name = operation.key;
  if (!join(counter.add, operation)) return add_refusal(operation, "leaves its bounds whatever it holds", "bounds");
  OperationResult result;
  result.rows_affected = 1;
  return add_result(run, std::move(result));
}

Evaluator::Done Evaluator::run_add(Run& run, const KvAdd& operation) {
  if (!run.writable) return tl::unexpected(read_only_refusal());
  const bool counts = run.counters.contains(operation.key);
  auto before = kv_look(run, operation.key);
  if (!before) return tl::unexpected(std::move(before.error()));
  const std::array key_values = {ValueView::of_blob(operation.key)};
  if (!counts) run.footprint.read_row(*run.schema.find(kv_table), own(key_values));
  if (counts) run.footprint.count_row(*run.schema.find(kv_table), key_of(key_values));
  const auto no = [&](const std::string& what, const std::string& rule) { return add_refusal(operation, what, rule); };
  const auto value = *before ? decimal(**before) : 0;
  if (!value) return no(fmt::format("needs a decimal integer there, not {}", show_bytes(*before)), "integer");
  if (counts) return run_escrowed_add(run, operation, *value);
  std::int64_t sum = 0;
  if (__builtin_add_overflow(*value, operation.delta, &sum)) return no("overflows", "64 bits");
  if (operation.floor && sum < *operation.floor) {
    return no(fmt::format("gives {}, below its floor {}", sum, *operation.floor),
              fmt::format("floor {}", *operation.floor));
  }
  if (operation.ceiling && sum > *operation.ceiling) {
    return no(fmt::format("gives {}, above its ceiling {}", sum, *operation.ceiling),
              fmt::format("ceiling {}", *operation.ceiling));
  }
  if (auto done = kv_write(run, operation.key, std::to_string(sum)); !done) return done;
  OperationResult result;
  if (!operation.escrow) {
    result.columns = {"value"};
    result.rows.push_back({SqlValue(sum)});
  }
  result.rows_affected = 1;
  return add_result(run, std::move(result));
}

}  // namespace assent::sql
