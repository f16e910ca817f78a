#include "cli/hot/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/rng.h"

namespace assent::hot {

namespace {

using Time = std::chrono::steady_clock::time_point;

// Below its floor no balance may come, by either rule.
constexpr std::array<const char*, 2> tables = {
    "CREATE TABLE IF NOT EXISTS hot_escrow(id TEXT PRIMARY KEY, balance INTEGER ESCROW(0))",
    "CREATE TABLE IF NOT EXISTS hot_locked(id TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))"};
constexpr std::int64_t amount_max = 5;
constexpr std::chrono::milliseconds pause_after_failure{100};

constexpr std::size_t in_one_transaction = 500;

std::string common_key(std::uint64_t account) {
  return account == 0 ? "hot/account" : fmt::format("hot/account/{}", account);
}
std::string own_key(std::size_t client) { return fmt::format("hot/client/{}", client); }
std::string value_key(std::size_t client) { return fmt::format("hot/value/{}", client); }

std::int64_t number_in(const OperationResult& result) {
  if (result.rows.empty() || result.rows[0].empty()) return 0;
  if (const auto* number = std::get_if<std::int64_t>(&result.rows[0][0])) return *number;
  std::string_view digits;
  if (const auto* blob = std::get_if<SqlBlob>(&result.rows[0][0])) digits = blob->bytes;
  if (const auto* text = std::get_if<std::string>(&result.rows[0][0])) digits = *text;
  std::int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

class Load {
 public:
  Load(client::Client& client, const Options& options, std::vector<std::string> shards)
      : client_(client), options_(options), shards_(std::move(shards)) {
    for (std::size_t i = 0; i < options_.clients; ++i) {
      auto teller = std::make_unique<Teller>();
      teller->number = i;
      teller->rng = Rng(options_.seed).split("teller " + std::to_string(i));
      tellers_.push_back(std::move(teller));
    }
  }

  client::Result<bool> set_up();
  // Warms up, and measures.
  void move_money();
  client::Result<bool> count();
  Report report;

 private:
  struct Teller {
    std::size_t number = 0;
    Rng rng{0};
    std::int64_t own = 0;  // what is in each of its accounts, as far as it knows
    std::uint64_t account = 0;
    std::int64_t amount = 0;
    Time began;
  };

  [[nodiscard]] std::size_t own_accounts() const { return options_.participants - 1; }
  // Of its account of this number, from 0 on.
  [[nodiscard]] const std::string& shard_of(std::size_t teller, std::size_t number) const {
    return shards_[1 + (teller + number) % (shards_.size() - 1)];
  }
  [[nodiscard]] client::Transaction transfer(const Teller& teller) const;
  [[nodiscard]] const char* table() const { return options_.escrow ? "hot_escrow" : "hot_locked"; }
  [[nodiscard]] Operation set(const std::string& account, std::int64_t balance) const;
  [[nodiscard]] Operation add(const std::string& account, std::int64_t amount, std::optional<std::int64_t> floor) const;
  [[nodiscard]] Operation get(const std::string& account) const;
  // Of all accounts, common and own, some at a time.
  client::Result<bool> for_parts(const std::function<Operation(const std::string&, bool common)>& operation,
                                 const std::function<client::Result<bool>(const client::Transaction&)>& act) const;
  client::Result<bool> commit(const client::Transaction& transaction);
  void forget_measures();  // wants the lock held
  void next(Teller& teller);
  void finished(Teller& teller, const client::Result<client::TxnOutcome>& result);

  client::Client& client_;
  const Options options_;
  const std::vector<std::string> shards_;
  std::vector<std::unique_ptr<Teller>> tellers_;  // each touched only between its own calls
  std::mutex mutex_;                              // protects all below, and report while money moves
  std::condition_variable idle_;
  std::size_t running_ = 0;
  bool stopping_ = false;
};

Operation Load::set(const std::string& account, std::int64_t balance) const {
  if (!options_.sql) return KvPut{account, std::to_string(balance)};
  return client::sql(fmt::format("INSERT OR REPLACE INTO {}(id, balance) VALUES(?1, ?2)", table()), account, balance);
}

Operation Load::add(const std::string& account, std::int64_t amount, std::optional<std::int64_t> floor) const {
  if (!options_.sql) return KvAdd{account, amount, floor, std::nullopt, options_.escrow};
  return client::sql(fmt::format("UPDATE {} SET balance = balance + ?1 WHERE id = ?2", table()), amount, account);
}

Operation Load::get(const std::string& account) const {
  if (!options_.sql) return KvGet{account};
  return client::sql(fmt::format("SELECT balance FROM {} WHERE id = ?1", table()), account);
}

client::Result<bool> Load::commit(const client::Transaction& transaction) {
  const auto outcome = client_.run_with_retry([&](const TxnId&) { return transaction; });
  if (!outcome) return tl::unexpected(outcome.error());
  if (outcome->committed()) return true;
  return client::fail(client::ErrorCode::refused, "cannot make the accounts: " + outcome->abort.message);
}

client::Result<bool> Load::set_up() {
  for (const std::string& shard : options_.sql ? shards_ : std::vector<std::string>{}) {
    for (const char* table : tables) {
      client::Transaction schema;
      schema.on(shard, client::sql(table));
      if (auto made = commit(schema); !made) return made;
    }
  }
  report.total_before = options_.balance * static_cast<std::int64_t>(options_.accounts);
  return for_parts(
      [this](const std::string& account, bool common) { return set(account, common ? options_.balance : 0); },
      [this](const client::Transaction& part) { return commit(part); });
}

client::Result<bool> Load::for_parts(const std::function<Operation(const std::string&, bool common)>& operation,
                                     const std::function<client::Result<bool>(const client::Transaction&)>& act) const {
  client::Transaction part;
  std::size_t held = 0;
  const std::uint64_t all = options_.accounts + tellers_.size() * own_accounts();
  for (std::uint64_t i = 0; i < all; ++i) {
    const bool common = i < options_.accounts;
    const std::size_t own = common ? 0 : i - options_.accounts;
    const std::size_t teller = own / own_accounts();
    part.on(common ? shards_[0] : shard_of(teller, own % own_accounts()),
            operation(common ? common_key(i) : own_key(teller), common));
    if (++held < in_one_transaction && i + 1 < all) continue;
    if (auto done = act(part); !done) return done;
    part = {};
    held = 0;
  }
  return true;
}

client::Transaction Load::transfer(const Teller& teller) const {
  client::Transaction out;
  out.protocol = options_.protocol;
  out.on(shards_[0], add(common_key(teller.account), -teller.amount * static_cast<std::int64_t>(own_accounts()), 0));
  for (std::size_t i = 0; i < own_accounts(); ++i) {
    out.on(shard_of(teller.number, i), add(own_key(teller.number), teller.amount, std::nullopt));
  }
  if (options_.value_bytes == 0) return out;
  for (client::Branch& branch : out.branches) {
    branch.work.push_back(KvPut{value_key(teller.number), Bytes(options_.value_bytes, 'v')});
  }
  return out;
}

void Load::next(Teller& teller) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      if (--running_ == 0) idle_.notify_all();
      return;
    }
  }
  // Out of a common account, or back what was taken before: none is empty for long.
  const bool back = teller.own > 0 && teller.rng.chance(0.5);
  const auto drawn = 1 + static_cast<std::int64_t>(teller.rng.below(amount_max));
  teller.amount = back ? -std::min(drawn, teller.own) : drawn;
  teller.account = options_.accounts == 1 ? 0 : teller.rng.below(options_.accounts);
  teller.began = std::chrono::steady_clock::now();
  client_.run_with_retry_async(
      [transaction = transfer(teller)](const TxnId&) { return transaction; },
      [this, &teller](const client::Result<client::TxnOutcome>& result) { finished(teller, result); }, {},
      options_.timeout);
}

