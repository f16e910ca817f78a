// The barrier's contract over PostgreSQL, and what PostgreSQL alone does to it. One server for all of it.
#include "service/postgres_barrier.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/service/barrier_contract.h"
#include "tests/service/database_server.h"

namespace assent::service::testing {
namespace {

DatabaseServer& server() {
  static DatabaseServer only({.user = "postgres",
                              .prepare = "bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1); $bin/initdb -D $dir "
                                         "-A trust -U postgres -E UTF8 --locale=C --no-sync",
                              .serve = "$bin/postgres -D $dir -p $port -k $PWD -c listen_addresses=127.0.0.1 -c "
                                       "max_connections=60 -c fsync=on",
                              .stop = "QUIT"});
  return only;
}

std::string conninfo(const std::string& database) {
  return fmt::format("host=127.0.0.1 port={} user=postgres dbname={}", server().port(), database);
}

PGconn* connect(const std::string& database) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (;;) {
    PGconn* connection = PQconnectdb(conninfo(database).c_str());
    if (PQstatus(connection) == CONNECTION_OK) return connection;
    const std::string said = PQerrorMessage(connection);
    PQfinish(connection);
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error(said + server().log());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the server is starting
  }
}

}  // namespace

// A database of its own on the one server.
class PostgresKind {
 public:
  using Connection = PGconn;
  static constexpr int histories = 6;

  PostgresKind() {
    static int count = 0;
    name_ = fmt::format("test{}", ++count);
    PGconn* admin = connect("postgres");
    execute(*admin, "CREATE DATABASE " + name_);
    PQfinish(admin);
    look_ = connect(name_);
  }
  ~PostgresKind() { PQfinish(look_); }
  PostgresKind(const PostgresKind&) = delete;
  PostgresKind& operator=(const PostgresKind&) = delete;

