// Snapshots of groups as files of their own: written beside, synced, renamed, and only then named in the WAL. The
// newest whole one of a group wins; older ones stay until it is durable there. The piece with the header is written
// last. Bytes: docs/FORMATS.md. Driven by the loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log_entry.h"
#include "base/result.h"
#include "base/snapshot_data.h"
#include "storage/cold_file.h"
#include "storage/damaged_files.h"
#include "storage/disk.h"

namespace assent {

struct Snapshot {
  SnapshotMark mark;
  Bytes data;  // the application's bytes
};

class SnapshotStore {
 public:
  // Removes what a crash left half-written.
  [[nodiscard]] static Result<std::unique_ptr<SnapshotStore>> open(
      Disk& disk, std::string folder = "snapshots", std::uint64_t damaged_bytes_max = damaged_bytes_default);

  virtual ~SnapshotStore() = default;

  // Starts writing, a piece at a time, the next when the last one is synced; completed() reports the end. One save per
  // group at a time: busy otherwise.
  virtual Result<void> save(GroupId group, const SnapshotMark& mark, SnapshotDataPtr data) = 0;
  Result<void> save(GroupId group, const Snapshot& snapshot) {
    return save(group, snapshot.mark, snapshot_of(snapshot.data));
  }

  struct Saved {
    GroupId group;
    SnapshotMark mark;
  };
  // Feeds completions; false for a token of somebody else. Newly durable snapshots are appended to saved.
  virtual bool completed(const IoCompletion& completion, std::vector<Saved>& saved) = 0;
  [[nodiscard]] virtual std::optional<Error> failure() const = 0;

  // The newest whole snapshot of the group: damaged ones are passed over. nullopt when there is none at all; corruption
  // when there are only damaged ones. For the one that the WAL names use load().
  [[nodiscard]] virtual Result<std::optional<Snapshot>> newest(GroupId group) = 0;
  // The one snapshot of the group with exactly this mark: not_found when it is not there, corruption when
  // its bytes are damaged.
  [[nodiscard]] virtual Result<Snapshot> load(GroupId group, const SnapshotMark& mark) = 0;
  // Drops every snapshot of the group older than the mark; best effort.
  virtual void drop_before(GroupId group, const SnapshotMark& mark) = 0;
  // Drops all that there is of the group, for good when this returns. io; busy while one is being saved.
  [[nodiscard]] virtual Result<void> drop_all(GroupId group) = 0;

  // All that have their names, which stay as they are until they go. Empty when the folder cannot be read.
  [[nodiscard]] virtual std::vector<ColdFile> files() = 0;
  // The snapshot of this place is damaged: it stays until another takes its name or it is dropped, and is set aside
  // then (storage/damaged_files.h).
  virtual void suspect(GroupId group, const Position& last) = 0;
  // Nobody needs the damaged snapshot of this place: it is set aside now, best effort.
  virtual void retire(GroupId group, const Position& last) = 0;
};

}  // namespace assent
