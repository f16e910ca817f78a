// The attempts of one interactive transaction: ids and age, what to do at the end of each, whether to try again.
// Internal to the client; Client::run() calls the function in between, on its caller's thread.
#pragma once

#include <optional>
#include <vector>

#include "client/backoff.h"
#include "client/operations.h"
#include "client/txn.h"

namespace assent::client {

class Interaction {
 public:
  Interaction(Courier& courier, const RunOptions& options);

  // The next attempt's id.
  [[nodiscard]] TxnId begin();
  // Commits what the function wanted. Nothing: it is to run again, the pause is over.
  [[nodiscard]] Task<std::optional<Result<TxnOutcome>>> commit(Txn::Intent intent, SteadyTime deadline);

 private:
  using Ended = std::optional<Result<TxnOutcome>>;
  [[nodiscard]] Task<Ended> end_in_vain(const Txn::Intent& intent, Error why, SteadyTime deadline);
  [[nodiscard]] Task<Result<TxnOutcome>> settle(Txn::Intent intent, SteadyTime deadline);
  [[nodiscard]] Task<Result<bool>> still_true(const Txn::Intent& intent, SteadyTime deadline);
  [[nodiscard]] bool may_try_again(SteadyTime deadline) const;
  [[nodiscard]] Task<Ended> try_again();

  Courier& courier_;
  RunOptions options_;
  Backoff backoff_;
  TxnId id_;
  TxnId first_id_;
  std::vector<TxnId> earlier_;
};

}  // namespace assent::client
