// Is there an order of the transactions that agrees with real time and explains every read? Looked for directly: Wing &
// Gong 1993 with Lowe's memory of the states that led nowhere (2017). With all keys this is strict serializability
// itself, with one key linearizability of what the transactions did to it. Necessary and sufficient, but exponential at
// worst: it says honestly when it gave up.
//
// Where the first value of a key is not in the history, or a write's value is not known, any value is taken.
#pragma once

#include <cstdint>
#include <span>

#include "check/history.h"

namespace assent::check {

struct SearchOptions {
  std::uint64_t states_max = 200'000;
  bool first_values_known = true;  // keys are absent at first; else the history does not say what they were
};

struct SearchResult {
  enum class Found : std::uint8_t { order, none, gave_up };
  Found found = Found::order;
  std::uint64_t states = 0;  // looked at
  TxnIndex stuck = 0;        // with none: where the best attempt ended; this one found no place
};

// Of the operations on these keys alone.
[[nodiscard]] SearchResult search_order(const History& history, std::span<const KeyId> keys,
                                        const SearchOptions& options);
// Of whole transactions.
[[nodiscard]] SearchResult search_order(const History& history, const SearchOptions& options);

}  // namespace assent::check
