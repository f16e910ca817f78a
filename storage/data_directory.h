// Whose data directory this is: a small file written once, checked at every start, so that a node never runs on the
// disk of another node or cluster, nor on one written by a newer program. Bytes: docs/FORMATS.md section 1.
//
// Called before the WAL and the snapshot store are opened, from the thread that opens them. The lock against a second
// process is the posix disk's (server/posix_disk.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/disk.h"

namespace assent {

struct DirectoryIdentity {
  std::string cluster;
  std::string node;
  // 0: the directory that the node founded its groups with. Another number for each one that came after the loss of the
  // one before: the node is another member of its groups then (base/membership.h).
  std::uint64_t disk = 0;
  // How often a majority was lost, and the cluster recovered by force (server/recovery.h). Nodes of different ones have
  // nothing to say to each other.
  std::uint64_t generation = 0;
  // In how many loops the node's groups are spread (node/loop_placement.h): each has a log of its own.
  std::uint64_t loops = 1;

  bool operator==(const DirectoryIdentity&) const = default;
};

// For WalOptions::identity.
[[nodiscard]] std::uint64_t identity_number(const DirectoryIdentity& identity);

// Marks an empty directory as this node's, or checks that it is; what stands there then. identity.disk counts for an
// empty directory, and tells that the node lost its former one: refused where that is still here. identity.generation
// counts for an empty directory, too, and is refused where another one stands, if it is not 0; so is another number of
// loops than the one that stands there. refused: it is another's, or it holds data and no identity file; unsupported: a
// newer format; corruption: the identity file is damaged; io.
[[nodiscard]] Result<DirectoryIdentity> claim_data_directory(Disk& disk, const DirectoryIdentity& identity);

// The directory is this node's, and goes on as that. io.
[[nodiscard]] Result<void> replace_directory_identity(Disk& disk, const DirectoryIdentity& identity);

// not_found when the directory has none yet.
[[nodiscard]] Result<DirectoryIdentity> read_directory_identity(Disk& disk);

[[nodiscard]] Bytes encode_directory_identity(const DirectoryIdentity& identity);
[[nodiscard]] Result<DirectoryIdentity> decode_directory_identity(ByteView text);

}  // namespace assent
