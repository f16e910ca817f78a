// The books after a run, and the judgement over them: is the money all there, does every transfer that was acknowledged
// stand in the books exactly once, and none that was not? judge() is pure; the rest asks the cluster.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/bank/bank.h"
#include "client/client.h"

namespace assent::bank {

using Balances = std::map<std::uint64_t, std::int64_t>;  // by account

// A line of one shard's table of transfers.
struct Entry {
  std::string shard;
  TxnId id;
  Transfer transfer;
};

// What the clients know of their transfers.
struct KnownTransfer {
  TxnId id;
  Transfer transfer;
};
struct Ledger {
  std::vector<KnownTransfer> acknowledged;
  std::vector<TxnId> aborted;     // certainly not done
  std::vector<TxnId> unresolved;  // may be in the books or not
};

struct Judgement {
  std::int64_t total_before = 0;
  std::int64_t total_after = 0;
  std::uint64_t in_doubt_left = 0;
  std::uint64_t acknowledged_missing = 0;  // not exactly once in the books of each shard concerned, as acknowledged
  std::uint64_t aborted_present = 0;       // aborted, but in some books
  std::uint64_t torn = 0;                  // in the books of one shard concerned but not of the other
  std::uint64_t unexplained = 0;           // in the books, but no client knows it
  std::uint64_t accounts_off = 0;          // balance before and the books do not give the balance after

  [[nodiscard]] bool sound() const;
  // One line for each thing that is wrong.
  [[nodiscard]] std::vector<std::string> complaints() const;
};
// ledger null: who did what is not known, so that the books are judged by themselves.
[[nodiscard]] Judgement judge(const Bank& bank, const Balances& before, const Balances& after,
                              const std::vector<Entry>& entries, const Ledger* ledger);

[[nodiscard]] client::Result<Balances> read_balances(client::Client& client, const Bank& bank);
// Those with ids from since on.
[[nodiscard]] client::Result<std::vector<Entry>> read_entries(client::Client& client, const Bank& bank,
                                                              const TxnId& since);

// Waits until no shard has a prepared transaction, at most for the given time; gives how many are left. Shards without
// a leader count as having one.
[[nodiscard]] client::Result<std::uint64_t> wait_until_settled(client::Client& client, const Bank& bank,
                                                               std::chrono::milliseconds patience);

}  // namespace assent::bank
