// Transfers between two PostgreSQL servers through Assent: the same work as postgres_two_phase.cc, with a cluster that
// decides and an assent-agent before each server.
//
//   agent_transfers ENDPOINTS AGENT_A AGENT_B CLIENTS SECONDS ACCOUNTS
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"

namespace {

using namespace assent;
using Clock = std::chrono::steady_clock;

std::string side(const TxnId& id, int account, int delta) {
  return fmt::format(
      R"x({{"statements":[{{"sql":"UPDATE accounts SET balance = balance + $1 WHERE id = $2","params":[{0},{1}],"rows":1}},
          {{"sql":"INSERT INTO transfers VALUES($1, $2)","params":["{2}",{0}]}}]}})x",
      delta, account, id.to_hex());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  const auto endpoints = client::parse_endpoints(argv[1]);
  if (!endpoints) return 2;
  auto cluster = client::Client::connect({.endpoints = *endpoints});
  if (!cluster) return 2;
  const int clients = std::atoi(argv[4]);
  const auto duration = std::chrono::seconds(std::atoi(argv[5]));
  const int accounts = std::atoi(argv[6]);
  std::vector<std::vector<double>> latencies(static_cast<std::size_t>(clients));
  std::atomic<int> aborted = 0;
  std::vector<std::thread> threads;
  const auto end = Clock::now() + duration;
  for (int client = 0; client < clients; ++client) {
    threads.emplace_back([&, client] {
      std::mt19937 random(static_cast<unsigned>(client));
      std::uniform_int_distribution<int> account(1, accounts);
      while (Clock::now() < end) {
        const auto start = Clock::now();
        client::Transaction transfer;
        transfer.id = client::new_txn_id();
        transfer.call({"a", argv[2], side(transfer.id, account(random), -1), "a"});
        transfer.call({"b", argv[3], side(transfer.id, account(random), 1), "b"});
        const auto done = cluster->execute(transfer, std::chrono::seconds(20));
        if (!done || !done->committed()) {
          if (++aborted == 1) fmt::print(stderr, "{}\n", done ? done->abort.message : done.error().text());
          continue;
        }
        latencies[static_cast<std::size_t>(client)].push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - start).count());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<double> all;
  for (const auto& one : latencies) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  if (all.empty()) return 1;
  fmt::print("clients {}  transfers/s {:.1f}  p50 {:.2f} ms  p99 {:.2f} ms  not committed {}\n", clients,
             static_cast<double>(all.size()) / static_cast<double>(duration.count()), all[all.size() / 2],
             all[all.size() * 99 / 100], aborted.load());
}
