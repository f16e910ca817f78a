// A history arranged for judging: who touched a key, who wrote a value, and which transactions happened.
//
// A transaction happened when its client heard so, or when somebody read what it wrote. What failed never counts as
// happened: to read it is an anomaly (G1a). Built once, by judge.cc.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "check/cycles.h"
#include "check/history.h"
#include "check/verdict.h"

namespace assent::check {

struct Access {
  TxnIndex txn = 0;
  std::uint32_t op = 0;
};

struct Writer {
  TxnIndex txn = 0;
  bool last = false;  // the transaction's last write of the key
};

struct KeyEvidence {
  enum class Type : std::uint8_t { unused, list, number, counter, confused };
  Type type = Type::unused;
  std::vector<Access> accesses;                // in the order of the history
  std::unordered_map<Number, Writer> writers;  // of values appended or written
  bool attributable = true;                    // no value was written twice, and none is unknown
};

struct Evidence {
  const History& history;
  std::vector<KeyEvidence> keys;
  std::vector<char> happened;  // by transaction

  [[nodiscard]] const Transaction& txn(TxnIndex index) const { return history.transactions[index]; }
  [[nodiscard]] const Op& op(const Access& access) const { return txn(access.txn).ops[access.op]; }
  [[nodiscard]] const std::string& name(KeyId key) const { return history.keys[key]; }
  [[nodiscard]] bool ok(TxnIndex index) const { return txn(index).end == EventType::ok; }
  [[nodiscard]] bool failed(TxnIndex index) const { return txn(index).end == EventType::fail; }
  [[nodiscard]] const Writer* writer(KeyId key, Number value) const {
    const auto found = keys[key].writers.find(value);
    return found == keys[key].writers.end() ? nullptr : &found->second;
  }
};

// The accesses of a key, one transaction's at a time.
template <class F>
void for_each_transaction(const std::vector<Access>& accesses, F f) {
  for (std::size_t begin = 0; begin < accesses.size();) {
    std::size_t end = begin;
    while (end < accesses.size() && accesses[end].txn == accesses[begin].txn) ++end;
    f(std::span(accesses).subspan(begin, end - begin));
    begin = end;
  }
}

}  // namespace assent::check
