// The bytes and names of snapshot files: docs/FORMATS.md section 3. Pure, total on any input.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/running_checksum.h"
#include "storage/snapshot_store.h"

namespace assent::snapshot_file {

inline constexpr std::uint32_t format_version = 2;  // 1 knows founders alone; it is read as well
inline constexpr std::string_view unfinished_ending = ".tmp";

struct Name {
  GroupId group;
  Position last;
};

[[nodiscard]] std::string name(const Name& name);
[[nodiscard]] std::string unfinished_name(GroupId group, const SnapshotMark& mark);
// nullopt for anything that name() does not produce.
[[nodiscard]] std::optional<Name> parse_name(std::string_view text);

// What stands before the data; checksum is xxh3(data, group).
[[nodiscard]] Bytes header(GroupId group, const SnapshotMark& mark, std::uint64_t data_bytes, std::uint64_t checksum);
[[nodiscard]] Bytes encode(GroupId group, const Snapshot& snapshot);
// corruption: damaged, or of another name; unsupported: of a newer format.
[[nodiscard]] Result<Snapshot> decode(ByteView file, const Name& name);

// What stands before the data.
struct Header {
  SnapshotMark mark;
  std::uint64_t data_bytes = 0;
  std::uint64_t data_checksum = 0;
  std::size_t size = 0;  // its own
};
// The same errors. Takes the file's first bytes.
[[nodiscard]] Result<Header> read_header(ByteView file, const Name& name);

// The same judgement as decode() of a file that comes in pieces, none of which is kept.
class RunningCheck {
 public:
  explicit RunningCheck(const Name& name) : name_(name), checksum_(name.group.value) {}
  void add(ByteView bytes);
  // After the last piece.
  [[nodiscard]] Result<SnapshotMark> finish();

 private:
  Name name_;
  Bytes begin_;  // until it holds the header
  std::optional<Result<Header>> header_;
  std::uint64_t data_bytes_ = 0;
  RunningChecksum checksum_;
};

}  // namespace assent::snapshot_file
