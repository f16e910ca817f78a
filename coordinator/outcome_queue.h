// Settled outcomes in memory: a queue in the order of settling, in which each is found by its transaction. About 80
// bytes a record. It judges nothing and knows no disk: OutcomeHistory says what is in it. Not thread-safe; called from
// the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "base/ids.h"
#include "coordinator/settled_outcome.h"

namespace assent {

class OutcomeQueue {
 public:
  // Of two records of one transaction find() gives either; only damaged snapshots have such.
  void push(const SettledOutcome& record);
  // Takes the oldest; there must be one.
  void pop();
  [[nodiscard]] const SettledOutcome* find(const TxnId& txn) const;
  [[nodiscard]] const SettledOutcome& front() const { return records_.front(); }
  [[nodiscard]] const SettledOutcome& operator[](std::size_t place) const { return records_[place]; }
  [[nodiscard]] std::size_t size() const { return records_.size(); }
  [[nodiscard]] bool empty() const { return records_.empty(); }

 private:
  static constexpr std::uint32_t free_slot = 0xFFFFFFFFU;

  [[nodiscard]] std::size_t home(const TxnId& txn) const;
  [[nodiscard]] const TxnId& txn_of(std::uint32_t number) const { return records_[number - first_].txn; }
  void index(std::uint32_t number);
  void unindex(std::uint32_t number);
  void rebuild_index();

  std::deque<SettledOutcome> records_;
  std::uint32_t first_ = 0;  // number of records_.front(); begins anew with each rebuilt index
  // Open addressing with linear probing: numbers, at most half of the slots (a power of two) taken. Some 8 to 16 bytes
  // a record, where a node-based map takes 60.
  std::vector<std::uint32_t> slots_;
};

}  // namespace assent
