#include "cli/bank/setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace assent::bank {

namespace {

constexpr std::size_t batch_accounts = 500;
constexpr std::size_t batches_in_flight = 8;
constexpr std::chrono::milliseconds batch_timeout{30'000};

client::Result<bool> committed(const client::Result<client::TxnOutcome>& outcome, const std::string& what) {
  if (!outcome) return tl::unexpected(outcome.error());
  if (outcome->committed()) return true;
  return client::fail(client::ErrorCode::refused,
                      fmt::format("cannot {}: {} {}", what, to_string(outcome->state),
                                  outcome->aborted() ? outcome->abort.message : outcome->note));
}

client::Result<bool> make_tables(client::Client& client, const Bank& bank) {
  for (const std::string& shard : bank.shards) {
    for (const SqlStatement& statement : schema()) {
      const auto outcome = client.run_with_retry([&](const TxnId&) {
        client::Transaction transaction;
        transaction.on(shard, statement);
        return transaction;
      });
      if (auto done = committed(outcome, "make the tables of the bank on " + shard); !done) return done;
    }
  }
  return true;
}

struct Batch {
  std::string shard;
  std::vector<std::uint64_t> accounts;
};

std::vector<Batch> batches_of(const Bank& bank, const std::vector<std::uint64_t>& accounts) {
  std::map<std::string, Batch> open;
  std::vector<Batch> batches;
  for (const std::uint64_t account : accounts) {
    Batch& batch = open[bank.shard_of(account)];
    batch.shard = bank.shard_of(account);
    batch.accounts.push_back(account);
    if (batch.accounts.size() == batch_accounts) batches.push_back(std::exchange(batch, {}));
  }
  for (auto& [shard, batch] : open) {
    if (!batch.accounts.empty()) batches.push_back(std::move(batch));
  }
  return batches;
}

client::Result<bool> create_accounts(client::Client& client, const Bank& bank,
                                     const std::vector<std::uint64_t>& accounts, const LoadProgress& progress) {
  std::mutex mutex;  // protects the three below, which the client's callbacks change
  std::condition_variable changed;
  std::size_t in_flight = 0;
  std::uint64_t done = 0;
  client::Result<bool> result = true;

  std::unique_lock lock(mutex);
  for (const Batch& batch : batches_of(bank, accounts)) {
    changed.wait(lock, [&] { return in_flight < batches_in_flight; });
    if (!result) break;
    ++in_flight;
    lock.unlock();
    client.run_with_retry_async(
        [&bank, batch](const TxnId&) {
          client::Transaction transaction;
          transaction.on(batch.shard, insert_accounts(batch.accounts, bank.initial_balance));
          return transaction;
        },
        [&, size = batch.accounts.size()](const client::Result<client::TxnOutcome>& outcome) {
          const std::lock_guard guard(mutex);
          const client::Result<bool> made = committed(outcome, "create accounts");
          if (!made && result) result = made;
          done += made ? size : 0;
          --in_flight;
          changed.notify_one();
        },
        {}, batch_timeout);
    lock.lock();
    progress(done, accounts.size());
  }
  changed.wait(lock, [&] { return in_flight == 0; });
  if (result) progress(done, accounts.size());
  return result;
}

}  // namespace

client::Result<SetUp> set_up(client::Client& client, std::uint64_t accounts_per_shard, std::int64_t initial_balance,
                             const LoadProgress& progress) {
  const client::Result<client::ClusterStatus> status = client.status();
  if (!status) return tl::unexpected(status.error());
  SetUp setup{{status->shards(), accounts_per_shard, initial_balance}, {}, {}};
  Bank& bank = setup.bank;
  std::sort(bank.shards.begin(), bank.shards.end());
  if (bank.shards.empty()) return client::fail(client::ErrorCode::not_found, "this cluster has no shards");
  if (bank.accounts() < 2) return client::fail(client::ErrorCode::invalid, "a bank needs at least two accounts");

  client::Result<bool> done = make_tables(client, bank);
  if (!done) return tl::unexpected(done.error());
  client::Result<Balances> found = read_balances(client, bank);
  if (!found) return tl::unexpected(found.error());
  for (std::uint64_t account = 0; account < bank.accounts(); ++account) {
    if (!found->contains(account)) setup.created.push_back(account);
  }
  done = create_accounts(client, bank, setup.created, progress);
  if (!done) return tl::unexpected(done.error());
  setup.balances = std::move(*found);
  for (const std::uint64_t account : setup.created) setup.balances[account] = initial_balance;
  return setup;
}

}  // namespace assent::bank
