// Microseconds of a bank transfer on one shard's SQLite store: run the work, check and install its effects.
//   build/release/bin/sql_bench
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/check.h"
#include "sql_adapter/sqlite_store.h"

namespace assent {
namespace {

constexpr int accounts = 10'000;

std::unique_ptr<SqliteStore> bank() {
  auto store = SqliteStore::open({});
  ASSENT_CHECK(store.has_value(), "the store opens");
  const auto run = [&](const Work& work) {
    auto evaluation = (*store)->evaluate(work);
    ASSENT_CHECK(evaluation.has_value(), evaluation ? "" : evaluation.error().message.c_str());
    ASSENT_CHECK((*store)->install(evaluation->effects.change).has_value(), "installs");
    ASSENT_CHECK((*store)->commit().has_value(), "commits");
  };
  run({SqlStatement{"CREATE TABLE accounts(id TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK(balance >= 0))", {}},
       SqlStatement{"CREATE TABLE transfers(id TEXT PRIMARY KEY, account TEXT NOT NULL, amount INTEGER NOT NULL)",
                    {}}});
  for (int i = 0; i < accounts; i += 100) {
    Work work;
    for (int j = i; j < i + 100; ++j) {
      work.push_back(SqlStatement{"INSERT INTO accounts VALUES(?, 1000000000)", {fmt::format("account-{}", j)}});
    }
    run(work);
  }
  return std::move(*store);
}

Work transfer(std::int64_t number) {
  const std::string account = fmt::format("account-{}", number * 7919 % accounts);
  return {SqlStatement{"UPDATE accounts SET balance = balance - ? WHERE id = ?", {std::int64_t{1}, account}},
          SqlStatement{"INSERT INTO transfers VALUES(?, ?, ?)",
                       {fmt::format("transfer-{}", number), account, std::int64_t{1}}}};
}

void evaluate_transfer(benchmark::State& state) {
  auto store = bank();
  std::int64_t number = 0;
  for ([[maybe_unused]] auto _ : state) {
    auto evaluation = store->evaluate(transfer(++number));
    ASSENT_CHECK(evaluation.has_value(), "a transfer runs");
    benchmark::DoNotOptimize(evaluation);
  }
}
BENCHMARK(evaluate_transfer)->Unit(benchmark::kMicrosecond);

void evaluate_update_only(benchmark::State& state) {
  auto store = bank();
  std::int64_t number = 0;
  for ([[maybe_unused]] auto _ : state) {
    auto evaluation = store->evaluate({transfer(++number).front()});
    benchmark::DoNotOptimize(evaluation);
  }
}
BENCHMARK(evaluate_update_only)->Unit(benchmark::kMicrosecond);

void query_balance(benchmark::State& state) {
  auto store = bank();
  for ([[maybe_unused]] auto _ : state) {
    auto evaluation =
        store->query({SqlStatement{"SELECT balance FROM accounts WHERE id = ?", {std::string("account-7")}}});
    benchmark::DoNotOptimize(evaluation);
  }
}
BENCHMARK(query_balance)->Unit(benchmark::kMicrosecond);

void check_transfer(benchmark::State& state) {
  auto store = bank();
  const auto evaluation = store->evaluate(transfer(1));
  for ([[maybe_unused]] auto _ : state) {
    ASSENT_CHECK(store->check(evaluation->effects.change).has_value(), "fits");
  }
}
BENCHMARK(check_transfer)->Unit(benchmark::kMicrosecond);

// What a replica does for each transfer: check, two records, install, its share of the commits.
void apply_transfer(benchmark::State& state) {
  auto store = bank();
  std::int64_t number = 0;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    const auto evaluation = store->evaluate(transfer(++number));
    const TxnId txn = TxnId::make(ClusterMillis(static_cast<std::uint64_t>(number)), 1, 1);
    state.ResumeTiming();
    ASSENT_CHECK(store->check(evaluation->effects.change).has_value(), "fits");
    ASSENT_CHECK(store->put_record(txn, evaluation->effects.change).has_value(), "puts");
    ASSENT_CHECK(store->install(evaluation->effects.change).has_value(), "installs");
    ASSENT_CHECK(store->put_record(txn, "committed").has_value(), "puts");
    store->set_applied(Index(static_cast<std::uint64_t>(number)));
    ASSENT_CHECK(store->checkpoint().has_value(), "commits");
  }
}
BENCHMARK(apply_transfer)->Unit(benchmark::kMicrosecond);

void evaluate_and_apply_transfer(benchmark::State& state) {
  auto store = bank();
  std::int64_t number = 0;
  for ([[maybe_unused]] auto _ : state) {
    const auto evaluation = store->evaluate(transfer(++number));
    ASSENT_CHECK(store->check(evaluation->effects.change).has_value(), "fits");
    ASSENT_CHECK(store->install(evaluation->effects.change).has_value(), "installs");
    ASSENT_CHECK(store->checkpoint().has_value(), "commits");
  }
}
BENCHMARK(evaluate_and_apply_transfer)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace assent

BENCHMARK_MAIN();
