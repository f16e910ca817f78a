// Clients that move money between common accounts and accounts of their own. With one common account: what a hot
// account bears, with adds in escrow and without; with many: transfers of keys that hardly meet. The accounts are keys
// with decimal integers, or rows of a table; the common ones are on the first shard, the others are on the others: a
// client has one on as many of them as a transfer has participants besides the first shard, and pays into all of these.
//
// run() makes the accounts anew, moves money for a while, and reads everything: the sum must be what it was. Up to 500
// accounts are read at one instant (Client::read), more of them in parts, when no client moves any more. Safe from any
// thread; the clients live on the client library's.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "cli/bank/cost.h"
#include "cli/bank/histogram.h"
#include "client/client.h"

namespace assent::hot {

struct Options {
  std::uint32_t clients = 32;
  std::chrono::milliseconds duration{20'000};
  std::chrono::milliseconds warmup{0};
  std::uint32_t participants = 2;    // shards of a transfer, from 2 on
  std::uint64_t value_bytes = 0;     // that a transfer also writes, to a key of its client's on each of its shards
  std::uint64_t accounts = 1;        // that all clients share, 1 to 10'000'000
  std::int64_t balance = 1'000'000;  // of each of them
  bool escrow = true;
  bool sql = false;  // rows, not keys
  Protocol protocol = Protocol::automatic;
  std::uint64_t seed = 1;
  std::chrono::milliseconds timeout{10'000};  // of one transfer, all its attempts together
};

struct Report {
  double seconds = 0;
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;    // transfers that gave up
  std::uint64_t conflicts = 0;  // attempts that aborted and were followed by another
  std::uint64_t failed = 0;     // certainly not begun
  std::uint64_t unknown = 0;    // whose outcome was not known in time
  bank::Cost cost;
  bank::Histogram latency;  // of the committed, in microseconds, from the first attempt on
  std::int64_t total_before = 0;
  std::int64_t total_after = 0;
  std::int64_t lowest_balance = 0;  // of a common account
  std::string last_trouble;

  [[nodiscard]] bool sound() const { return total_before == total_after && lowest_balance >= 0; }
  [[nodiscard]] double per_second() const { return seconds > 0 ? static_cast<double>(committed) / seconds : 0; }
};

[[nodiscard]] client::Result<Report> run(client::Client& client, const Options& options);

}  // namespace assent::hot
