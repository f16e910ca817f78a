// Money between a PostgreSQL database, a MariaDB database and a shard of a real cluster, each database behind an
// assent-agent, while agents, databases and the coordinator's leader are killed: each transfer is everywhere or
// nowhere, once, and nothing stays prepared.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "base/rng.h"
#include "tests/agent/sides.h"
#include "tests/integration/cluster.h"
#include "tests/service/tls_files.h"

namespace assent::agent::testing {
namespace {

using namespace std::chrono_literals;
using assent::testing::Cluster;
using assent::testing::eventually;
using assent::testing::Process;
using assent::testing::run_command;
using client::TxnOutcome;

constexpr std::int64_t opening = 1'000;
constexpr int accounts = 12;

// An assent-agent on a port of its own, started again as whatever keeps services would.
class AgentProcess {
 public:
  AgentProcess(std::string name, std::string url, const Cluster& cluster, const std::filesystem::path& folder,
               const std::vector<std::string>& more = {})
      : name_(std::move(name)), output_(folder / name_) {
    command_ = {assent::testing::program("assent-agent"),
                "--name",
                name_,
                "--database",
                std::move(url),
                "--listen",
                target(),
                "--endpoints",
                cluster.endpoint_list(),
                "--connections",
                "60",
                "--max-prepared-age",
                "1",
                "--sweep-interval",
                "0.3",
                "--lock-timeout",
                "1"};
    command_.insert(command_.end(), more.begin(), more.end());
  }
  void start() { process_ = std::make_unique<Process>(command_, output_); }
  void kill() {
    process_->signal(SIGKILL);
    static_cast<void>(process_->wait(10s));
  }
  void stop() {
    process_->signal(SIGTERM);
    EXPECT_EQ(process_->wait(20s), 0) << output_;
  }
  [[nodiscard]] std::string target() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  const std::string name_;
  const std::filesystem::path output_;
  const std::uint16_t port_ = assent::testing::free_port();
  std::vector<std::string> command_;
  std::unique_ptr<Process> process_;
};

template <class Side>
void make_accounts(typename Side::Kind& place) {
  Side::Kind::execute(place.look(), "CREATE TABLE acct(id int PRIMARY KEY, balance bigint NOT NULL)");
  Side::Kind::execute(place.look(), "CREATE TABLE moves(id varchar(40) PRIMARY KEY, amount bigint NOT NULL)");
  for (int i = 0; i < accounts; ++i) {
    Side::Kind::execute(place.look(), fmt::format("INSERT INTO acct VALUES({}, {})", i, opening));
  }
}

template <class Side>
std::string payload(const TxnId& id, int account, std::int64_t amount) {
  return fmt::format(
      R"x({{"statements":[
            {{"sql":"UPDATE acct SET balance = balance + {0} WHERE id = {1}","params":[{2},{3}],"rows":1}},
            {{"sql":"INSERT INTO moves VALUES({0}, {1})","params":["{4}",{2}]}}]}})x",
      Side::placeholder(1), Side::placeholder(2), amount, account, id.to_hex());
}

class Databases : public ::testing::Test {
 protected:
  void SetUp() override {
    make_accounts<Postgres>(postgres);
    make_accounts<Mariadb>(mariadb);
    for (AgentProcess* agent : {&pg, &my}) agent->start();
    cluster.start_all();
    ASSERT_TRUE(cluster.wait_for_leaders());
    const auto made = client.run_with_retry([](const TxnId&) {
      client::Transaction schema;
      schema.on("s1", client::sql("CREATE TABLE moves(id TEXT PRIMARY KEY, amount INTEGER NOT NULL)"));
      return schema;
    });
    ASSERT_TRUE(made && made->committed());
  }

  // From one of the three places to the next.
  [[nodiscard]] client::Transaction transfer(const TxnId& id, int from, int account, std::int64_t amount) const {
    client::Transaction out;
    out.id = id;
    for (const auto& [place, signed_amount] : {std::pair(from, -amount), std::pair((from + 1) % 3, amount)}) {
      if (place == 0) out.call({"pg", pg.target(), payload<Postgres>(id, account, signed_amount), "pg"});
      if (place == 1) out.call({"my", my.target(), payload<Mariadb>(id, account, signed_amount), "my"});
      if (place == 2) out.on("s1", client::sql("INSERT INTO moves VALUES(?1, ?2)", id.to_hex(), signed_amount));
    }
    return out;
  }

