// Makes the bank on a cluster: tables, and the accounts that are missing. Running it again changes nothing.
#pragma once

#include <functional>
#include <vector>

#include "cli/bank/bank.h"
#include "cli/bank/books.h"
#include "client/client.h"

namespace assent::bank {

struct SetUp {
  Bank bank;
  Balances balances;                   // as found after it, before any transfer
  std::vector<std::uint64_t> created;  // the accounts that were not there
};
using LoadProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;

// The shards are those that the cluster has. accounts_per_shard: at least one, and two when there is one shard only.
// More accounts than asked for may be there from an earlier run; they belong to the bank, too.
[[nodiscard]] client::Result<SetUp> set_up(client::Client& client, std::uint64_t accounts_per_shard,
                                           std::int64_t initial_balance, const LoadProgress& progress);

}  // namespace assent::bank
