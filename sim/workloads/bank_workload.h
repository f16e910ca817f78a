// The bank as a workload: transfers between shards and inside one, reads of everything in one transaction, linearizable
// reads of one shard, overdrafts, changes of schema. Judged by BankChecker: money is conserved, reads miss nothing that
// was told, and in the end the journal holds exactly what was acknowledged.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "sim/workload.h"
#include "sim/workloads/bank.h"
#include "sim/workloads/bank_checker.h"

namespace assent::sim {

class BankWorkload final : public Workload {
 public:
  explicit BankWorkload(const Scene& scene);

  std::vector<Work> opening(GroupId shard) override { return bank_.opening(shard); }
  Deed next(unsigned client, Rng& rng) override;
  std::optional<Deed> last(std::size_t step) override;
  void audit() override;

 private:
  struct Told {  // the end of a transfer, as its client heard it
    Transfer transfer;
    bool committed = false;
  };

  [[nodiscard]] Transfer draw_transfer(unsigned client, Rng& rng, bool overdraft) const;
  [[nodiscard]] Transaction transfer(const Transfer& transfer);
  [[nodiscard]] Transaction read_everything();
  [[nodiscard]] Transaction change_schema(Rng& rng);
  [[nodiscard]] Question query_books(Rng& rng);
  [[nodiscard]] Question query_leg(const Told& told, Rng& rng);
  // The transfer of one unit out of the fullest account.
  [[nodiscard]] Transaction fresh_transfer();
  // Step by step the accounts and the journals of all shards.
  [[nodiscard]] std::optional<Deed> audit_step(std::size_t step);
  [[nodiscard]] Question audit_accounts(GroupId shard);
  [[nodiscard]] Question audit_journal(GroupId shard, const std::vector<TxnId>& asked);
  void saw(const TxnId& txn, const Ended& ended, const BankChecker::Floor& floor);
  [[nodiscard]] std::vector<check::Micro> history_of(const Books& seen) const;

  Scene scene_;
  Bank bank_;
  BankChecker checker_;
  std::vector<Told> told_;
  unsigned schema_changes_ = 0;
  Books last_books_;  // as last read
  Journal last_journal_;
};

}  // namespace assent::sim
