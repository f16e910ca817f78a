// What transactions in doubt cost a shard: to prepare, to hold, to start again with, and to end once their coordinator
// is there again.
//
//     in_doubt DIR [TRANSACTIONS]       default 100000
//
// One JSON object; times are those of a processor, ticks are 10 ms of the leader's. It goes through the shard's
// machine, its SQLite file and its leader's driver, without log and network: a restart that finds them all in the
// database.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/check.h"
#include "bench/measure.h"
#include "participant/caretaker.h"
#include "participant/shard.h"
#include "sql_adapter/sqlite_store.h"

namespace assent {
namespace {

constexpr GroupId self{1};
constexpr GroupId coordinator{7};
constexpr std::uint64_t start_millis = 1'800'000'000'000;
constexpr std::uint64_t entries_per_batch = 64;

TxnId id(std::uint64_t n) { return TxnId::make(ClusterMillis(start_millis), n, ~n); }

struct Replica {
  std::unique_ptr<SqliteStore> store;
  Shard shard{ShardOptions{}};
  Index applied;

  explicit Replica(const std::string& path) {
    SqliteOptions options;
    options.path = path;
    auto opened = SqliteStore::open(options);
    ASSENT_CHECK(opened.has_value(), "the database opens");
    store = std::move(*opened);
    ASSENT_CHECK(shard.load(*store).has_value(), "its records can be read");
    applied = store->applied();
  }
  Shard::Applied apply(const ShardCommand& command) {
    applied = applied.next();
    auto done = shard.apply(context(), command, *store);
    ASSENT_CHECK(done.has_value(), "it is applied");
    store->set_applied(applied);
    if (applied.value % entries_per_batch == 0) checkpoint();
    return std::move(*done);
  }
  void checkpoint() { ASSENT_CHECK(store->checkpoint().has_value(), "it is stored"); }
  [[nodiscard]] EntryContext context() const { return {Epoch(1), applied, ClusterMillis(start_millis + 1)}; }
};

ShardCommand prepare_of(std::uint64_t n, SqliteStore& store) {
  auto found = store.evaluate({KvPut{fmt::format("account-{}", n), "100"}});
  ASSENT_CHECK(found.has_value(), "the work can be done");
  PrepareWork command;
  command.txn = id(n);
  command.attempt = {Epoch(1), n + 1};
  command.coordinator = coordinator;
  command.participants = {self, GroupId(2)};
  command.fingerprint = n;
  command.age = command.txn;
  command.effects = std::move(found->effects);
  command.protocol = Protocol::two_phase;
  return command;
}

// The coordinator answers every vote and every question with the commit. How many ticks until nothing is in doubt.
std::uint64_t end_all(Replica& replica) {
  CaretakerOptions options;
  options.self = self;
  Caretaker driver(replica.shard, *replica.store, options);
  driver.lead(Epoch(2));
  std::uint64_t ticks = 0;
  for (; !replica.shard.all_prepared().empty() && ticks < 1'000'000; ++ticks) {
    driver.tick();
    while (driver.has_output()) {
      const auto output = driver.take_output();
      for (const Envelope& envelope : output.send) {
        if (envelope.to != coordinator) continue;
        const auto answer = [&](const TxnId& txn, const Attempt& attempt) {
          driver.receive({coordinator, self, Finish{.txn = txn, .attempt = attempt, .commit = true}});
        };
        if (const auto* const vote = std::get_if<Vote>(&envelope.message)) answer(vote->txn, vote->attempt);
        if (const auto* const ask = std::get_if<Inquire>(&envelope.message)) answer(ask->txn, ask->attempt);
      }
      for (const ShardCommand& command : output.propose) {
        const auto done = replica.apply(command);
        driver.applied(replica.context(), command, done);
      }
    }
  }
  replica.checkpoint();
  return ticks;
}

void run(const std::filesystem::path& folder, std::uint64_t transactions) {
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "s1.db").string();
  ASSENT_CHECK(!std::filesystem::exists(path), "the folder has no database yet");
  const auto count = static_cast<double>(transactions);
  std::string text = fmt::format("{{\"transactions\": {}", transactions);
  const auto say = [&](std::string_view name, double value) { text += fmt::format(", \"{}\": {:.3g}", name, value); };
  {
    Replica replica(path);
    const double before = resident_mib();
    say("prepare_micros", seconds_of([&] {
                            for (std::uint64_t n = 0; n < transactions; ++n) {
                              replica.apply(prepare_of(n, *replica.store));
                            }
                            replica.checkpoint();
                          }) * 1e6 /
                              count);
    say("bytes_each", (resident_mib() - before) * (1 << 20U) / count);
    ASSENT_CHECK(replica.store->commit().has_value(), "it is stored");
  }
  const double before = resident_mib();
  std::unique_ptr<Replica> again;
  say("restart_seconds", seconds_of([&] { again = std::make_unique<Replica>(path); }));
  say("restart_mib", resident_mib() - before);
  ASSENT_CHECK(again->shard.all_prepared().size() == transactions, "all are in doubt");
  std::uint64_t ticks = 0;
  say("end_micros", seconds_of([&] { ticks = end_all(*again); }) * 1e6 / count);
  say("end_ticks", static_cast<double>(ticks));
  ASSENT_CHECK(again->shard.all_prepared().empty(), "none is in doubt any more");
  const auto kept = again->store->query({KvGet{"account-7"}});
  ASSENT_CHECK(kept.has_value(), "and it can be read");
  fmt::print("{}}}\n", text);
}

}  // namespace
}  // namespace assent

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    fmt::print(stderr, "usage: in_doubt DIR [TRANSACTIONS]\n");
    return 2;
  }
  assent::run(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000);
  return 0;
}
