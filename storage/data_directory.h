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

  bool operator==(const DirectoryIdentity&) const = default;
};

// For WalOptions::identity.
[[nodiscard]] std::uint64_t identity_number(const DirectoryIdentity& identity);

// Marks an empty directory as this node's, or checks that it is. refused: it is another's, or it holds data and no
// identity file; unsupported: a newer format; corruption: the identity file is damaged; io.
[[nodiscard]] Result<void> claim_data_directory(Disk& disk, const DirectoryIdentity& identity);

// not_found when the directory has none yet.
[[nodiscard]] Result<DirectoryIdentity> read_directory_identity(Disk& disk);

[[nodiscard]] Bytes encode_directory_identity(const DirectoryIdentity& identity);
[[nodiscard]] Result<DirectoryIdentity> decode_directory_identity(ByteView text);

}  // namespace assent
