// Interactive transactions, reads of several shards and escrow on real processes, with a leader killed in the middle.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using client::sql;
using client::Txn;

std::int64_t number_in(const WorkResult& results) {
  const SqlValue& value = results.at(0).rows.at(0).at(0);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  return std::stoll(std::get<SqlBlob>(value).bytes);
}

void run_once(client::Client& client, const std::string& shard, const Operation& operation) {
  const auto outcome = client.run_with_retry([&](const TxnId&) {
    client::Transaction transaction;
    transaction.on(shard, operation);
    return transaction;
  });
  ASSERT_TRUE(outcome && outcome->committed());
}

// A number in SQL on s1 and the same in a key on s2; everybody reads both and writes both one higher.
class Counters {
 public:
  explicit Counters(Cluster& cluster) : client_(cluster.connect()) {
    run_once(client_, "s1", sql("CREATE TABLE n(id INTEGER PRIMARY KEY, v INTEGER NOT NULL)"));
    run_once(client_, "s1", sql("INSERT INTO n VALUES(1, 0)"));
    run_once(client_, "s2", KvPut{"n", "0"});
  }

  void count_up() {
    const auto outcome = client_.run(
        {},
        [&](Txn& t) {
          const auto row = t.query("s1", sql("SELECT v FROM n WHERE id = 1"));
          const auto key = t.get("s2", "n");
          if (!row || !key) return;
          const std::int64_t next = number_in({*row}) + 1;
          t.execute("s1", sql("UPDATE n SET v = ?1 WHERE id = 1", next));
          const auto own = t.query("s1", sql("SELECT v FROM n WHERE id = 1"));
          if (own && number_in({*own}) != next) ++wrong;
          t.put("s2", "n", std::to_string(std::stoll(**key) + 1));
        },
        60s);
    if (!outcome) return void(++failed);
    auto known = *outcome;
    if (!known.definite()) {
      const auto told = client_.get_outcome({.id = known.id, .seal = true, .wait = 5s, .group = known.ask}, 60s);
      ASSERT_TRUE(told && told->definite());
      known.state = told->state;
    }
    if (known.committed()) ++committed;
  }

  // Both at one instant.
  void look() {
    const auto read = client_.read({{"s1", {sql("SELECT v FROM n WHERE id = 1")}}, {"s2", {KvGet{"n"}}}}, 60s);
    if (!read) return;
    ++looks;
    if (number_in(read->of("s1")) != number_in(read->of("s2"))) ++wrong;
    last = number_in(read->of("s1"));
  }

  std::atomic<int> committed = 0;
  std::atomic<int> failed = 0;
  std::atomic<int> looks = 0;
  std::atomic<int> wrong = 0;
  std::atomic<std::int64_t> last = 0;

 private:
  client::Client client_;
};

TEST(Interactive, none_is_lost_and_none_is_half_when_a_shards_leader_dies) {
  Cluster cluster("interactive");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  Counters counters(cluster);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) counters.count_up();
    });
  }
  threads.emplace_back([&] {
    while (!stop) counters.look();
  });
  bool going = eventually(60s, [&] { return counters.committed >= 20; });
  for (const std::string_view group : {"s1", "s2"}) {
    const std::string victim = cluster.leader_of(group);
    cluster.kill(victim);
    const int before = counters.committed;
    going = going && eventually(60s, [&] { return counters.committed >= before + 20; });
    cluster.start(victim);
    EXPECT_TRUE(cluster.wait_for_leaders());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(going);
  counters.look();
  EXPECT_EQ(counters.last, counters.committed);
  EXPECT_EQ(counters.wrong, 0) << "the two numbers differed at some instant";
  EXPECT_GT(counters.looks, 1);
}

// As a user runs it.
TEST(Interactive, one_hot_account_bears_many_transfers_at_once) {
  Cluster cluster("hot");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  for (const std::vector<std::string>& load :
       std::vector<std::vector<std::string>>{{"hot"},
                                             {"hot", "--no-escrow"},
                                             {"hot", "--sql", "--protocol", "two-phase"},
                                             {"hot", "--sql", "--no-escrow"},
                                             {"keys", "--accounts", "1200"}}) {
    std::vector<std::string> command = {program("assentctl"),
                                        "--endpoints",
                                        cluster.endpoint_list(),
                                        "bench",
                                        "run",
                                        "--clients",
                                        "8",
                                        "--duration",
                                        "1s",
                                        "--workload"};
    command.insert(command.end(), load.begin(), load.end());
    const auto bench = run_command(command);
    EXPECT_EQ(bench.status, 0) << bench.output;
    EXPECT_NE(bench.output.find(": sound"), std::string::npos) << bench.output;
  }
  const auto ctl = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {program("assentctl"), "--endpoints", cluster.endpoint_list()});
    return run_command(words);
  };
  EXPECT_EQ(ctl({"kv", "add", "--shard", "s1", "n", "5", "--escrow", "--floor", "0"}).status, 0);
  EXPECT_EQ(ctl({"kv", "add", "--shard", "s1", "n", "-6", "--escrow", "--floor", "0"}).status, 6);
  EXPECT_EQ(ctl({"kv", "get", "--shard", "s1", "n"}).output, "5\n");
  const auto read = ctl({"txn", "read", "--on", "s1", "SELECT 1 AS one", "--on", "s2", "SELECT 2 AS two"});
  EXPECT_EQ(read.status, 0) << read.output;
  EXPECT_NE(read.output.find("two"), std::string::npos) << read.output;
}

}  // namespace
}  // namespace assent::testing
