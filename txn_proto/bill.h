// What a transaction cost: counted where it happens, carried along with votes and reports, added up by whoever answers.
//
// Values. Not replicated and not truth: a leader that takes over knows only what its own part cost. A machine never
// looks at it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>

#include "base/digest.h"
#include "base/ids.h"

namespace assent {

// What the round of one entry took, as the node measured it that proposed it.
struct RoundCost {
  std::uint64_t syncs =
      0;  // of its disk, between the proposal and the entry's own durability: 1, or 2 when one was under way
  std::uint64_t millis = 0;  // from the proposal until it was applied, by its clock
};

struct Cost {
  std::uint64_t rounds = 0;    // consensus rounds, one after the other
  std::uint64_t messages = 0;  // between groups, repeated ones too
  std::uint64_t entries = 0;   // log entries, each of them synced by a replica set
  std::uint64_t syncs = 0;     // of the disks of those who proposed them, one after the other

  // Of one entry that was applied.
  [[nodiscard]] static Cost of(const RoundCost& round) {
    return {.rounds = 1, .messages = 0, .entries = 1, .syncs = round.syncs};
  }
  // One after the other.
  Cost& then(const Cost& next) {
    rounds += next.rounds;
    syncs += next.syncs;
    messages += next.messages;
    entries += next.entries;
    return *this;
  }
  // At the same time: whoever waits for both waits for the longer one.
  Cost& beside(const Cost& other) {
    rounds = std::max(rounds, other.rounds);
    syncs = std::max(syncs, other.syncs);
    messages += other.messages;
    entries += other.entries;
    return *this;
  }
  bool operator==(const Cost&) const = default;
};

struct Bill {
  Cost answered;                    // until the client was answered
  Cost freed;                       // until every participant had freed its locks; none of it: not known, or not yet
  std::uint64_t locked_millis = 0;  // the longest that a participant held locks for it; with freed

  [[nodiscard]] bool empty() const { return *this == Bill{}; }
  bool operator==(const Bill&) const = default;
};

inline void add_to(Digest& digest, const Cost& cost) {
  digest.add(cost.rounds).add(cost.messages).add(cost.entries).add(cost.syncs);
}

// Of the last so many transactions, for those who ask later.
class RecentBills {
 public:
  explicit RecentBills(std::size_t most = 10'000) : most_(most) {}

  // Made when it is not there.
  Bill& of(const TxnId& txn) {
    const auto [found, added] = bills_.try_emplace(txn);
    if (added) order_.push_back(txn);
    if (order_.size() > most_) {
      bills_.erase(order_.front());
      order_.pop_front();
    }
    return found->second;
  }
  [[nodiscard]] const Bill* find(const TxnId& txn) const {
    const auto found = bills_.find(txn);
    return found == bills_.end() ? nullptr : &found->second;
  }
  void add_to(Digest& digest) const {
    digest.add(bills_.size());
    for (const auto& [txn, bill] : bills_) {
      digest.add(txn).add(bill.locked_millis);
      assent::add_to(digest, bill.answered);
      assent::add_to(digest, bill.freed);
    }
  }

 private:
  std::size_t most_;
  std::map<TxnId, Bill> bills_;
  std::deque<TxnId> order_;
};

}  // namespace assent
