// Lives of agents, for agent_kills_test.cc, which ends them at any moment. Each prepares a branch on an account and
// commits or aborts it, over connections that were opened before; all of them at the same time, in one process.
//
// Reads lines of "URL NAME ACCOUNT TXN commit|abort" and an empty one; says "ready", waits for a last line, and says
// what each life was answered: "ACCOUNT prepare OK".
#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "agent/agent.h"
#include "agent/mariadb_database.h"
#include "agent/postgres_database.h"
#include "agent/promised_barrier.h"
#include "agent/sql_participant.h"
#include "service/mariadb_barrier.h"
#include "service/postgres_barrier.h"
#include "tests/agent/life.h"

namespace assent::agent::testing {
namespace {

void say(const std::string& line) {
  static std::mutex one_at_a_time;
  const std::scoped_lock lock(one_at_a_time);
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

std::string told(const service::Answer& answer) {
  if (answer.ok()) return "OK";
  return answer.code == service::AnswerCode::aborted ? "NO" : "UNKNOWN " + answer.message;
}

// Opened now, lived when it is called.
template <class Connection>
std::function<void()> open(Result<std::unique_ptr<service::Barrier<Connection>>> barrier,
                           Result<std::unique_ptr<DatabaseOn<Connection>>> database, const Life& life) {
  if (!barrier || !database) {
    say("cannot open: " + (barrier ? database.error() : barrier.error()).message);
    return nullptr;
  }
  struct Opened {
    std::unique_ptr<service::Barrier<Connection>> barrier;
    std::unique_ptr<DatabaseOn<Connection>> database;
  };
  auto opened = std::make_shared<Opened>(Opened{std::move(*barrier), std::move(*database)});
  return [opened, life] {
    SqlParticipant<Connection> participant(*opened->database);
    service::Branches branches(
        {}, std::make_unique<EnrolledDatabase<Connection>>(participant, *opened->barrier, *opened->database));
    say(fmt::format("{} prepare {}", life.account, told(branches.prepare({life.branch(), "", life.payload()}))));
    const auto call = life.commits ? service::Call::commit : service::Call::abort;
    say(fmt::format("{} end {}", life.account, told(branches.end(call, life.branch()))));
  };
}

std::function<void()> open(const Life& life) {
  if (life.url.starts_with("postgres://")) {
    auto plain = service::PostgresBarrier::open({.conninfo = life.url, .connections = 1});
    auto database = PostgresDatabase::open({.conninfo = life.url, .connections = 1});
    if (!plain || !database) return open<PGconn>(fail((plain ? database.error() : plain.error())), nullptr, life);
    auto barrier = std::make_unique<PromisedBarrier>(std::move(*plain), (*database)->identity());
    return open<PGconn>(std::move(barrier), std::move(*database), life);
  }
  const auto address = parse_mariadb(life.url).value();
  return open<MYSQL>(service::MariadbBarrier::open({.address = address, .connections = 1}),
                     MariadbDatabase::open({.address = address, .connections = 2}), life);
}

int live() {
  std::vector<std::function<void()>> lives;
  for (std::string line; std::getline(std::cin, line) && !line.empty();) {
    std::istringstream in(line);
    Life life;
    std::string txn;
    std::string way;
    in >> life.url >> life.name >> life.account >> txn >> way;
    life.txn = TxnId::from_hex(txn).value();
    life.commits = way == "commit";
    lives.push_back(open(life));
    if (!lives.back()) return 1;
  }
  say("ready");
  std::string go;
  if (!std::getline(std::cin, go)) return 1;
  std::vector<std::thread> threads;
  threads.reserve(lives.size());
  for (const auto& one : lives) threads.emplace_back(one);
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace assent::agent::testing

int main() { return assent::agent::testing::live(); }
