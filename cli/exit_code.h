// What assentctl ends with.
#pragma once

#include "client/error.h"
#include "client/transaction.h"

namespace assent::cli {

enum class ExitCode : int {
  ok = 0,
  error = 1,
  usage = 2,
  unreachable = 3,  // or no leader
  not_found = 4,
  unhealthy = 5,
  aborted = 6,
  unknown = 7,  // the outcome of a transaction is not known, asking again is safe; or a history could not be judged
  refused = 8,  // what the votes do not prove safe
  timed_out = 124,
};

[[nodiscard]] ExitCode exit_code_of(client::ErrorCode code);
// Of a transaction that was run or asked for.
[[nodiscard]] ExitCode exit_code_of(const client::TxnOutcome& outcome);

}  // namespace assent::cli
