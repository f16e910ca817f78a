// assentd recover: after the loss of a majority, makes the groups of one stopped node go on with this node alone.
//
// What only the lost nodes had acknowledged is gone, and so is the proof that every outcome is the same everywhere: a
// last resort, which does nothing unless it is forced. The node becomes one of the next generation, and no node of
// another generation is spoken to: who was lost must not come back as who it was, since a majority of the lost could go
// on without this one. They come back with empty directories (assentd start --rejoin --generation N).
//
// How: each group's log gets one more entry, of an epoch above any that there was, which says that this member is the
// only voter (dissertation 4.1: a membership is in force from the entry on). All other entries stay, also those that
// were never committed; an outcome is known of none of these, so that the transactions come out one way or the other.
// After a crash in the middle it is done again, as the generation after.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/log_entry.h"
#include "base/result.h"
#include "server/config.h"

namespace assent {

struct RecoveryOptions {
  bool force = false;               // without it nothing is changed
  bool no_groups = false;           // the node joins the next generation, and its groups stay as they are
  std::vector<std::string> groups;  // of this node; none: all
};

struct RecoveryReport {
  std::string text;
  bool done = false;
};

// The node must not run. not_found: there is no data directory; malformed: a group that the node does not have;
// refused: the directory is another node's, in use, or the node votes in no such group; corruption, io, unsupported:
// of the directory.
[[nodiscard]] Result<RecoveryReport> recover_node(const ServerConfig& config, const RecoveryOptions& options);

// ---- its parts, pure

// The first epoch of a generation. Far more than any group's elections before it.
[[nodiscard]] Epoch epoch_of_generation(std::uint64_t generation);
// The entry that makes `only` the one voter of the group in the generation. refused: the log has seen epochs beyond the
// generation's first; unsupported: its hard state is of a newer format.
[[nodiscard]] Result<Entry> recovery_entry(const DurableLog& log, const Member& only, std::uint64_t generation);

}  // namespace assent
