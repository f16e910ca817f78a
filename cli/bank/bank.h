// The bank: which accounts there are and where, and the transactions that it is made of. Values and pure functions,
// shared by the benchmark, the demo and their checks.
//
// Every shard has the tables accounts(id, balance >= 0) and transfers(id, debit, credit, amount). A transfer changes
// two balances and enters itself, under its transaction's id, in the books of every shard that it touches, all in one
// transaction. So whatever happens: no money appears or goes, and a transfer stands in the books of both shards or of
// none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "client/transaction.h"

namespace assent::bank {

struct Bank {
  std::vector<std::string> shards;       // in the order of their names
  std::uint64_t accounts_per_shard = 0;  // numbered 0, 1, ...; number n is on shard n modulo the shards
  std::int64_t initial_balance = 1000;

  [[nodiscard]] std::uint64_t accounts() const { return accounts_per_shard * shards.size(); }
  [[nodiscard]] const std::string& shard_of(std::uint64_t account) const { return shards[account % shards.size()]; }
};

[[nodiscard]] std::string account_id(std::uint64_t account);
// Nothing when the text is no account's id.
[[nodiscard]] std::optional<std::uint64_t> account_number(std::string_view id);

struct Transfer {
  std::uint64_t debit = 0;
  std::uint64_t credit = 0;
  std::int64_t amount = 0;
  bool operator==(const Transfer&) const = default;
};
// Two different accounts, on two shards with the given probability; needs two accounts, and two shards for a
// cross-shard one.
[[nodiscard]] Transfer random_transfer(const Bank& bank, double cross_shard, Rng& rng);

[[nodiscard]] std::vector<SqlStatement> schema();
[[nodiscard]] SqlStatement insert_accounts(const std::vector<std::uint64_t>& accounts, std::int64_t balance);
[[nodiscard]] client::Transaction transaction_of(const Bank& bank, const Transfer& transfer, const TxnId& id);

// The balances that a committed transfer left behind, from its results; nothing when they are not known.
struct BalancesAfter {
  std::int64_t debit = 0;
  std::int64_t credit = 0;
};
[[nodiscard]] std::optional<BalancesAfter> balances_after(const Bank& bank, const Transfer& transfer,
                                                          const client::TxnOutcome& outcome);

}  // namespace assent::bank
