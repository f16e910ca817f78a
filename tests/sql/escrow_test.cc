// Counters in escrow in both stores: the same random histories on the machine over each, against a map.
#include "participant/escrow.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "participant/memory_store.h"
#include "participant/shard.h"
#include "support.h"

namespace assent::testing {
namespace {

constexpr std::uint64_t start_millis = 1'000;

ShardOptions of_shard() {
  ShardOptions options;
  options.self = GroupId(1);
  return options;
}

// One replica: the machine over a store.
template <class Store>
struct Replica {
  Store& store;
  assent::Shard machine{of_shard()};

  void apply(std::uint64_t index, const ShardCommand& command) {
    const EntryContext context{Epoch(1), Index(index), ClusterMillis(start_millis)};
    ASSERT_TRUE(machine.apply(context, command, store));
    store.set_applied(context.index);
    ASSERT_TRUE(store.checkpoint());
  }
};

class EscrowHistory {
 public:
  explicit EscrowHistory(std::uint64_t seed) : rng_(seed), database_(open_store(options(seed))) {}

  void run() {
    for (int step = 0; step < 120; ++step) act();
    while (!pending_.empty()) end_one();
    check();
    EXPECT_TRUE(memory_.machine.escrow().empty());
  }
  int prepared = 0;
  int together = 0;  // at most

 private:
  struct Pending {
    std::string key;
    std::int64_t delta;
  };
  static SqliteOptions options(std::uint64_t seed) {
    SqliteOptions one = quick();
    one.changes_per_commit = seed % 3 == 0 ? 1 : 5;
    return one;
  }

  void act() {
    if (rng_.chance(0.3) && !pending_.empty()) return end_one();
    if (rng_.chance(0.05)) return restore();
    if (rng_.chance(0.05)) {  // SQLite gives up the open transaction: what was added in it must come again
      (void)database_->evaluate({sql("INSERT OR ROLLBACK INTO assent_kv VALUES(1, 2)")});
      return;
    }
    const std::string key = rng_.chance(0.6) ? "a" : "b";
    KvAdd add{key, static_cast<std::int64_t>(rng_.below(20)) - 9, {}, {}, true};
    if (rng_.chance(0.8)) add.floor = 0;
    if (rng_.chance(0.5)) add.ceiling = 40;
    propose(add, rng_.chance(0.3));
  }

  void propose(const KvAdd& add, bool one_phase) {
    const auto in_memory = memory_store_.evaluate({add});
    const auto in_database = database_->evaluate({add});
    ASSERT_TRUE(in_memory && in_database);
    ASSERT_EQ(in_memory->effects.adds, in_database->effects.adds);
    ASSERT_EQ(in_memory->counters, in_database->counters);
    ASSERT_EQ(in_memory->counters, std::vector<std::int64_t>{twin_[add.key]});
    const TxnId id = txn(++ids_);
    const auto command = [&](const Evaluation& evaluation) -> ShardCommand {
      if (one_phase) return ExecuteWork{id, 5, evaluation.effects, evaluation.result, {}};
      PrepareWork prepare;
      prepare.txn = id;
      prepare.fingerprint = 5;
      prepare.effects = evaluation.effects;
      return prepare;
    };
    apply(command(*in_memory), command(*in_database));
    const bool yes = memory_.machine.prepared(id) != nullptr;
    ASSERT_EQ(yes, sqlite_.machine.prepared(id) != nullptr);
    if (yes) pending_[id] = {add.key, add.delta};
    const FinishedTxn* finished = memory_.machine.finished(id);
    if (finished != nullptr && finished->outcome == Outcome::committed) twin_[add.key] += add.delta;
    prepared += yes ? 1 : 0;
    together = std::max(together, static_cast<int>(pending_.size()));
    check();
  }

  void end_one() {
    auto which = pending_.begin();
    std::advance(which, static_cast<std::ptrdiff_t>(rng_.below(pending_.size())));
    FinishWork finish;
    finish.txn = which->first;
    finish.commit = rng_.chance(0.7);
    if (finish.commit) twin_[which->second.key] += which->second.delta;
    pending_.erase(which);
    apply(finish, finish);
    check();
  }

  void restore() {
    auto snapshot = database_->snapshot();
    ASSERT_TRUE(snapshot);
    auto fresh = open_store(quick());
    sqlite_.store.set_applied(Index(index_));
    assent::Shard machine(of_shard());
    ASSERT_TRUE(machine.restore(*fresh, *snapshot));
    EXPECT_EQ(machine.escrow(), sqlite_.machine.escrow());
    EXPECT_EQ(machine.digest(), sqlite_.machine.digest());
    EXPECT_EQ(*fresh->digest(), *database_->digest());
  }

  void apply(const ShardCommand& to_memory, const ShardCommand& to_database) {
    ++index_;
    memory_.apply(index_, to_memory);
    sqlite_.apply(index_, to_database);
  }

  void check() {
    for (const auto& [key, value] : twin_) {
      ASSERT_EQ(*memory_store_.counter(key), value);
      ASSERT_EQ(*database_->counter(key), value);
    }
    EXPECT_EQ(memory_.machine.escrow(), sqlite_.machine.escrow());
  }

  Rng rng_;
  MemoryStore memory_store_;
  std::unique_ptr<SqliteStore> database_;
  Replica<MemoryStore> memory_{memory_store_};
  Replica<SqliteStore> sqlite_{*database_};
  std::map<std::string, std::int64_t> twin_;
  std::map<TxnId, Pending> pending_;
  std::uint64_t index_ = 0;
  std::uint64_t ids_ = 0;
};

TEST(EscrowStores, BothAgreeWithAMapOverRandomHistories) {
  int prepared = 0;
  int together = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    EscrowHistory history(seed);
    ASSERT_NO_FATAL_FAILURE(history.run()) << "seed " << seed;
    prepared += history.prepared;
    together = std::max(together, history.together);
  }
  EXPECT_GT(prepared, 500);
  EXPECT_GT(together, 5);
}

TEST(EscrowStores, ACounterIsAKeyLikeAnyOther) {
  auto store = open_store(quick());
  ASSERT_TRUE(store->add("n", -3));
  ASSERT_TRUE(store->add("n", 5));
  EXPECT_EQ(*store->counter("n"), 2);
  const auto read = store->query({KvGet{"n"}});
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<SqlBlob>(read->result[0].rows[0][0]).bytes, "2");
  const auto text = store->evaluate({KvPut{"t", "ten"}});
  ASSERT_TRUE(store->install(text->effects.change));
  EXPECT_EQ(store->counter("t").error().code, ErrorCode::conflict);
  EXPECT_EQ(store->evaluate({KvAdd{"t", 1, {}, {}, true}}).error().reason, AbortReason::constraint);
  EXPECT_EQ(store->evaluate({KvAdd{"", 1, {}, {}, true}}).error().reason, AbortReason::invalid);
}

}  // namespace
}  // namespace assent::testing
