// Limits of one transaction, and the window of time in which its id is accepted. The same on every replica of a group:
// machines judge by them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

// Of one transaction, judged before anything is sent (reason too_large).
struct TxnLimits {
  std::size_t branches_max = 64;                    // shards and services
  std::size_t service_name_bytes_max = 200;         // and of a target
  std::size_t operations_max = 1'000;               // in one transaction
  std::size_t statement_bytes_max = 256ULL << 10U;  // one statement with its parameters, or one key and value
  std::size_t transaction_bytes_max = 2ULL << 20U;  // all work of one transaction
  std::size_t result_bytes_max = 1ULL << 20U;       // rows that one branch may return
};

// An id is accepted while its time lies in [stamp - retention, stamp + clock_skew_max] of the log that judges. Stamps
// never decrease along a log, so an id that was once too old is so for ever.
struct TimeWindow {
  std::uint64_t retention_millis = 600'000;
  std::uint64_t clock_skew_max_millis = 60'000;

  [[nodiscard]] bool too_old(const TxnId& txn, ClusterMillis stamp) const {
    return txn.created().value + retention_millis < stamp.value;
  }
  [[nodiscard]] bool too_new(const TxnId& txn, ClusterMillis stamp) const {
    return txn.created().value > stamp.value + clock_skew_max_millis;
  }
};

// What is wrong with a transaction before anybody has run it: invalid (no id, no branch, a branch twice, out of order
// or empty, a service without a proper name or target, or under a protocol that it cannot take part in) or too_large.
// nullopt: nothing.
[[nodiscard]] std::optional<Refusal> find_fault(const Execute& execute, const TxnLimits& limits);

}  // namespace assent
