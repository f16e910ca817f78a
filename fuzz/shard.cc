// A shard group's machine and driver, over a store in memory or SQLite: entries of any bytes, messages of any bytes,
// requests, elections, time. The first byte picks the store.
#include "base/check.h"
#include "fuzz/application.h"
#include "fuzz/fuzz.h"
#include "fuzz/samples.h"
#include "node/shard_app.h"
#include "participant/memory_store.h"
#include "sql_adapter/sqlite_store.h"
#include "txn_proto/wire_codec.h"

namespace assent::fuzz {
namespace {

ShardAppOptions small_options() {
  ShardAppOptions options;
  options.shard.window = {.retention_millis = 100'000, .clock_skew_max_millis = 50'000};
  options.shard.reply_bytes_max = 16;
  options.caretaker.prepare_timeout_ticks = 20;
  options.caretaker.tidy_ticks = 100;
  options.caretaker.jobs_max = 4;
  options.caretaker.waiting_max = 2;
  options.caretaker.queries_max = 2;
  options.caretaker.waiters_max = 2;
  return options;
}

std::unique_ptr<Application> make_in_memory() {
  return make_shard_application(GroupId(1), small_options(), std::make_unique<MemoryStore>()).value();
}
std::unique_ptr<Application> make_over_sqlite() {
  return make_shard_application(GroupId(1), small_options(), SqliteStore::open({}).value()).value();
}

// What a leader found for a put of a key: good for the store in memory, nonsense for the other.
Effects few_effects(Input& input) {
  MemoryStore store;
  const auto found = store.evaluate({KvPut{std::string(1, static_cast<char>('a' + input.below(3))), "v"}});
  Effects effects = found ? found->effects : Effects{};
  if (input.below(4) == 3) effects.change = Bytes(input.piece());
  return effects;
}

Bytes few_commands(Input& input) {
  const TxnId txn = few_txns(input);
  const Attempt attempt{Epoch(input.below(4)), input.below(4)};
  const std::uint64_t print = input.below(2);
  switch (input.below(8)) {
    case 0:
      return encode(ShardCommand(
          PrepareWork{txn, attempt, GroupId(9), few_groups(input), print, few_txns(input), few_effects(input), {}}));
    case 1:
      return encode(ShardCommand(RefuseWork{txn, attempt, GroupId(9), few_groups(input), print, sample_refusal()}));
    case 2: return encode(ShardCommand(ExecuteWork{txn, print, few_effects(input), sample_result(), {}}));
    case 3: return encode(ShardCommand(FinishWork{txn, attempt, input.flag()}));
    case 4: return encode(ShardCommand(SealWork{txn}));
    case 5: return encode(ShardCommand(OverrideWork{txn, input.flag(), "why"}));
    case 6: return encode(ShardCommand(ForgetOverride{txn, "done"}));
    default: return encode(ShardCommand(Tidy{}));
  }
}

}  // namespace

void run_shard(ByteView bytes) {
  Input input(bytes);
  const bool sqlite = input.below(8) == 7;
  DrivenApplication(sqlite ? make_over_sqlite : make_in_memory, few_commands).run(input);
}

std::vector<Bytes> shard_seeds() {
  std::vector<Bytes> seeds;
  for (const std::uint64_t store : {0U, 7U}) {
    Seed all;
    all.byte(store);
    for (const auto& command : sample_shard_commands()) all.byte(0).piece(encode(command));
    seeds.emplace_back(all);
    Seed life;  // lead, prepares and finishes, queries, time
    life.byte(store).byte(2);
    for (const auto& message : sample_messages())
      life.byte(6).byte(1).piece(encode(message)).byte(4).byte(0).byte(9).byte(30);
    life.byte(8).byte(0).byte(0).byte(4).byte(0).byte(2).byte(10).byte(0);
    seeds.emplace_back(life);
  }
  return seeds;
}

}  // namespace assent::fuzz
