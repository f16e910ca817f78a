// Services in a transaction with shards and with each other, on real processes: all of them have it, or none.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/integration/cluster.h"
#include "tests/integration/plain_service.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using client::TxnOutcome;

class Services : public ::testing::Test {
 protected:
  explicit Services(ClusterOptions options = {}) : cluster("services", std::move(options)) {}

  void SetUp() override {
    for (PlainService* service : {&payment, &stock}) service->start();
    cluster.start_all();
    ASSERT_TRUE(cluster.wait_for_leaders());
    const auto made = client.run_with_retry([](const TxnId&) {
      client::Transaction schema;
      schema.on("s1", client::sql("CREATE TABLE orders(id INTEGER PRIMARY KEY)"));
      return schema;
    });
    ASSERT_TRUE(made && made->committed());
  }
  // An order: a row at s1, its price from payment, one piece from stock.
  [[nodiscard]] client::Transaction order(int number, int price) const {
    client::Transaction transaction;
    transaction.on("s1", client::sql("INSERT INTO orders(id) VALUES(?1)", number));
    transaction.call({"payment", payment.target(), std::to_string(-price)}).call({"stock", stock.target(), "-1"});
    return transaction;
  }
  [[nodiscard]] std::int64_t orders() {
    const auto read = client.query("s1", {client::sql("SELECT count(*) FROM orders")}, 20s);
    return read ? std::get<std::int64_t>(read->results.at(0).rows.at(0).at(0)) : -1;
  }
  // Nobody is in doubt any more, and each order was paid and taken.
  void expect_balanced(int price) {
    EXPECT_TRUE(eventually(30s, [&] { return payment.prepared() + stock.prepared() == 0; }))
        << payment.prepared() << " and " << stock.prepared() << " in doubt";
    const std::int64_t sold = orders();
    EXPECT_EQ(payment.balance(), paid_in - sold * price);
    EXPECT_EQ(stock.balance(), in_stock - sold);
    EXPECT_EQ(stock.effects(), static_cast<std::uint64_t>(sold));
  }

  static constexpr std::int64_t paid_in = 100'000;
  static constexpr std::int64_t in_stock = 10'000;
  PlainService payment{paid_in};
  PlainService stock{in_stock};
  Cluster cluster;
  client::Client client = cluster.connect();
};

TEST_F(Services, all_take_part_or_none) {
  auto done = client.execute(order(1, 70));
  ASSERT_TRUE(done) << done.error().text();
  ASSERT_TRUE(done->committed()) << done->abort.message;
  EXPECT_EQ(done->protocol, Protocol::two_phase);
  EXPECT_EQ(done->participants, (std::vector<std::string>{"s1", "payment", "stock"}));
  EXPECT_EQ(done->answer_of("payment"), "held -70");

  done = client.execute(order(2, paid_in));
  ASSERT_TRUE(done);
  ASSERT_TRUE(done->aborted());
  EXPECT_EQ(done->abort.reason, AbortReason::refused);
  EXPECT_EQ(done->abort.participant, "payment");
  EXPECT_NE(done->abort.message.find("too low"), std::string::npos) << done->abort.message;

  // The row is there; for a moment its lock may be, too.
  done = client.run_with_retry([&](const TxnId&) { return order(1, 70); });
  ASSERT_TRUE(done);
  EXPECT_EQ(done->abort.reason, AbortReason::constraint) << done->abort.message;
  expect_balanced(70);

  client::Transaction without_shards;
  without_shards.call({"payment", payment.target(), "-70"}).call({"stock", stock.target(), "70"});
  done = client.execute(without_shards);
  ASSERT_TRUE(done && done->committed());
  EXPECT_TRUE(eventually(20s, [&] { return stock.balance() == in_stock - 1 + 70; }));
}

TEST_F(Services, lost_requests_and_answers_change_nothing) {
  for (int i = 1; i <= 6; ++i) {
    payment.lose_answers(i % 3);
    stock.lose_requests(i % 2);
    const auto done = client.run_with_retry([&](const TxnId&) { return order(i, 10); }, {}, 30s);
    ASSERT_TRUE(done && done->committed()) << i;
  }
  expect_balanced(10);
  EXPECT_EQ(orders(), 6);
}

TEST_F(Services, one_that_is_down_holds_up_its_own_transactions_alone) {
  payment.stop();
  client::Transaction transaction = order(1, 10);
  transaction.timeout = 1s;
  const auto done = client.execute(transaction, 10s);
  ASSERT_TRUE(done && done->aborted());
  EXPECT_EQ(done->abort.reason, AbortReason::timeout);
  EXPECT_EQ(done->abort.participant, "payment");
  EXPECT_NE(done->abort.message.find(payment.target()), std::string::npos) << done->abort.message;
  payment.start();
  expect_balanced(10);
}

