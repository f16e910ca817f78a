#include "dev/bank.h"

#include <fmt/format.h>

#include <charconv>
#include <variant>

#include "base/rng.h"

namespace assent::dev {
namespace {

using std::chrono::milliseconds;

constexpr auto between_transfers = milliseconds(40);
constexpr auto between_counts = milliseconds(1'000);
constexpr auto patience = milliseconds(3'000);

std::string key_of(std::size_t account) { return fmt::format("acct/{:02}", account); }
const char* shard_of(std::size_t account) { return account % 2 == 0 ? "s1" : "s2"; }
KvAdd add(std::size_t account, std::int64_t delta) { return KvAdd{key_of(account), delta, 0, std::nullopt}; }

std::optional<std::int64_t> number_of(const OperationResult& result) {
  if (result.rows.size() != 1 || result.rows.front().size() != 1) return std::nullopt;
  const SqlValue& value = result.rows.front().front();
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  std::string_view text;
  if (const auto* blob = std::get_if<SqlBlob>(&value)) text = blob->bytes;
  if (const auto* words = std::get_if<std::string>(&value)) text = *words;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Bank::Bank(std::vector<std::string> endpoints, std::size_t clients) {
  client::Options options;
  options.endpoints = std::move(endpoints);
  auto connected = client::Client::connect(std::move(options));
  view_.expected = static_cast<std::int64_t>(accounts) * opening_balance;
  if (!connected) {
    view_.trouble = connected.error().text();
    return;
  }
  client_.emplace(std::move(*connected));
  threads_.emplace_back([this, clients] {
    open_accounts();
    std::vector<std::thread> movers;
    for (std::size_t i = 0; i < clients; ++i) movers.emplace_back([this, i] { move_money(i + 1); });
    while (!ending_) {
      count();
      pause(between_counts);
    }
    for (std::thread& mover : movers) mover.join();
  });
}

Bank::~Bank() {
  ending_ = true;
  for (std::thread& thread : threads_) thread.join();
}

BankView Bank::view() const {
  const std::lock_guard lock(mutex_);
  BankView view = view_;
  view.running = running_;
  return view;
}

void Bank::pause(milliseconds time) const {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!ending_ && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(milliseconds(10));
}

// One transaction: all accounts or none. Those that are there already were opened by an earlier run on the same data.
void Bank::open_accounts() {
  client::Transaction open;
  for (std::size_t i = 0; i < accounts; ++i) {
    open.on(shard_of(i), KvExpect{key_of(i), std::nullopt});
    open.on(shard_of(i), add(i, opening_balance));
  }
  while (!ending_) {
    client::Transaction again = open;
    const auto outcome = client_->execute(std::move(again), patience);
    const bool there =
        outcome && (outcome->committed() || (outcome->aborted() && outcome->abort.reason == AbortReason::constraint));
    if (there) break;
    pause(milliseconds(200));
  }
  const std::lock_guard lock(mutex_);
  view_.ready = !ending_;
}

void Bank::move_money(std::uint64_t seed) {
  Rng rng(seed);
  while (!ending_) {
    if (!running_) {
      pause(between_transfers);
      continue;
    }
    const std::size_t from = rng.below(accounts);
    const std::size_t to = (from + 1 + rng.below(accounts - 1)) % accounts;
    const auto amount = static_cast<std::int64_t>(1 + rng.below(20));
    client::Transaction transfer;
    transfer.on(shard_of(from), add(from, -amount)).on(shard_of(to), add(to, amount));
    const auto outcome = client_->execute(std::move(transfer), patience);
    {
      const std::lock_guard lock(mutex_);
      if (!outcome || outcome->aborted()) {
        ++view_.aborted;
      } else {
        ++(outcome->committed() ? view_.committed : view_.unknown);
      }
    }
    pause(between_transfers);
  }
}

void Bank::count() {
  std::vector<client::Branch> branches{{"s1", {}}, {"s2", {}}};
  for (std::size_t i = 0; i < accounts; ++i) branches[i % 2].work.emplace_back(KvGet{key_of(i)});
  const auto read = client_->read(branches, patience);
  const std::lock_guard lock(mutex_);
  if (!read) {
    view_.trouble = read.error().text();
    return;
  }
  std::int64_t sum = 0;
  std::map<std::string, std::int64_t> balances;
  for (std::size_t shard = 0; shard < read->results.size(); ++shard) {
    const auto& results = read->results[shard].results;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const auto balance = number_of(results[i]);
      if (!balance) {
        view_.trouble = "the accounts are not there yet";
        return;
      }
      balances[key_of(2 * i + shard)] = *balance;
      sum += *balance;
    }
  }
  view_.trouble.clear();
  view_.balances = std::move(balances);
  view_.sum = sum;
  view_.counted_unix_millis =
      std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  ++view_.counts;
  if (sum != view_.expected) ++view_.wrong_counts;
}

}  // namespace assent::dev
