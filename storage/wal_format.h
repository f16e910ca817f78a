// The bytes of the write-ahead log: segment headers, batches, records. docs/FORMATS.md section 2 is the specification.
//
// Pure functions over byte strings, total on any input: forged lengths never read or allocate beyond the file. Used by
// the WAL, its recovery and the inspector.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log_entry.h"
#include "base/result.h"
#include "storage/left_group.h"

namespace assent::wal_format {

inline constexpr std::uint32_t format_version = 2;  // 1 knows founders alone; it is read as well
inline constexpr std::uint64_t segment_header_bytes = 72;
inline constexpr std::uint64_t batch_header_bytes = 32;
inline constexpr std::uint64_t record_header_bytes = 24;
inline constexpr std::uint64_t block_bytes_min = 64;
inline constexpr std::uint64_t block_bytes_max = 65'536;
inline constexpr std::uint64_t payload_bytes_max = 1ULL << 30U;  // of one entry or hard state

enum class OpenedBy : std::uint8_t { rotation = 0, recovery = 1 };

struct SegmentHeader {
  std::uint32_t block_bytes = 4096;
  std::uint64_t identity = 0;
  std::uint64_t number = 0;
  std::uint64_t previous = 0;
  std::uint64_t previous_end = 0;
  std::uint64_t oldest = 0;
  OpenedBy opened_by = OpenedBy::rotation;

