#include "support.h"

#include <fmt/format.h>
#include <stdlib.h>

#include "sql_adapter/value.h"

namespace assent::testing {

TxnId txn(std::uint64_t number) { return TxnId::make(ClusterMillis(1'000 + number), number, number); }

std::unique_ptr<SqliteStore> open_store(const SqliteOptions& options) {
  auto store = SqliteStore::open(options);
  EXPECT_TRUE(store) << store.error().message;
  return store ? std::move(*store) : nullptr;
}

SqliteOptions quick() {
  SqliteOptions out;
  out.instructions_max = 1'000'000;
  out.change_bytes_max = 256U << 10U;  // reached before the instructions are
  return out;
}

Shard::Shard(SqliteOptions options) : leader_(open_store(options)) {
  options.path = ":memory:";
  follower_ = open_store(options);
}

Evaluation Shard::evaluate(const Work& work) {
  auto evaluation = leader_->evaluate(work);
  EXPECT_TRUE(evaluation) << evaluation.error().message;
  return evaluation ? *evaluation : Evaluation{};
}

void Shard::install(const Evaluation& evaluation) {
  const Effects& effects = evaluation.effects;
  for (SqliteStore* store : {leader_.get(), follower_.get()}) {
    if (!effects.change.empty()) {
      const auto checked = store->check(effects.change);
      ASSERT_TRUE(checked) << checked.error().message;
      const auto installed = store->install(effects.change);
      ASSERT_TRUE(installed) << installed.error().message;
    }
    for (const CounterAdd& add : effects.adds) {
      const auto added = store->add(add.key, add.delta);
      ASSERT_TRUE(added) << added.error().message;
    }
  }
}

WorkResult Shard::run(const Work& work) {
  const Evaluation evaluation = evaluate(work);
  install(evaluation);
  return evaluation.result;
}

Refusal Shard::refuse(const Work& work) {
  const std::uint64_t before = *leader_->digest();
  auto evaluation = leader_->evaluate(work);
  EXPECT_FALSE(evaluation) << "this should be refused";
  EXPECT_EQ(*leader_->digest(), before) << "refused work left a trace";
  return evaluation ? Refusal{} : evaluation.error();
}

std::string show_rows(const std::vector<std::vector<SqlValue>>& rows) {
  std::string out;
  for (const auto& row : rows) {
    if (!out.empty()) out += ";";
    for (std::size_t i = 0; i < row.size(); ++i) out += (i == 0 ? "" : "|") + sql::show(sql::view(row[i]));
  }
  return out;
}

std::string Shard::rows(const std::string& statement) {
  auto answer = leader_->query({sql(statement)});
  EXPECT_TRUE(answer) << answer.error().message;
  return answer ? show_rows(answer->result.front().rows) : std::string();
}

void Shard::expect_replicas_equal() {
  EXPECT_EQ(*leader_->digest(), *follower_->digest());
  auto third = open_store({});
  const auto snapshot = leader_->snapshot();
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  const auto restored = third->restore(*snapshot);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(*leader_->digest(), *third->digest());
}

bool compatible_works(Shard& shard, const Work& a, const Work& b) {
  LockTable table;
  table.acquire(txn(1), shard.evaluate(a).effects.locks);
  return table.free(shard.evaluate(b).effects.locks, txn(2));
}

Directory::Directory() {
  std::string name = (std::filesystem::temp_directory_path() / "assent-sql-XXXXXX").string();
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  path_ = name;
}

Directory::~Directory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace assent::testing
