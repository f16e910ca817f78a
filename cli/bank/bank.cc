#include "cli/bank/bank.h"

#include <fmt/format.h>

#include <charconv>

namespace assent::bank {

namespace {

constexpr std::string_view account_prefix = "acct/";
constexpr std::int64_t amount_max = 50;

constexpr const char* debit_sql = "UPDATE accounts SET balance = balance - ?1 WHERE id = ?2 RETURNING balance";
constexpr const char* credit_sql = "UPDATE accounts SET balance = balance + ?1 WHERE id = ?2 RETURNING balance";
constexpr const char* enter_sql = "INSERT INTO transfers(id, debit, credit, amount) VALUES(?1, ?2, ?3, ?4)";

std::optional<std::int64_t> single_integer(const WorkResult& results, std::size_t operation) {
  if (operation >= results.size() || results[operation].rows.size() != 1) return std::nullopt;
  const std::vector<SqlValue>& row = results[operation].rows.front();
  const auto* value = row.size() == 1 ? std::get_if<std::int64_t>(&row.front()) : nullptr;
  return value == nullptr ? std::nullopt : std::optional(*value);
}

}  // namespace

std::string account_id(std::uint64_t account) { return fmt::format("{}{:06}", account_prefix, account); }

std::optional<std::uint64_t> account_number(std::string_view id) {
  if (!id.starts_with(account_prefix)) return std::nullopt;
  id.remove_prefix(account_prefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error != std::errc() || end != id.data() + id.size()) return std::nullopt;
  return number;
}

Transfer random_transfer(const Bank& bank, double cross_shard, Rng& rng) {
  const std::uint64_t shards = bank.shards.size();
  const bool cross = shards > 1 && (bank.accounts_per_shard < 2 || rng.chance(cross_shard));
  const std::uint64_t from_shard = rng.below(shards);
  const std::uint64_t from = rng.below(bank.accounts_per_shard);
  const std::uint64_t to_shard = cross ? (from_shard + 1 + rng.below(shards - 1)) % shards : from_shard;
  // On one shard: any account but the first chosen.
  const std::uint64_t to = cross ? rng.below(bank.accounts_per_shard)
                                 : (from + 1 + rng.below(bank.accounts_per_shard - 1)) % bank.accounts_per_shard;
  return Transfer{from * shards + from_shard, to * shards + to_shard,
                  1 + static_cast<std::int64_t>(rng.below(amount_max))};
}

std::vector<SqlStatement> schema() {
  return {
      client::sql(
          "CREATE TABLE IF NOT EXISTS accounts(id TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK(balance >= 0))"),
      client::sql(
          "CREATE TABLE IF NOT EXISTS transfers(id TEXT PRIMARY KEY, debit TEXT NOT NULL, credit TEXT NOT NULL, "
          "amount INTEGER NOT NULL CHECK(amount > 0))"),
  };
}

SqlStatement insert_accounts(const std::vector<std::uint64_t>& accounts, std::int64_t balance) {
  SqlStatement statement{"INSERT INTO accounts(id, balance) VALUES", {balance}};
  for (std::size_t i = 0; i < accounts.size(); ++i) {
    statement.text += fmt::format("{}(?{}, ?1)", i == 0 ? "" : ",", i + 2);
    statement.parameters.emplace_back(account_id(accounts[i]));
  }
  return statement;
}

client::Transaction transaction_of(const Bank& bank, const Transfer& transfer, const TxnId& id) {
  const std::string debit = account_id(transfer.debit);
  const std::string credit = account_id(transfer.credit);
  const std::string& from = bank.shard_of(transfer.debit);
  const std::string& to = bank.shard_of(transfer.credit);
  const SqlStatement enter = client::sql(enter_sql, id.to_hex(), debit, credit, transfer.amount);
  client::Transaction transaction;
  transaction.id = id;
  transaction.on(from, client::sql(debit_sql, transfer.amount, debit)).on(from, enter);
  transaction.on(to, client::sql(credit_sql, transfer.amount, credit));
  if (from != to) transaction.on(to, enter);
  return transaction;
}

std::optional<BalancesAfter> balances_after(const Bank& bank, const Transfer& transfer,
                                            const client::TxnOutcome& outcome) {
  const std::string& from = bank.shard_of(transfer.debit);
  const std::string& to = bank.shard_of(transfer.credit);
  const std::optional<std::int64_t> debit = single_integer(outcome.of(from), 0);
  const std::optional<std::int64_t> credit = single_integer(outcome.of(to), from == to ? 2 : 0);
  if (!debit || !credit) return std::nullopt;
  return BalancesAfter{*debit, *credit};
}

}  // namespace assent::bank