  [[nodiscard]] std::int64_t shard(const std::string& sql) {
    const auto read = client.query("s1", {client::sql(sql)}, 20s);
    return read ? std::get<std::int64_t>(read->results.at(0).rows.at(0).at(0)) : -1;
  }
  [[nodiscard]] std::int64_t in_postgres(const std::string& sql) { return PostgresKind::number(postgres.look(), sql); }
  [[nodiscard]] std::int64_t in_mariadb(const std::string& sql) { return MariadbKind::number(mariadb.look(), sql); }

  // Nothing is prepared any more; each committed transfer is at both its places and no other at any.
  void expect_balanced() {
    postgres.look_again();
    mariadb.look_again();
    EXPECT_TRUE(eventually(
        60s, [&] { return Postgres::prepared(postgres.look()) == 0 && Mariadb::prepared(mariadb.look()) == 0; }))
        << Postgres::prepared(postgres.look()) << " and " << Mariadb::prepared(mariadb.look());
    const std::string count = "SELECT count(*) FROM moves";
    EXPECT_EQ(in_postgres(count) + in_mariadb(count) + shard(count), 2 * committed);
    EXPECT_EQ(in_postgres("SELECT sum(balance) FROM acct") - accounts * opening,
              in_postgres("SELECT coalesce(sum(amount), 0)::bigint FROM moves"));
    EXPECT_EQ(in_mariadb("SELECT sum(balance) FROM acct") - accounts * opening,
              in_mariadb("SELECT coalesce(sum(amount), 0) FROM moves"));
    EXPECT_EQ(in_postgres("SELECT sum(balance) FROM acct") + in_mariadb("SELECT sum(balance) FROM acct") +
                  shard("SELECT coalesce(sum(amount), 0) FROM moves"),
              2 * accounts * opening);
    EXPECT_EQ(in_postgres("SELECT count(*) FROM assent_branches WHERE state = 'prepared'"), 0);
    EXPECT_EQ(in_mariadb("SELECT count(*) FROM assent_branches WHERE state = 'prepared'"), 0);
  }

  void run_transfers(std::uint64_t seed) {
    client::Client own = cluster.connect();
    Rng rng(seed);
    while (!stop) {
      const TxnId id = client::new_txn_id();
      const auto from = static_cast<int>(rng.below(3));
      auto done = own.execute(transfer(id, from, static_cast<int>(rng.below(accounts)), 1), 20s);
      for (int asked = 0; (!done || !done->definite()) && asked < 20; ++asked) {
        done = own.get_outcome({id, true, 5s, "c0"}, 10s);
      }
      if (!done || !done->definite()) ++unknown;
      if (done && done->committed()) ++committed;
    }
  }

  assent::testing::TestFolder folder{"databases"};
  PostgresKind postgres;
  MariadbKind mariadb;
  Cluster cluster{"databases"};
  client::Client client = cluster.connect();
  AgentProcess pg{"pg", Postgres::url(postgres.name()), cluster, folder.path()};
  AgentProcess my{"my", Mariadb::url(mariadb.name()), cluster, folder.path()};
  std::atomic<std::int64_t> committed = 0;
  std::atomic<int> unknown = 0;
  std::atomic<bool> stop = false;
};

TEST_F(Databases, all_take_part_or_none_from_the_command_line) {
  EXPECT_TRUE(eventually(30s, [&] {
    const TxnId id = client::new_txn_id();
    const auto done = run_command({assent::testing::program("assentctl"), "--endpoints", cluster.endpoint_list(), "txn",
                                   "exec", "--call", "pg@" + pg.target(), payload<Postgres>(id, 1, -30), "--call",
                                   "my@" + my.target(), payload<Mariadb>(id, 1, 30)});
    return done.status == 0;
  })) << "once the agents serve";
  committed = 1;
  EXPECT_TRUE(eventually(20s, [&] { return in_postgres("SELECT balance FROM acct WHERE id = 1") == opening - 30; }));
  EXPECT_TRUE(eventually(20s, [&] { return in_mariadb("SELECT balance FROM acct WHERE id = 1") == opening + 30; }));

  const TxnId id = client::new_txn_id();
  const auto refused = client.execute(transfer(id, 0, accounts + 1, 1), 20s);  // no such account
  ASSERT_TRUE(refused && refused->aborted());
  EXPECT_NE(refused->abort.message.find("0 rows instead of 1"), std::string::npos) << refused->abort.message;
  expect_balanced();
  for (AgentProcess* agent : {&pg, &my}) agent->stop();
}

