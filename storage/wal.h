// The write-ahead log of a node: one sequence of checksummed records in segments, for all groups. One batch is one
// write and one sync; the caller gathers the next batch while the last one syncs (group commit). Bytes:
// docs/FORMATS.md.
//
// Driven by the loop from one thread; no thread or clock of its own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log_entry.h"
#include "base/result.h"
#include "storage/cold_file.h"
#include "storage/damaged_files.h"
#include "storage/disk.h"
#include "storage/left_group.h"
#include "storage/lost_entries.h"

namespace assent {

// What one group wants on disk; applied in the order: left, hard_state, install, append, compact.
struct GroupUpdate {
  GroupId group;
  std::optional<Bytes> hard_state;
  std::optional<SnapshotMark> install;  // the stored log up to and including the mark is void, later entries too:
                                        // the log goes on at mark.last.index + 1
  std::optional<SnapshotMark>
      compact;                   // a snapshot up to this mark is durable: earlier entries may go, later ones stay
  std::vector<EntryPtr> append;  // replaces any stored suffix from its first index on
  // The node left the group: the stored log and its mark are void, the hard state stays. times: one more than before.
  std::optional<LeftGroup> left = {};
};

struct WalOptions {
  std::string folder = "wal";
  std::uint64_t segment_bytes = 16ULL << 20U;
  std::uint64_t block_bytes = 4096;  // every batch begins at a multiple; a power of two from 64, no less than a sector
  std::uint64_t identity = 0;  // of the data directory (storage/data_directory.h); other directories' bytes are refused
  bool sync = true;            // false only for development: durable means "handed to the operating system"
  std::uint64_t damaged_bytes_max = damaged_bytes_default;  // kept of segments that were replaced for damage
};

// What recovery found, for the operator and the log file.
struct WalRecovery {
  std::map<GroupId, DurableLog> groups;
  std::map<GroupId, LeftGroup> left;  // those that the node left once; it came back where `groups` has a log
  // Where the logs of groups ended when entries of them were lost to damage, at this start or an earlier one. Nobody is
  // to be helped to lead whose log ends before (LogSetup::left).
  std::map<GroupId, Position> lost_places;
  std::map<GroupId, LostEntries> lost;  // at this start
  std::vector<std::string> damages;     // what was found damaged and passed over, each in a sentence
  std::uint64_t segments = 0;
  std::uint64_t records = 0;
  std::uint64_t torn_bytes = 0;  // cut off the end: a crash made them
};

class Wal {
 public:
  using Ticket = std::uint64_t;

  // Reads all segments, cuts a torn tail, and opens a fresh segment for writing. Damaged records that have valid ones
  // behind them are passed over, and groups go on without the entries that were in them (storage/wal_recovery.h);
  // segments with damage are written anew as after renew(). corruption when nothing tells whom the damage concerns; the
  // error names file, offset and group if known, and the log is left as it is.
  [[nodiscard]] static Result<std::unique_ptr<Wal>> open(Disk& disk, WalOptions options, WalRecovery& recovered);

  virtual ~Wal() = default;

  // Starts one write and one sync for the batch; returns its ticket. Tickets grow by one. At most one batch is on its
  // way to the disk at a time: submit only when idle().
  virtual Result<Ticket> submit(const std::vector<GroupUpdate>& batch) = 0;
  [[nodiscard]] virtual bool idle() const = 0;
  // Feeds completions whose token is the WAL's own; returns false for a token of somebody else. An error in the
  // completion is reported by failure() from then on.
  virtual bool completed(const IoCompletion& completion) = 0;
  // The newest ticket that is durable; 0 before the first.
  [[nodiscard]] virtual Ticket durable() const = 0;
  [[nodiscard]] virtual std::optional<Error> failure() const = 0;

  // What the log says of a group, as of the last batch that was submitted; empty when it says nothing.
  [[nodiscard]] virtual DurableLog log_of(GroupId group) const = 0;

  // The segments that are not written any more, ascending. Each stays as it is until it goes.
  [[nodiscard]] virtual std::vector<ColdFile> closed() const = 0;
  // The closed segment is damaged. What is live in it and in older ones is written anew from memory, at the beginning
  // of the next segments, by the batches that are submitted from now on; then the damaged one is set aside. A segment
  // that is not there, or is being written, is none of its business. While has_to_renew() it wants to be given batches,
  // if only empty ones.
  virtual void renew(std::uint64_t segment) = 0;
  [[nodiscard]] virtual bool has_to_renew() const = 0;

  // Once after each new segment: the group whose entries keep the oldest one, if closed segments of more than so many
  // bytes are kept. A snapshot of it lets that go.
  [[nodiscard]] virtual std::optional<GroupId> take_holder(std::uint64_t bytes_max) = 0;

  struct Statistics {
    std::uint64_t batches = 0;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::uint64_t syncs = 0;
    std::uint64_t segments = 0;  // in the folder now
    std::uint64_t renewed = 0;   // segments that were replaced for damage
  };
  [[nodiscard]] virtual Statistics statistics() const = 0;
};

}  // namespace assent
