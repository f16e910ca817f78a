// Counters that many transactions add to at once (escrow: O'Neil 1986). Who has added what and may yet commit, and
// whether one more add keeps every bound, whatever subset of them commits.
//
// It grants nothing and knows no values: the caller asks fits() with the counter's value as it stands. Two tables are
// used, as with locks: the machine's (a function of the prepared set) and the leader's reservations. Pure.
//
// Why that is serializable: let every add take effect when its transaction is decided. At that moment the counter holds
// what is applied, plus the adds of some subset of those that are still pending here, which are decided and not applied
// yet. An add was let in when its bounds held for every such subset, and each later one only if it broke no bound of
// those that were pending; one that ends only takes subsets away. Whatever reads or writes the counter otherwise locks
// it against all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

__extension__ typedef __int128 WideSum;  // no sum of 64-bit deltas overflows it

class EscrowTable {
 public:
  // What those who hold one counter may come to: the sum of all that take from it and of all that give to it, and
  // between what the counter must stay, were all the takers, or all the givers, applied.
  struct Pending {
    WideSum down = 0;
    WideSum up = 0;
    WideSum low = lowest;
    WideSum high = highest;
  };
  static constexpr WideSum highest = WideSum{1} << 100;
  static constexpr WideSum lowest = -highest;

  [[nodiscard]] Pending pending(std::string_view counter) const;

  // Adds without asking. A holder acquires once.
  void acquire(const TxnId& holder, std::span<const CounterAdd> adds);
  void release(const TxnId& holder);

  [[nodiscard]] bool empty() const { return by_holder_.empty(); }
  void add_to(Digest& digest) const;
  bool operator==(const EscrowTable& other) const { return by_holder_ == other.by_holder_; }

 private:
  struct Counter {
    WideSum down = 0;
    WideSum up = 0;
    std::vector<WideSum> lows;  // ascending, as highs: one for each holder
    std::vector<WideSum> highs;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view counter) const { return std::hash<std::string_view>()(counter); }
  };
  std::unordered_map<std::string, Counter, Hash, std::equal_to<>> by_counter_;  // never iterated
  std::map<TxnId, std::vector<CounterAdd>> by_holder_;
};

// Those of two tables together, of different holders.
[[nodiscard]] EscrowTable::Pending together(const EscrowTable::Pending& a, const EscrowTable::Pending& b);

// May this add become one of the pending ones?
[[nodiscard]] bool fits(std::int64_t value, const CounterAdd& add, const EscrowTable::Pending& pending);

// ---- work with counters

// The next add of the same work to the same counter. False when no value of the counter allows them all.
[[nodiscard]] bool join(CounterAdd& all, const KvAdd& next);
// The keys to which this work does nothing but escrowed adds. Views into the work.
[[nodiscard]] std::set<std::string_view> counters_of(const Work& work);

}  // namespace assent
