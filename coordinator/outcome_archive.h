// The seam to where a coordinator keeps the outcomes that do not fit in memory: the settled history by sequence number
// and by transaction, and beside it, in the same atomic unit, what else the machine knows and the log index up to which
// all of that is true. MemoryArchive (coordinator/) is for tests; sql_adapter has a SQLite file behind it.
//
// It judges nothing: which records there are, and when one goes, is decided by OutcomeHistory in log order, on every
// replica alike. Which of them a replica has already brought here is that replica's own business. Called from the
// loop's thread. An error is the disk's (io) or says that the file is damaged (corruption); the node ends with it.
//
// Invariants: a write happens as a whole or not at all; writes become durable in their order, at the latest with the
// next one that asks for it, so a crash takes back some of the newest; reads see every write made so far. Chunks lie in
// ascending order and do not overlap.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/settled_outcome.h"

namespace assent {

// Consecutive records of the history: what is written, read and dropped together.
struct OutcomeChunk {
  std::uint64_t first = 0;  // sequence number of the first of them
  std::vector<SettledOutcome> records;

  [[nodiscard]] std::uint64_t end() const { return first + records.size(); }
  bool operator==(const OutcomeChunk&) const = default;
};

struct ArchiveMark {
  Index applied;  // the last log entry that chunks and machine hold
  Bytes machine;  // opaque; empty in a new archive, and in one whose filling was broken off

  bool operator==(const ArchiveMark&) const = default;
};

// Carried out in the order of its members.
struct ArchiveWrite {
  std::uint64_t drop_from = std::numeric_limits<std::uint64_t>::max();  // chunks that begin here or later go
  std::uint64_t drop_before = 0;                                        // chunks that end here or earlier go
  std::vector<OutcomeChunk> append;                                     // none is empty; each behind all that is there
  std::optional<ArchiveMark> mark;                                      // replaces the stored one
  bool sync = false;                                                    // durable on return, with all before it
};

class OutcomeArchive {
 public:
  virtual ~OutcomeArchive() = default;

  [[nodiscard]] virtual Result<void> write(const ArchiveWrite& write) = 0;

  [[nodiscard]] virtual const ArchiveMark& mark() const = 0;
  // The sequence numbers of what is there, from the first chunk's first to the last one's end; equal when it is empty.
  [[nodiscard]] virtual std::uint64_t first() const = 0;
  [[nodiscard]] virtual std::uint64_t end() const = 0;
  // The greatest of the ids; none when it is empty.
  [[nodiscard]] virtual Result<TxnId> newest() const = 0;

  struct Found {
    std::uint64_t sequence = 0;
    SettledOutcome record;
    bool operator==(const Found&) const = default;
  };
  [[nodiscard]] virtual Result<std::optional<Found>> find(const TxnId& txn) const = 0;
  // The chunk that holds this record; corruption when none does.
  [[nodiscard]] virtual Result<OutcomeChunk> chunk_with(std::uint64_t sequence) const = 0;
};

}  // namespace assent
