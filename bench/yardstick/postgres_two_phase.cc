// A yardstick, not part of the product: transfers between two PostgreSQL servers by PREPARE TRANSACTION on both, then
// COMMIT PREPARED on both, each client on two connections of its own. Nothing is replicated. With a FOLDER the decision
// is written to a file there and synced before anything is committed, a file for each client; without, nobody writes
// anything down, so that transactions are lost when the client dies: what an application without Assent would do.
//
//   postgres_two_phase CONNINFO_A CONNINFO_B CLIENTS SECONDS ACCOUNTS [FOLDER]
#include <fcntl.h>
#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

void run(PGconn* connection, const std::string& sql) {
  PGresult* result = PQexec(connection, sql.c_str());
  const auto status = PQresultStatus(result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    std::fprintf(stderr, "%s: %s", sql.c_str(), PQerrorMessage(connection));
    std::exit(1);
  }
  PQclear(result);
}

PGconn* open(const char* info) {
  PGconn* connection = PQconnectdb(info);
  if (PQstatus(connection) == CONNECTION_OK) return connection;
  std::fprintf(stderr, "%s", PQerrorMessage(connection));
  std::exit(1);
}

void prepare_tables(PGconn* connection, int accounts) {
  run(connection, "DROP TABLE IF EXISTS accounts, transfers");
  run(connection, "CREATE TABLE accounts(id int PRIMARY KEY, balance bigint NOT NULL CHECK(balance >= 0))");
  run(connection, "CREATE TABLE transfers(id text PRIMARY KEY, amount bigint)");
  run(connection, "INSERT INTO accounts SELECT i, 1000000 FROM generate_series(1, " + std::to_string(accounts) + ") i");
}

// The first half of one side: the work and its prepare, in one round trip.
void send_prepare(PGconn* side, const std::string& id, int account, int delta) {
  const std::string sql = "BEGIN; UPDATE accounts SET balance = balance + (" + std::to_string(delta) +
                          ") WHERE id = " + std::to_string(account) + "; INSERT INTO transfers VALUES('" + id + "', " +
                          std::to_string(delta) + "); PREPARE TRANSACTION '" + id + "'";
  PQsendQuery(side, sql.c_str());
}

void finish(PGconn* side) {
  while (PGresult* result = PQgetResult(side)) {
    if (PQresultStatus(result) == PGRES_FATAL_ERROR) {
      std::fprintf(stderr, "%s", PQerrorMessage(side));
      std::exit(1);
    }
    PQclear(result);
  }
}

// The decisions of one client, or none when there is no folder.
class Decisions {
 public:
  Decisions(const char* folder, int client) {
    if (folder == nullptr) return;
    file_ = ::open((std::string(folder) + "/decisions" + std::to_string(client)).c_str(), O_CREAT | O_WRONLY, 0600);
    if (file_ < 0 || ftruncate(file_, bytes) != 0) fail();
  }
  ~Decisions() {
    if (file_ >= 0) ::close(file_);
  }
  Decisions(const Decisions&) = delete;
  Decisions& operator=(const Decisions&) = delete;

  void commit(const std::string& id) {
    if (file_ < 0) return;
    const auto written = pwrite(file_, id.data(), id.size(), at_);
    if (written != static_cast<ssize_t>(id.size()) || fdatasync(file_) != 0) fail();
    at_ = (at_ + 64) % bytes;
  }

 private:
  static constexpr off_t bytes = 1 << 20;
  [[noreturn]] static void fail() {
    std::perror("decisions");
    std::exit(1);
  }
  int file_ = -1;
  off_t at_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) return 2;
  const int clients = std::atoi(argv[3]);
  const auto duration = std::chrono::seconds(std::atoi(argv[4]));
  const int accounts = std::atoi(argv[5]);
  for (int side = 1; side <= 2; ++side) {
    PGconn* connection = open(argv[side]);
    prepare_tables(connection, accounts);
    PQfinish(connection);
  }
  std::vector<std::vector<double>> latencies(static_cast<std::size_t>(clients));
  std::vector<std::thread> threads;
  const auto end = Clock::now() + duration;
  for (int client = 0; client < clients; ++client) {
    threads.emplace_back([&, client] {
      PGconn* a = open(argv[1]);
      PGconn* b = open(argv[2]);
      Decisions decisions(argc == 7 ? argv[6] : nullptr, client);
      std::mt19937 random(static_cast<unsigned>(client));
      std::uniform_int_distribution<int> account(1, accounts);
      for (int n = 0; Clock::now() < end; ++n) {
        const auto start = Clock::now();
        const std::string id = "t" + std::to_string(client) + "_" + std::to_string(n);
        send_prepare(a, id, account(random), -1);
        send_prepare(b, id, account(random), 1);
        finish(a);
        finish(b);
        decisions.commit(id);
        PQsendQuery(a, ("COMMIT PREPARED '" + id + "'").c_str());
        PQsendQuery(b, ("COMMIT PREPARED '" + id + "'").c_str());
        finish(a);
        finish(b);
        latencies[static_cast<std::size_t>(client)].push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - start).count());
      }
      PQfinish(a);
      PQfinish(b);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<double> all;
  for (const auto& one : latencies) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  if (all.empty()) return 1;
  std::printf("clients %d  transfers/s %.1f  p50 %.2f ms  p99 %.2f ms\n", clients,
              static_cast<double>(all.size()) / static_cast<double>(duration.count()), all[all.size() / 2],
              all[all.size() * 99 / 100]);
}
