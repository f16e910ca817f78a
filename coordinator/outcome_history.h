// The outcomes of transactions that need no more work, bounded by count and by time, in order of settling. The newest
// are in memory, and all of them, but for those not yet brought there, in an OutcomeArchive. Without an archive all are
// in memory.
//
//      first                      front        archived_to            end          sequence numbers
//        |---- archive alone -------|---- both ------|---- memory alone --|
//                                   |------------ queue ------------------|
//
// Replicated: the records between first and end, and when one is forgotten. Of this replica alone: how far the archive
// is, and what is kept in memory besides. So the bounds must be the same on every replica, and the pace need not.
//
// An outcome is never forgotten while its transaction's id would still be accepted (TimeWindow): were it, the same id
// could be run again. So inside the window the count is no bound; the rate of transactions is.
//
// What runs now was created after nearly everything that has left memory: one comparison with the greatest id that has
// left answers "not here", and the archive is read for old transactions only.
//
// An error of the archive stands in failure() from then on. What was answered since then may be wrong: the owner must
// let nothing out that came of it. A copy has the same archive: only one without archive is to be copied. Not
// thread-safe; called from the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/digest.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/outcome_archive.h"
#include "coordinator/outcome_queue.h"
#include "txn_proto/limits.h"

namespace assent {

struct HistoryBounds {
  std::uint64_t keep_millis = 24ULL * 3600 * 1000;
  std::size_t records_max = 1'000'000;
};

// How a history uses its archive. None of it is zero but recent_records.
struct ArchivePace {
  std::size_t chunk_records = 256;      // brought and read together
  std::size_t write_records = 1'024;    // settled or forgotten, before the archive is written again ...
  std::size_t write_entries = 8'192;    // ... or applied: a restart has that many of the log to replay at most
  std::size_t recent_records = 32'768;  // kept in memory though the archive has them
};

class OutcomeHistory {
 public:
  explicit OutcomeHistory(OutcomeArchive* archive = nullptr, const ArchivePace& pace = {})
      : archive_(archive), pace_(pace) {}

  // The transaction must not be in it.
  void add(const SettledOutcome& record);
  [[nodiscard]] std::optional<SettledOutcome> find(const TxnId& txn) const;
  // Forgets up to `most` of the oldest that are past a bound, as of stamp.
  void forget(ClusterMillis stamp, const HistoryBounds& bounds, const TimeWindow& window, std::size_t most);

  // The latest creation time among all forgotten: what was created after it and is not here was never added.
  [[nodiscard]] std::optional<ClusterMillis> forgotten_up_to() const { return forgotten_up_to_; }
  [[nodiscard]] std::uint64_t first() const { return first_; }
  [[nodiscard]] std::uint64_t end() const { return front_ + queue_.size(); }
  [[nodiscard]] std::uint64_t size() const { return end() - first_; }
  // All from this sequence number on, in order. False when the archive failed.
  bool each(std::uint64_t from, const std::function<void(const SettledOutcome&)>& visit) const {
    return each(from, end(), visit);
  }
  // Of these the ones before `to`, which is end() at most.
  bool each(std::uint64_t from, std::uint64_t to, const std::function<void(const SettledOutcome&)>& visit) const;
  void add_to(Digest& digest) const;
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

  // ---- the archive ----
  [[nodiscard]] OutcomeArchive* archive() const { return archive_; }
  // From here on no archive has them.
  [[nodiscard]] std::uint64_t archived_to() const { return archived_to_; }
  // So much was settled or forgotten that the archive is to be written.
  [[nodiscard]] bool write_due() const;
  // Brings whole chunks there. `machine` gives, for what archived_to() is then, the bytes to be stored with them.
  [[nodiscard]] Result<void> write(Index applied, bool sync, const std::function<Bytes(std::uint64_t)>& machine);

  // What a snapshot or an archive's machine bytes say. `records` are those from `records_from` on, as bytes that were
  // judged: whole, readable records.
  struct Content {
    std::uint64_t first = 0;
    std::uint64_t records_from = 0;
    std::optional<ClusterMillis> forgotten_up_to;
    ByteView records;

    [[nodiscard]] std::uint64_t end() const { return records_from + records.size() / settled_outcome_bytes; }
  };
  // Becomes the content, whose records are all there. What the archive has of it already, as it does when this replica
  // was behind, is not written again. An error is the disk's.
  [[nodiscard]] Result<void> restore(const Content& content, Index applied,
                                     const std::function<Bytes(std::uint64_t)>& machine);
  // Becomes what the archive holds, which drops what the content does not know; corruption when it has less than that.
  [[nodiscard]] Result<void> load(const Content& content);

 private:
  [[nodiscard]] const SettledOutcome* oldest();
  void drop_oldest();
  void evict();
  void become(const Content& content, std::uint64_t from);
  [[nodiscard]] Result<bool> has_beginning_of(const Content& content) const;
  void failed(const Error& error) const {
    if (!failure_) failure_ = error;
  }

  OutcomeArchive* archive_;
  ArchivePace pace_;
  std::uint64_t first_ = 0;
  std::uint64_t front_ = 0;  // of the queue
  OutcomeQueue queue_;
  std::optional<ClusterMillis> forgotten_up_to_;

  std::uint64_t archived_to_ = 0;
  TxnId newest_gone_;    // the greatest id that may be in the archive and not in the queue
  OutcomeChunk oldest_;  // of the archive; holds first_ while that is read for forgetting
  std::uint64_t unwritten_ = 0;
  std::uint64_t written_first_ = 0;
  mutable std::optional<Error> failure_;
};

}  // namespace assent