  [[nodiscard]] Result<std::unique_ptr<PostgresBarrier>> open() {
    return PostgresBarrier::open({.conninfo = conninfo(name_)});
  }
  [[nodiscard]] PGconn& look() { return *look_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  static void execute(PGconn& connection, const std::string& sql) {
    PGresult* result = PQexec(&connection, sql.c_str());
    const bool fine = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    const std::string said = PQresultErrorMessage(result);
    PQclear(result);
    if (!fine) throw std::runtime_error(sql + ": " + said);
  }
  static bool try_execute(PGconn& connection, const std::string& sql) {
    PGresult* result = PQexec(&connection, sql.c_str());
    const bool fine = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return fine;
  }
  static std::int64_t number(PGconn& connection, const std::string& sql) {
    PGresult* result = PQexec(&connection, sql.c_str());
    if (PQresultStatus(result) != PGRES_TUPLES_OK) throw std::runtime_error(sql + ": " + PQresultErrorMessage(result));
    const std::int64_t out = PQntuples(result) == 0 ? -1 : std::stoll(PQgetvalue(result, 0, 0));
    PQclear(result);
    return out;
  }

 private:
  std::string name_;
  PGconn* look_ = nullptr;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Postgres, BarrierContract, ::testing::Types<PostgresKind>);

namespace {

class PostgresBarrierTest : public BarrierContract<PostgresKind> {
 protected:
  // As a restart of the server does to whoever is connected.
  void end_all_connections() {
    PostgresKind::number(place_.look(),
                         "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE "
                         "datname = current_database() AND pid <> pg_backend_pid()");
  }
};

TEST_F(PostgresBarrierTest, AConnectionThatWasLostMeanwhileIsMadeAgain) {
  auto service = start();
  ASSERT_TRUE(service.branches->prepare(prepare(branch(1))).ok());
  end_all_connections();
  const Answer answer = service.branches->end(Call::commit, branch(1));
  EXPECT_TRUE(answer.ok()) << answer.message;
  EXPECT_EQ(effects(branch(1), "commit"), 1);
}

// Its prepare loses its own connection in the middle.
class Cut final : public TestParticipant<PostgresKind> {
 public:
  Vote prepare(const Branch& branch, PGconn& connection, ByteView payload) override {
    Vote vote = TestParticipant::prepare(branch, connection, payload);
    if (payload == "cut") PostgresKind::try_execute(connection, "SELECT pg_terminate_backend(pg_backend_pid())");
    return vote;
  }
};

TEST_F(PostgresBarrierTest, AConnectionThatIsLostInTheMiddleLeavesNothing) {
  const auto barrier = place_.open();
  ASSERT_TRUE(barrier);
  Cut cut;
  Branches branches({}, std::make_unique<EnrolledOn<PGconn>>(cut, **barrier));
  EXPECT_EQ(branches.prepare(prepare(branch(1), "cut")).code, AnswerCode::unknown);
  EXPECT_EQ(effects(branch(1), "prepare"), 0);
  EXPECT_EQ(rows(), 0);
  EXPECT_TRUE(branches.prepare(prepare(branch(1))).ok()) << "and the next one finds a connection";
  EXPECT_EQ(effects(branch(1), "prepare"), 1);
}

TEST_F(PostgresBarrierTest, ADatabaseThatCommitsAsynchronouslyIsSetRight) {
  PostgresKind::execute(place_.look(), "ALTER DATABASE " + place_.name() + " SET synchronous_commit = off");
  const auto barrier = place_.open();
  ASSERT_TRUE(barrier);
  const auto local = (*barrier)->take();
  ASSERT_TRUE(local);
  EXPECT_EQ(
      PostgresKind::number((*local)->connection(),
                           "SELECT count(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'on'"),
      1);
}

TEST_F(PostgresBarrierTest, AServerThatIsAwayIsNamed) {
  const auto barrier = PostgresBarrier::open({.conninfo = "host=127.0.0.1 port=1 dbname=x"});
  ASSERT_FALSE(barrier);
  EXPECT_NE(barrier.error().message.find("127.0.0.1"), std::string::npos) << barrier.error().message;
  EXPECT_FALSE(PostgresBarrier::open({.conninfo = "this is no conninfo"}));
}

TEST_F(PostgresBarrierTest, ADatabaseMadeFromThisOneAsItsTemplateIsAnother) {
  std::string name;
  {
    PostgresKind original;
    ASSERT_TRUE(original.open());
    name = original.name();
  }
  PostgresKind::execute(place_.look(), fmt::format("CREATE DATABASE {0}_copy TEMPLATE {0}", name));
  const auto barrier = PostgresBarrier::open({.conninfo = conninfo(name)});
  ASSERT_TRUE(barrier);
  PGconn* copy = connect(name + "_copy");
  EXPECT_FALSE((*barrier)->same_database(*copy));
  const auto refused = PostgresBarrier::open({.conninfo = conninfo(name), .work = copy});
  PQfinish(copy);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("_copy"), std::string::npos) << refused.error().message;
}

TEST_F(PostgresBarrierTest, WhoHoldsTheRowIsWaitedForAndNotForEver) {
  const auto barrier =
      PostgresBarrier::open({.conninfo = conninfo(place_.name()), .patience = std::chrono::milliseconds(100)});
  ASSERT_TRUE(barrier);
  Branches branches({}, std::make_unique<EnrolledOn<PGconn>>(participant_, **barrier));
  ASSERT_TRUE(branches.prepare(prepare(branch(1))).ok());
  PostgresKind::execute(place_.look(), "BEGIN; SELECT * FROM assent_branches FOR UPDATE");
  EXPECT_EQ(branches.end(Call::commit, branch(1)).code, AnswerCode::unknown);
  EXPECT_EQ(branches.status({branch(1).txn, "b"})->state, BranchState::prepared) << "who reads does not wait";
  PostgresKind::execute(place_.look(), "COMMIT");
  EXPECT_TRUE(branches.end(Call::commit, branch(1)).ok());
}

}  // namespace
}  // namespace assent::service::testing