TEST_F(Databases, the_bank_has_an_account_in_postgres) {
  assent::testing::CommandResult bank;
  EXPECT_TRUE(eventually(30s, [&] {
    bank = run_command({"/usr/bin/env", "ASSENT_ENDPOINTS=" + cluster.endpoint_list(), assent::testing::program("bank"),
                        "--postgres", "pg@" + pg.target()});
    return bank.status == 0;
  })) << bank.output;
  EXPECT_NE(bank.output.find("pay 500      aborted by s1"), std::string::npos) << bank.output;
  EXPECT_EQ(in_postgres("SELECT balance FROM example_accounts WHERE owner = 'carol'"), 130);
  EXPECT_EQ(shard("SELECT balance FROM example_accounts WHERE owner = 'alice'"), 70);
  for (AgentProcess* agent : {&pg, &my}) agent->stop();
}

TEST_F(Databases, nothing_is_lost_or_done_twice_under_kills) {
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 4; ++i) threads.emplace_back([this, i] { run_transfers(i + 1); });
  const auto go_on = [&] {
    const std::int64_t before = committed;
    EXPECT_TRUE(eventually(90s, [&] { return committed >= before + 5; }));
  };
  go_on();
  for (AgentProcess* agent : {&pg, &my}) {
    agent->kill();
    agent->start();
    go_on();
  }
  PostgresKind::server().kill();
  go_on();
  MariadbKind::server().kill();
  go_on();
  // Transfers that do not touch a database go on without it, and an agent does not start without its own.
  postgres.look_again();
  mariadb.look_again();
  const std::string leader = cluster.leader_of("c0");
  cluster.kill(leader);
  pg.kill();
  my.kill();
  pg.start();
  my.start();
  cluster.start(leader);
  EXPECT_TRUE(cluster.wait_for_leaders());
  go_on();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(unknown, 0);
  expect_balanced();
  for (AgentProcess* agent : {&pg, &my}) agent->stop();
}

// By TLS, and it answers nobody but the cluster, whose nodes have a certificate.
TEST(DatabasesByTls, an_agent_takes_part_for_its_cluster_alone) {
  const service::testing::TlsFiles files;
  const assent::testing::TestFolder folder("databases-tls");
  PostgresKind postgres;
  make_accounts<Postgres>(postgres);
  assent::testing::ClusterOptions options;
  options.extra_yaml = fmt::format("services: {{ ca_file: \"{0}\", cert_file: \"{0}\", key_file: \"{1}\" }}\n",
                                   files.cert(), files.key());
  Cluster cluster("databases-tls", options);
  AgentProcess agent("pg", Postgres::url(postgres.name()), cluster, folder.path(),
                     {"--tls-cert", files.cert(), "--tls-key", files.key(), "--tls-client-ca", files.cert()});
  agent.start();
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  client::Client client = cluster.connect();
  const auto take = [&](const std::string& scheme) {
    const TxnId id = client::new_txn_id();
    client::Transaction out;
    out.id = id;
    out.timeout = 3s;
    out.call({"pg", scheme + agent.target(), payload<Postgres>(id, 1, -30), "pg"});
    return client.execute(out, 20s);
  };
  EXPECT_TRUE(eventually(30s, [&] {
    const auto done = take("grpcs://");
    return done && done->committed();
  })) << "once the agent serves";
  EXPECT_TRUE(eventually(20s, [&] {
    return PostgresKind::number(postgres.look(), "SELECT balance FROM acct WHERE id = 1") == opening - 30;
  }));
  const auto plain = take("");
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->aborted()) << "it speaks TLS";

  const auto stranger = run_command(
      {assent::testing::program("assentctl"), "conformance", "--target", "grpcs://" + agent.target(), "--ca",
       files.cert(), "--timeout", "500ms", "--payload", payload<Postgres>(client::new_txn_id(), 1, 5)},
      120s);
  EXPECT_NE(stranger.status, 0) << stranger.output;
  EXPECT_EQ(
      PostgresKind::number(postgres.look(), "SELECT count(*) FROM assent_branches WHERE branch LIKE 'conformance%'"), 0)
      << "who has no certificate came no further than the handshake";
  agent.stop();
}

}  // namespace
}  // namespace assent::agent::testing
