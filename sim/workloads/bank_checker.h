// Judges the money and what clients read: conservation (I2), reads that miss nothing acknowledged before they began
// (R7), snapshots that form one order (a consequence of I1), and at the end that the journal holds every transfer told
// committed exactly once and nothing of one told aborted (A1, A6, A8, D1 from the data alone).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "sim/recorder.h"
#include "sim/txn_checker.h"
#include "sim/workloads/bank.h"

namespace assent::sim {

class BankChecker {
 public:
  BankChecker(Recorder& recorder, const Bank& bank) : recorder_(recorder), bank_(bank) {}

  void invoked(const Transfer& transfer);
  // A client holds the answer "committed" in its hands.
  void acknowledged(const Transfer& transfer);

  // What a read that begins now must at least see of each account.
  using Floor = std::map<AccountId, std::uint64_t>;
  [[nodiscard]] Floor floor() const { return acknowledged_; }
  // A linearizable read of some accounts.
  void read(const Books& books, const Floor& floor);
  // A committed read-only transaction over all accounts.
  void read_all(const Books& books, const Floor& floor);

  [[nodiscard]] const std::map<TxnId, Transfer>& transfers() const { return transfers_; }
  [[nodiscard]] const std::vector<Transfer>& acknowledged_transfers() const { return acknowledged_list_; }

  // The last word: what stands in the books and journals of all shards when everything is quiet.
  void audit(const Books& books, const Journal& journal, const std::map<TxnId, Fate>& fates);

 private:
  void audit_transfer(const Transfer& transfer, const Journal& journal, const Fate* fate);

  Recorder& recorder_;
  const Bank& bank_;
  std::map<TxnId, Transfer> transfers_;
  std::vector<Transfer> acknowledged_list_;
  std::set<TxnId> acknowledged_ids_;
  std::map<AccountId, std::uint64_t> acknowledged_;  // moves per account that were told
  std::map<AccountId, std::uint64_t> possible_;      // moves per account that were ever asked for
  std::vector<Books> snapshots_;                     // of committed read-only transactions, in their one order
};

}  // namespace assent::sim
