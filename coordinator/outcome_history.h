// The outcomes of transactions that need no more work: compact, bounded by count and by time, in order of decision.
//
// A value of the Decisions machine: replicated, so its bounds must be the same on every replica. About 60 bytes a
// record. An outcome is never forgotten while its transaction's id would still be accepted (TimeWindow): were it, the
// same id could be run again. So inside the window the count is no bound; the rate of transactions is. Not thread-safe;
// called from the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/digest.h"
#include "base/ids.h"
#include "txn_proto/limits.h"
#include "txn_proto/types.h"

namespace assent {

struct SettledOutcome {
  TxnId txn;
  Attempt attempt;                // of a commit; none for a sealed abort
  std::uint64_t fingerprint = 0;  // of a commit; 0 when it is not known
  ClusterMillis decided_at;
  Outcome outcome = Outcome::none;
  Protocol protocol = Protocol::automatic;
  AbortReason reason = AbortReason::none;

  bool operator==(const SettledOutcome&) const = default;
};

struct HistoryBounds {
  std::uint64_t keep_millis = 24ULL * 3600 * 1000;
  std::size_t records_max = 1'000'000;
};

class OutcomeHistory {
 public:
  // The transaction must not be in it.
  void add(const SettledOutcome& record);
  [[nodiscard]] const SettledOutcome* find(const TxnId& txn) const;
  // Forgets up to `most` of the oldest that are past a bound, as of stamp.
  void forget(ClusterMillis stamp, const HistoryBounds& bounds, const TimeWindow& window, std::size_t most);

  // The latest creation time among all forgotten: what was created after it and is not here was never added.
  [[nodiscard]] std::optional<ClusterMillis> forgotten_up_to() const { return forgotten_up_to_; }
  [[nodiscard]] std::size_t size() const { return records_.size(); }
  [[nodiscard]] const std::deque<SettledOutcome>& records() const { return records_; }

  // As a snapshot says it.
  void restore(std::deque<SettledOutcome> records, std::optional<ClusterMillis> forgotten_up_to);
  void add_to(Digest& digest) const;
  bool operator==(const OutcomeHistory& other) const {
    return records_ == other.records_ && forgotten_up_to_ == other.forgotten_up_to_;
  }

 private:
  static constexpr std::uint32_t free_slot = 0xFFFFFFFFU;

  [[nodiscard]] std::size_t home(const TxnId& txn) const;
  [[nodiscard]] const TxnId& txn_of(std::uint32_t sequence) const { return records_[sequence - first_].txn; }
  void index(std::uint32_t sequence);
  void unindex(std::uint32_t sequence);
  void rebuild_index();

  std::deque<SettledOutcome> records_;
  std::uint32_t first_ = 0;  // sequence number of records_.front(); begins anew with each rebuilt index
  // Open addressing with linear probing: sequence numbers, at most half of the slots (a power of two) taken. Some 8 to
  // 16 bytes a record, where a node-based map takes 60.
  std::vector<std::uint32_t> slots_;
  std::optional<ClusterMillis> forgotten_up_to_;
};

}  // namespace assent
