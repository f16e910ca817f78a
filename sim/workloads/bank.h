// The bank that the simulated clients keep: accounts spread over the shards, transfers between them, and a journal row
// for every leg of every transfer, written in the same transaction, so that what really happened to a transaction can
// be read from the data alone. Builds work and reads answers; knows no clients, no faults and no checks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "sim/swarm.h"
#include "txn_proto/types.h"

namespace assent::sim {

using AccountId = unsigned;  // 0 .. accounts - 1; account a lives on shard a % shards

struct Transfer {
  TxnId txn;
  AccountId from = 0;
  AccountId to = 0;
  std::int64_t amount = 0;
  bool operator==(const Transfer&) const = default;
};

// What a read found of one account. Moves counts the transfers that touched it: it only grows.
struct Account {
  std::int64_t balance = 0;
  std::uint64_t moves = 0;
  bool operator==(const Account&) const = default;
};
using Books = std::map<AccountId, Account>;

// The journal of one shard: what each transaction did to which account.
using Journal = std::map<TxnId, std::map<AccountId, std::int64_t>>;

class Bank {
 public:
  static constexpr std::int64_t opening_balance = 1'000;

  Bank(Backend backend, std::vector<GroupId> shards, unsigned accounts, bool escrow);

  [[nodiscard]] bool sql() const { return backend_ == Backend::sql; }
  [[nodiscard]] unsigned accounts() const { return accounts_; }
  [[nodiscard]] std::int64_t total() const { return opening_balance * accounts_; }
  [[nodiscard]] GroupId shard_of(AccountId account) const { return shards_[account % shards_.size()]; }
  [[nodiscard]] const std::vector<GroupId>& shards() const { return shards_; }
  [[nodiscard]] std::vector<AccountId> accounts_of(GroupId shard) const;

  // What must be committed on the shard, in this order, before anything else.
  [[nodiscard]] std::vector<Work> opening(GroupId shard) const;
  [[nodiscard]] std::vector<Branch> transfer(const Transfer& transfer) const;
  // All balances in one transaction over all shards that have accounts.
  [[nodiscard]] std::vector<Branch> read_all() const;
  [[nodiscard]] Work change_schema(unsigned number) const;

  // Linearizable reads of one shard.
  [[nodiscard]] Work query_accounts(GroupId shard) const;
  [[nodiscard]] Work query_leg(const TxnId& txn, AccountId account) const;
  // The journal rows of these transactions, a part at a time.
  [[nodiscard]] Work query_journal(GroupId shard, const std::vector<TxnId>& txns) const;

  // Reading answers; nullopt when they have not the shape that was asked for.
  [[nodiscard]] std::optional<Books> read_books(GroupId shard, const WorkResult& result) const;
  [[nodiscard]] std::optional<Books> read_books(const std::vector<BranchResult>& results) const;
  [[nodiscard]] static std::optional<bool> read_leg(const WorkResult& result);
  [[nodiscard]] std::optional<Journal> read_journal(GroupId shard, const std::vector<TxnId>& txns,
                                                    const WorkResult& result) const;

 private:
  void add_leg(Work& work, const TxnId& txn, AccountId account, std::int64_t delta) const;

  Backend backend_;
  std::vector<GroupId> shards_;
  unsigned accounts_;
  bool escrow_;  // balances and moves are added to in escrow
};

}  // namespace assent::sim
