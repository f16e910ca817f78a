// What an agent must know of MariaDB alone: engines that take nothing back, and an OK that ended nothing.
#include <atomic>

#include "tests/agent/agent_fixture.h"
#include "tests/forwarder.h"

namespace assent::agent::testing {
namespace {

TEST(AgentOnMariadb, TablesThatTakeNothingBackAreRefused) {
  MariadbKind place;
  MariadbKind::execute(place.look(), "CREATE TABLE old(x int) ENGINE=MyISAM");
  AgentOptions options;
  options.name = "a";
  options.database = Mariadb::url(place.name());
  options.sweep_interval = 24h;
  const auto agent = Agent::open(options, {});
  ASSERT_TRUE(agent) << agent.error().message;
  const auto prepare = [&](std::uint64_t number, const std::string& table) {
    Branch branch;
    branch.txn = TxnId::make(ClusterMillis(1'900'000'000'000), number, 1);
    branch.name = "b";
    return (*agent)->branches().prepare(
        {branch, "", R"({"statements":[{"sql":"INSERT INTO )" + table + R"x( VALUES(1)"}]})x"});
  };
  EXPECT_EQ(prepare(1, "`Old`").refusal, "NOT_TRANSACTIONAL");
  EXPECT_EQ(MariadbKind::number(place.look(), "SELECT count(*) FROM old"), 0) << "refused before it ran";
  // Through a view: no text names the table, whether the agent has looked at the server's tables since or not.
  for (const char* const engine : {"Aria", "MyISAM"}) {
    MariadbKind::execute(place.look(), fmt::format("CREATE OR REPLACE TABLE young(x int) ENGINE={}", engine));
    MariadbKind::execute(place.look(), "CREATE OR REPLACE VIEW seen AS SELECT x FROM young");
    const Answer late = prepare(*engine == 'A' ? 2 : 3, "seen");
    EXPECT_EQ(late.refusal, "NOT_TRANSACTIONAL") << "seen by what it did" << late.message;
    EXPECT_THAT(late.message, HasSubstr("that change stays"));
  }
}

// Answers XA COMMIT and XA ROLLBACK with OK by itself, as the server does in the moment between its two moves.
class HalvesProxy final : public assent::testing::Forwarder {
 public:
  explicit HalvesProxy(std::uint16_t target) : Forwarder(target) { begin(); }
  ~HalvesProxy() override { end(); }
  void by_halves(bool yes) { by_halves_ = yes; }

 private:
  bool client_said(Link& link, std::string_view bytes) override {
    const std::string_view request = bytes.substr(std::min<std::size_t>(bytes.size(), 5));  // after header and command
    if (!by_halves_ || !(request.starts_with("XA COMMIT") || request.starts_with("XA ROLLBACK"))) {
      return send_all(link.server, bytes);
    }
    constexpr std::string_view ok("\x07\0\0\x01\0\0\0\x02\0\0\0", 11);
    return send_all(link.client, ok);
  }
  bool server_said(Link& link, std::string_view bytes) override { return send_all(link.client, bytes); }

  std::atomic<bool> by_halves_ = false;
};

using AgentOnMariadbTest = AgentTest<Mariadb>;

TEST_F(AgentOnMariadbTest, AnOkThatEndedNothingIsNotBelieved) {
  HalvesProxy proxy(MariadbKind::server().port());
  const auto through_proxy = [&] {
    AgentOptions chosen = options();
    chosen.sweep_interval = 24h;
    chosen.database = Mariadb::url(place_.name(), proxy.port());
    agent_.reset();
    auto agent = Agent::open(chosen, {});
    ASSERT_TRUE(agent) << agent.error().message;
    agent_ = std::move(*agent);
  };
  const Branch moved = branch(1);
  const Branch kept = branch(2);
  through_proxy();
  ASSERT_TRUE(prepare(moved, take(30)).ok());
  ASSERT_TRUE(prepare(kept, take(5, "bob")).ok());
  through_proxy();  // another process, with connections that prepared neither
  proxy.by_halves(true);
  for (const Answer& answer : {end(Call::commit, moved), end(Call::abort, kept)}) {
    EXPECT_FALSE(answer.ok());
    EXPECT_THAT(answer.message, HasSubstr("restart the MariaDB server"));
  }
  EXPECT_EQ(state(moved), BranchState::prepared) << "and not committed";
  proxy.by_halves(false);
  EXPECT_TRUE(end(Call::commit, moved).ok());
  EXPECT_TRUE(end(Call::abort, kept).ok());
  EXPECT_EQ(balance(), 70);
  EXPECT_EQ(balance("bob"), 100);
}

// What the server ended by halves: its rows are there and not committed, and XA RECOVER does not name it.
TEST_F(AgentOnMariadbTest, WhatIsThereAndNotNamedIsNotCalledRolledBack) {
  start_quietly();
  const Branch moved = branch(1);
  ASSERT_TRUE(prepare(moved, take(30)).ok());
  start_quietly();
  ASSERT_TRUE(finish_by_hand(moved, Call::abort));
  EXPECT_THAT(end(Call::commit, moved).message, HasSubstr("rolled it back by hand"));
  Kind::execute(place_.look(), "BEGIN");
  Kind::execute(place_.look(), fmt::format("INSERT INTO assent_prepared VALUES('{}', '', '', 0)", gid(moved).text()));
  EXPECT_THAT(end(Call::commit, moved).message, HasSubstr("restart the MariaDB server"));
  Kind::execute(place_.look(), "COMMIT");
  EXPECT_TRUE(end(Call::commit, moved).ok());
}

TEST(ParseMariadb, ReadsAndRefuses) {
  const auto address = parse_mariadb("mariadb://us%40er:p%3Aw@db.example:3307/bank?socket=/run/x");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->user, "us@er");
  EXPECT_EQ(address->password, "p:w");
  EXPECT_EQ(address->host, "db.example");
  EXPECT_EQ(address->port, 3307);
  EXPECT_EQ(address->database, "bank");
  EXPECT_EQ(address->socket, "/run/x");
  EXPECT_EQ(parse_mariadb("mariadb://h/x")->port, 3306);
  for (const char* const bad : {"mariadb://", "mariadb://h", "mariadb://h/", "mariadb://h:x/d", "mariadb://a%4@h/d"}) {
    EXPECT_FALSE(parse_mariadb(bad)) << bad;
  }
}

}  // namespace
}  // namespace assent::agent::testing
