// The demo: money goes around between accounts on two shards, and however nodes are killed and cut off, the sum of all
// balances stays what it was. A thread of its own moves it, another one counts it, all accounts at one instant.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"

namespace assent::dev {

struct BankView {
  bool running = false;
  bool ready = false;  // its accounts have been opened
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;
  std::uint64_t unknown = 0;  // not told yet what came of them
  std::int64_t expected = 0;
  std::optional<std::int64_t> sum;  // as of the last count
  std::int64_t counted_unix_millis = 0;
  std::uint64_t counts = 0;
  std::uint64_t wrong_counts = 0;
  std::map<std::string, std::int64_t> balances;
  std::string trouble;  // why the last count failed
};

class Bank {
 public:
  static constexpr std::size_t accounts = 20;
  static constexpr std::int64_t opening_balance = 1'000;

  Bank(std::vector<std::string> endpoints, std::size_t clients);
  ~Bank();
  Bank(const Bank&) = delete;
  Bank& operator=(const Bank&) = delete;

  void set_running(bool on) { running_ = on; }
  [[nodiscard]] BankView view() const;

 private:
  void open_accounts();
  void move_money(std::uint64_t seed);
  void count();
  void pause(std::chrono::milliseconds time) const;

  std::optional<client::Client> client_;
  std::atomic<bool> running_ = true;
  std::atomic<bool> ending_ = false;
  std::vector<std::thread> threads_;
  mutable std::mutex mutex_;
  BankView view_;  // guarded by mutex_
};

}  // namespace assent::dev