void Load::finished(Teller& teller, const client::Result<client::TxnOutcome>& result) {
  const Time now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (!result) {
      ++report.failed;
      report.last_trouble = result.error().message;
    } else if (result->committed()) {
      ++report.committed;
      report.conflicts += result->earlier.size();
      teller.own += teller.amount;
      const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now - teller.began).count();
      report.latency.add(static_cast<std::uint64_t>(micros));
    } else {
      (result->aborted() ? report.aborted : report.unknown) += 1;
      report.conflicts += result->earlier.size();
      report.last_trouble = result->aborted() ? result->abort.message : result->note;
    }
  }
  if (result) return next(teller);
  client_.call_later(pause_after_failure, [this, &teller] { next(teller); });
}

// Not what the money is judged by.
void Load::forget_measures() {
  Report fresh;
  fresh.total_before = report.total_before;
  report = fresh;
}

void Load::move_money() {
  running_ = tellers_.size();
  for (const auto& teller : tellers_) next(*teller);
  std::this_thread::sleep_for(options_.warmup);
  const bank::Meter before = bank::read_meter(client_);
  {
    const std::lock_guard lock(mutex_);
    forget_measures();
  }
  const Time began = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(options_.duration);
  std::unique_lock lock(mutex_);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  stopping_ = true;
  const std::uint64_t measured = report.committed;
  lock.unlock();
  report.cost = bank::cost_between(before, bank::read_meter(client_), measured);
  lock.lock();
  idle_.wait(lock, [this] { return running_ == 0; });
}

client::Result<bool> Load::count() {
  bool first = true;
  return for_parts([this](const std::string& account, bool) { return get(account); },
                   [&](const client::Transaction& part) -> client::Result<bool> {
                     const auto read = client_.read(part.branches, std::chrono::seconds(30));
                     if (!read) return tl::unexpected(read.error());
                     for (const client::BranchResult& branch : read->results) {
                       for (const OperationResult& result : branch.results) {
                         const std::int64_t balance = number_in(result);
                         report.total_after += balance;
                         if (branch.shard != shards_[0]) continue;
                         report.lowest_balance = first ? balance : std::min(report.lowest_balance, balance);
                         first = false;
                       }
                     }
                     return true;
                   });
}

}  // namespace

client::Result<Report> run(client::Client& client, const Options& options) {
  const auto status = client.status();
  if (!status) return tl::unexpected(status.error());
  std::vector<std::string> shards = status->shards();
  std::sort(shards.begin(), shards.end());
  if (shards.size() < options.participants) {
    return client::fail(client::ErrorCode::invalid, fmt::format("this load needs {} shards, and the cluster has {}",
                                                                options.participants, shards.size()));
  }
  Load load(client, options, std::move(shards));
  if (auto made = load.set_up(); !made) return tl::unexpected(made.error());
  load.move_money();
  if (auto counted = load.count(); !counted) return tl::unexpected(counted.error());
  return load.report;
}

}  // namespace assent::hot
