// Who holds which lock. Multi-granularity modes (Gray 1976): a table is locked with an intention before its rows are.
//
// A pure value. It grants nothing by itself: the caller asks for conflicts() and decides. Three of them are used: the
// machine's (a function of the prepared set), the leader's reservations, and the leader's index of who waits for what.
//
//                          held  IS   IX   S    X    E
//     asked intention_shared     ok   ok   ok   -    -
//           intention_exclusive  ok   ok   -    -    -
//           shared               ok   -    ok   -    -
//           exclusive            -    -    -    -    -
//           escrow               -    -    -    -    ok
//
// Those who hold a counter in escrow agree with each other as far as the mode goes; that its bounds hold is for
// participant/escrow.h.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

[[nodiscard]] bool compatible(LockMode held, LockMode asked);
// The weakest mode that forbids whatever either forbids.
[[nodiscard]] LockMode cover(LockMode a, LockMode b);

class LockTable {
 public:
  // Holders of locks that are incompatible with any request, other than self; ascending, each once. Empty: all are
  // free.
  [[nodiscard]] std::vector<TxnId> conflicts(std::span<const LockRequest> requests, const TxnId& self) const;
  // Whether conflicts() would name anybody; cheaper.
  [[nodiscard]] bool free(std::span<const LockRequest> requests, const TxnId& self) const;
  // Those who hold the key in whatever mode; ascending.
  [[nodiscard]] std::vector<TxnId> holders(const Bytes& key) const;

  // Adds without asking. A holder acquires once. A key named twice is held in a mode that covers both.
  void acquire(const TxnId& holder, std::span<const LockRequest> requests);
  // Everything that the holder has; what it had. Nothing when it has nothing.
  std::vector<LockRequest> release(const TxnId& holder);

  [[nodiscard]] bool holds(const TxnId& holder) const { return by_holder_.contains(holder); }
  [[nodiscard]] std::size_t size() const { return locks_; }  // pairs of holder and key
  [[nodiscard]] bool empty() const { return locks_ == 0; }
  void clear();
  void add_to(Digest& digest) const;
  bool operator==(const LockTable& other) const { return by_holder_ == other.by_holder_; }

 private:
  struct Lock {
    std::map<TxnId, LockMode> holders;
    std::array<std::uint32_t, 5> count{};  // holders by mode: most questions end here
  };
  [[nodiscard]] static bool may_conflict(const Lock& lock, LockMode asked);

  std::unordered_map<Bytes, Lock> by_key_;  // never iterated
  std::map<TxnId, std::vector<LockRequest>> by_holder_;
  std::size_t locks_ = 0;
};

}  // namespace assent