  bool operator==(const SegmentHeader&) const = default;
};

// Whose bytes are expected: checksums hold only in their own segment of their own directory.
struct Place {
  std::uint64_t identity = 0;
  std::uint64_t segment = 0;
};

struct BatchHeader {
  bool opening = false;
  std::uint32_t records = 0;
  std::uint64_t number = 0;
  std::uint64_t record_bytes = 0;
};

enum class RecordKind : std::uint8_t {
  hard_state = 1,
  install = 2,
  compact = 3,
  entry = 4,
  group = 5,
  carried = 6,
  left = 7,
  grown = 8,
  state = 9,
  covers = 10,
  lost = 11
};

struct Record {
  std::uint64_t offset = 0;
  std::uint8_t kind = 0;  // a RecordKind, or what a newer program wrote
  GroupId group;
  ByteView body;  // into the file's bytes
};

struct Batch {
  std::uint64_t offset = 0;
  std::uint64_t end = 0;  // where the next one would begin
  BatchHeader header;
  std::vector<Record> records;
};

struct Damage {
  std::uint64_t offset = 0;
  std::string why;
  std::optional<GroupId> group;  // as a damaged record's own header has it, so perhaps wrong
};

// "wal/00000000000000000007.wal", and back: nullopt for any other name.
[[nodiscard]] std::string segment_name(std::uint64_t number);
[[nodiscard]] std::optional<std::uint64_t> segment_number(std::string_view file_name);

[[nodiscard]] constexpr bool valid_block_bytes(std::uint64_t value) {
  return value >= block_bytes_min && value <= block_bytes_max && (value & (value - 1)) == 0;
}
[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
[[nodiscard]] constexpr std::uint64_t first_batch_offset(std::uint64_t block_bytes) {
  return round_up(segment_header_bytes, block_bytes);
}

// ---- reading ----

// corruption: damaged; unsupported: a newer format; refused: of another directory. Takes the file's first bytes.
[[nodiscard]] Result<SegmentHeader> read_segment_header(ByteView file, Place place);
// nullopt when no valid one stands at the offset.
[[nodiscard]] std::optional<BatchHeader> read_batch_header(ByteView file, Place place, std::uint64_t offset);
[[nodiscard]] tl::expected<Batch, Damage> read_batch(ByteView file, Place place, std::uint64_t offset,
                                                     std::uint64_t block_bytes);
// The first valid header of a batch that is not an opening one, at a multiple of 64 from `from` on, with a number above
// `above`: proof that every batch up to `above` + 1 was durable once.
[[nodiscard]] std::optional<std::uint64_t> find_later_batch(ByteView file, Place place, std::uint64_t from,
                                                            std::uint64_t above);

// How a group's log goes on, with or without the rest of its state (docs/FORMATS.md 2.3).
struct GrownRecord {
  Index from;  // places from here on were written or became void since Batch's `covers`; 0: none
  Position last;
};
struct GroupRecord {
  Index from;     // as above
  Position last;  // of kind `group`, the epoch is none: it does not say
  SnapshotMark mark;
  Bytes hard_state;
};
[[nodiscard]] std::optional<SnapshotMark> decode_mark(ByteView body);
[[nodiscard]] std::optional<Entry> decode_entry(ByteView body);
// Of what decode_entry() refuses: its kind is above those that this program knows.
[[nodiscard]] bool has_newer_entry_kind(ByteView body);
[[nodiscard]] std::optional<GroupRecord> decode_group(ByteView body);  // of kind `group`
[[nodiscard]] std::optional<GroupRecord> decode_state(ByteView body);
[[nodiscard]] std::optional<GrownRecord> decode_grown(ByteView body);
[[nodiscard]] std::optional<std::uint64_t> decode_covers(ByteView body);
[[nodiscard]] std::optional<Position> decode_lost(ByteView body);
[[nodiscard]] std::optional<LeftGroup> decode_left(ByteView body);

// ---- writing ----

// Builds the bytes of one batch at an offset of a segment; with a segment header when it is the opening one.
class BatchBuilder {
 public:
  // The opening batch of a segment: bytes() begin at offset 0 of the file.
  static BatchBuilder opening(Place place, std::uint64_t block_bytes, std::uint64_t batch_number);
  // bytes() begin at the offset.
  static BatchBuilder plain(Place place, std::uint64_t block_bytes, std::uint64_t batch_number, std::uint64_t offset);

  void hard_state(GroupId group, ByteView bytes);
  void install(GroupId group, const SnapshotMark& mark);
  void compact(GroupId group, const SnapshotMark& mark);
  void entry(GroupId group, const Entry& entry) { put_entry(RecordKind::entry, group, entry); }
  void carried(GroupId group, const Entry& entry) { put_entry(RecordKind::carried, group, entry); }
  // As older programs wrote it: for tests.
  void group(GroupId group, Index last, const SnapshotMark& mark, ByteView hard_state);
  void covers(std::uint64_t since);
  void grown(GroupId group, const GrownRecord& grown);
  void state(GroupId group, Index from, const Position& last, const SnapshotMark& mark, ByteView hard_state);
  void left(GroupId group, const LeftGroup& left);
  void lost(GroupId group, const Position& place);

  [[nodiscard]] std::uint32_t records() const { return records_; }
  // Where the batch would end, rounded up to a block.
  [[nodiscard]] std::uint64_t end() const { return round_up(base_ + bytes_.size(), block_bytes_); }
  [[nodiscard]] Bytes finish();                             // of a plain batch
  [[nodiscard]] Bytes finish(const SegmentHeader& header);  // of an opening one

 private:
  BatchBuilder(Place place, std::uint64_t block_bytes, std::uint64_t batch_number, std::uint64_t base,
               std::uint64_t start);
  std::size_t begin(RecordKind kind, GroupId group);
  void end_record(std::size_t start);
  void put_entry(RecordKind kind, GroupId group, const Entry& entry);
  void seal();

  Place place_;
  std::uint64_t block_bytes_;
  std::uint64_t number_;
  std::uint64_t base_;   // file offset of bytes_[0]
  std::uint64_t start_;  // of the batch in bytes_
  bool opening_ = false;
  std::uint32_t records_ = 0;
  Bytes bytes_;
};

// What an entry takes in a batch.
[[nodiscard]] std::uint64_t entry_record_bytes(const Entry& entry);

void encode_mark(Bytes& out, const SnapshotMark& mark);

}  // namespace assent::wal_format