// Whoever leads the coordinator group dies again and again, and the services restart in between.
class ServicesUnderKills : public Services, public ::testing::WithParamInterface<Mode> {};
TEST_P(ServicesUnderKills, nothing_is_lost_or_done_twice) {
  std::atomic<int> next = 1;
  std::atomic<int> sold = 0;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      client::Client own = cluster.connect();
      while (!stop) {
        const int number = next++;
        client::Transaction one = order(number, 1);
        one.mode = GetParam();
        auto done = own.execute(one, 20s);
        for (int asked = 0; done && !done->definite() && asked < 10; ++asked) {
          done = own.get_outcome({done->id, true, 5s, done->ask}, 10s);
        }
        if (done && done->committed()) ++sold;
      }
    });
  }
  for (int round = 0; round < 3; ++round) {
    const int before = sold;
    EXPECT_TRUE(eventually(60s, [&] { return sold >= before + 20; }));
    const std::string victim = cluster.leader_of("c0");
    if (!victim.empty()) cluster.kill(victim);
    payment.stop();
    payment.start();
    if (!victim.empty()) cluster.start(victim);
    EXPECT_TRUE(cluster.wait_for_leaders());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  // What a coordinator that died had not decided, nobody remembers but the service, which asks. This one does not: its
  // part is played here. What was recorded its successor ends, and nobody need ask.
  for (PlainService* service : {&payment, &stock}) {
    if (is_recorded(GetParam())) break;
    for (const std::string& id : service->in_doubt()) {
      const auto told = client.get_outcome({TxnId::from_hex(id).value(), true, 5s, ""}, 20s);
      ASSERT_TRUE(told && told->definite()) << id;
      service->resolve(id, told->committed());
    }
  }
  expect_balanced(1);
  EXPECT_GE(orders(), sold);
}
INSTANTIATE_TEST_SUITE_P(Modes, ServicesUnderKills, ::testing::Values(Mode::atomic, Mode::tcc, Mode::saga),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

// The leader dies while the last step of a saga is being tried. Its successor takes back the steps that were done,
// though nobody asks it to.
TEST_F(Services, a_saga_is_compensated_by_the_next_leader) {
  PlainService hotel{10};
  hotel.start();
  hotel.stop();  // it has an address, and is down
  client::Transaction trip;
  trip.id = client::new_txn_id();
  trip.mode = Mode::saga;
  trip.timeout = 60s;
  trip.call({"payment", payment.target(), "-70"})
      .call({"stock", stock.target(), "-1"})
      .call({"hotel", hotel.target(), "-1"});
  std::thread caller([&] { static_cast<void>(cluster.connect().execute(trip, 60s)); });
  EXPECT_TRUE(eventually(30s, [&] { return payment.prepared() == 1 && stock.prepared() == 1; }));
  const std::string victim = cluster.leader_of("c0");
  ASSERT_FALSE(victim.empty());
  cluster.kill(victim);
  const auto told = client.get_outcome({.id = trip.id, .seal = false, .wait = 20s, .group = ""}, 30s);
  ASSERT_TRUE(told && told->aborted());
  EXPECT_EQ(told->mode, Mode::saga);
  EXPECT_EQ(told->abort.reason, AbortReason::superseded);
  EXPECT_EQ(payment.prepared() + stock.prepared(), 2U) << "the last step is taken back first, and it is down";
  hotel.start();
  EXPECT_TRUE(eventually(30s, [&] { return payment.prepared() + stock.prepared() == 0; }));
  EXPECT_EQ(payment.balance(), paid_in);
  EXPECT_EQ(stock.balance(), in_stock);
  cluster.start(victim);
  caller.join();
}

// What an operator sees of services that do not do their part, and does about it.
class ServicesThatFail : public Services {
 protected:
  ServicesThatFail() : Services(soon_failing()) {}
  static ClusterOptions soon_failing() {
    ClusterOptions options;
    options.extra_yaml = "services: { max_failures: 3 }\n";
    return options;
  }
  CommandResult ctl(std::vector<std::string> arguments) const {
    std::vector<std::string> command{program("assentctl"), "--endpoints", cluster.endpoint_list(), "txn"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run_command(std::move(command));
  }
  // Listed by in-doubt with this in its words.
  [[nodiscard]] bool in_doubt(const std::string& id, const std::string& words) const {
    const std::string list = ctl({"in-doubt"}).output;
    return list.find(id) != std::string::npos && list.find(words) != std::string::npos;
  }
};

TEST_F(ServicesThatFail, a_retriable_step_is_carried_out_when_it_can_be) {
  PlainService mail{10};
  mail.start();
  mail.stop();  // it has an address, and is down
  const std::string id = client::new_txn_id().to_hex();
  const CommandResult done = ctl({"exec", "--id", id, "--mode", "saga", "--call", "payment@" + payment.target(),
                                  "hex:2d3730", "--then", "mail@" + mail.target(), "hex:2d31"});
  EXPECT_EQ(done.status, 0) << done.output << " the payment is the pivot";
  EXPECT_TRUE(eventually(30s, [&] { return payment.effects() == 1; })) << "it is over for it";
  EXPECT_TRUE(eventually(30s, [&] { return in_doubt(id, mail.target()); })) << ctl({"in-doubt"}).output;
  const CommandResult why = ctl({"explain", id});
  EXPECT_NE(why.output.find("IN_DOUBT"), std::string::npos) << why.output;
  EXPECT_NE(why.output.find("assentctl txn retry"), std::string::npos) << why.output;
  const std::string victim = cluster.leader_of("c0");
  ASSERT_FALSE(victim.empty());
  cluster.kill(victim);
  ASSERT_TRUE(cluster.wait_for_leaders());
  EXPECT_EQ(ctl({"retry", id}).status, 0) << "committed, and being carried out";
  mail.start();
  EXPECT_TRUE(eventually(30s, [&] { return mail.effects() == 1; })) << "the next leader knows what it was to do";
  EXPECT_EQ(mail.balance(), 9);
  EXPECT_TRUE(eventually(30s, [&] { return ctl({"retry", id}).status == 8; })) << "it is over";
  cluster.start(victim);
}

TEST_F(ServicesThatFail, what_was_done_by_hand_is_not_called_for_any_more) {
  client::Transaction trip;
  trip.id = client::new_txn_id();
  trip.mode = Mode::saga;
  trip.call({"payment", payment.target(), "-70"}).call({"stock", stock.target(), std::to_string(-in_stock - 1)});
  payment.refuse_aborts(true);
  const auto told = client.execute(trip);
  ASSERT_TRUE(told && told->aborted());
  const std::string id = trip.id.to_hex();
  EXPECT_TRUE(eventually(30s, [&] { return in_doubt(id, "will not"); })) << ctl({"in-doubt"}).output;
  const auto resolve = [&](const std::string& end) {
    return ctl({"resolve", id, "--heuristic", end, "--reason", "paid back", "--on", "payment", "--yes"});
  };
  EXPECT_EQ(resolve("commit").status, 8);
  const CommandResult ended = resolve("abort");
  EXPECT_EQ(ended.status, 6) << ended.output;
  EXPECT_NE(ended.output.find("by hand"), std::string::npos) << ended.output;
  EXPECT_TRUE(eventually(30s, [&] { return ctl({"retry", id}).status == 8; })) << "nobody waits for it";
  EXPECT_NE(ctl({"get", id}).output.find("by hand"), std::string::npos);
  EXPECT_EQ(payment.prepared(), 1U) << "it was not told";
}

TEST_F(Services, what_cannot_be_is_refused) {
  client::Transaction transaction = order(1, 1);
  transaction.protocol = Protocol::paxos_commit;
  auto done = client.execute(transaction);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("two-phase"), std::string::npos) << done.error().message;

  transaction = {};
  transaction.call({"loop", cluster.client_address("n1"), "1"});
  done = client.execute(transaction);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("a node of this cluster"), std::string::npos) << done.error().message;

  transaction = {};
  transaction.call({"s1", payment.target(), "1"});
  done = client.execute(transaction);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("name of a group"), std::string::npos) << done.error().message;

  const auto ctl = run_command(
      {program("assentctl"), "--endpoints", cluster.endpoint_list(), "txn", "exec", "--call", "payment", "-1"});
  EXPECT_EQ(ctl.status, 2) << "a wrong use";
  EXPECT_NE(ctl.output.find("NAME@HOST:PORT"), std::string::npos) << ctl.output;
  const auto paid = run_command({program("assentctl"), "--endpoints", cluster.endpoint_list(), "txn", "exec", "--call",
                                 "payment@" + payment.target(), "-5"});
  EXPECT_EQ(paid.status, 0) << paid.output;
  EXPECT_TRUE(eventually(20s, [&] { return payment.balance() == paid_in - 5; }));
}

}  // namespace
}  // namespace assent::testing
