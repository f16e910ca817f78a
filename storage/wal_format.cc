#include "storage/wal_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "base/planted.h"

namespace assent::wal_format {
namespace {

constexpr ByteView segment_magic = "ASNTWAL\n";
constexpr ByteView opening_magic = "OPEN";
constexpr ByteView plain_magic = "BTCH";
constexpr ByteView name_ending = ".wal";
constexpr std::size_t name_digits = 20;
constexpr std::uint64_t entry_fixed_bytes = 25;

void store_u64(char* to, std::uint64_t value) {
  for (std::size_t i = 0; i < 8; ++i) to[i] = static_cast<char>(value >> (8U * i));
}

void store_u32(char* to, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) to[i] = static_cast<char>(value >> (8U * i));
}

std::uint64_t place_seed(Place place, std::uint64_t offset) {
  if (planted(Bug::checksum_without_position)) return 0;
  std::array<char, 24> raw{};
  store_u64(raw.data(), place.identity);
  store_u64(raw.data() + 8, place.segment);
  store_u64(raw.data() + 16, offset);
  return xxh3({raw.data(), raw.size()});
}

bool within(ByteView file, std::uint64_t offset, std::uint64_t size) {
  return offset <= file.size() && size <= file.size() - offset;
}

// Instead of a number of founders: the bytes of a membership follow, and this is how many.
constexpr std::uint32_t whole_membership = 1U << 31U;

void fail_reader(ByteReader& in) { (void)in.raw(in.remaining() + 1); }

SnapshotMark read_mark(ByteReader& in) {
  SnapshotMark mark;
  mark.last.epoch = in.id<Epoch>();
  mark.last.index = in.id<Index>();
  mark.stamp = in.id<ClusterMillis>();
  const std::uint32_t count = in.u32();
  if ((count & whole_membership) != 0) {
    auto membership = decode_membership(in.raw(count & ~whole_membership));
    if (!membership || membership->plain()) return fail_reader(in), mark;  // each has one form
    mark.members = std::move(*membership);
    return mark;
  }
  if (count > in.remaining() / 8) return fail_reader(in), mark;
  std::vector<NodeId> founders;
  founders.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) founders.push_back(in.id<NodeId>());
  mark.members = Membership(founders);
  if (!mark.members.empty() && !mark.members.valid()) fail_reader(in);
  return mark;
}

Position read_position(ByteReader& in) {
  Position position;
  position.epoch = in.id<Epoch>();
  position.index = in.id<Index>();
  return position;
}

// Of a group's state, behind the end of its log.
std::optional<GroupRecord> read_rest(ByteReader& in, GroupRecord record) {
  record.mark = read_mark(in);
  if (!in.ok() || record.last.index < record.mark.last.index) return std::nullopt;
  record.hard_state = in.raw(in.remaining());
  return record;
}

// The record at the offset, which must end at or before limit.
tl::expected<Record, Damage> read_record(ByteView file, Place place, std::uint64_t offset, std::uint64_t limit) {
  if (limit - offset < record_header_bytes)
    return tl::unexpected(Damage{offset, "a record does not fit its batch", {}});
  ByteReader in(file.substr(offset, record_header_bytes));
  const std::uint64_t checksum = in.u64();
  const std::uint64_t length = in.u32();
  Record record{offset, in.u8(), {}, {}};
  (void)in.raw(3);
  record.group = in.id<GroupId>();
  if (length > limit - offset - record_header_bytes) {
    return tl::unexpected(Damage{offset, "a record's length runs past its batch", record.group});
  }
  const ByteView sealed = file.substr(offset + 8, record_header_bytes - 8 + length);
  if (xxh3(sealed, place_seed(place, offset)) != checksum) {
    return tl::unexpected(Damage{offset, "a record's checksum does not match", record.group});
  }
  record.body = file.substr(offset + record_header_bytes, length);
  return record;
}

}  // namespace

std::string segment_name(std::uint64_t number) { return fmt::format("{:020}{}", number, name_ending); }

std::optional<std::uint64_t> segment_number(std::string_view file_name) {
  if (file_name.size() != name_digits + name_ending.size() || !file_name.ends_with(name_ending)) return std::nullopt;
  std::uint64_t number = 0;
  for (const char digit : file_name.substr(0, name_digits)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    const auto value = static_cast<std::uint64_t>(digit - '0');
    if (number > (~std::uint64_t{0} - value) / 10) return std::nullopt;
    number = number * 10 + value;
  }
  if (number == 0) return std::nullopt;
  return number;
}

// ---- reading ----

Result<SegmentHeader> read_segment_header(ByteView file, Place place) {
  if (file.size() < segment_header_bytes) return fail(ErrorCode::corruption, "the file is shorter than its header");
  ByteReader in(file.substr(0, segment_header_bytes));
  const ByteView magic = in.raw(segment_magic.size());
  const std::uint32_t version = in.u32();
  SegmentHeader header;
  header.block_bytes = in.u32();
  header.identity = in.u64();
  header.number = in.u64();
  header.previous = in.u64();
  header.previous_end = in.u64();
  header.oldest = in.u64();
  const std::uint8_t opened_by = in.u8();
  (void)in.raw(7);
  const std::uint64_t checksum = in.u64();
  const Place own{header.identity, header.number};
  if (magic != segment_magic) return fail(ErrorCode::corruption, "the header does not begin as one of a segment");
  if (xxh3(file.substr(0, segment_header_bytes - 8), place_seed(own, 0)) != checksum) {
    return fail(ErrorCode::corruption, "the header's checksum does not match");
  }
  if (version > format_version) {
    return fail(
        ErrorCode::unsupported,
        fmt::format("written in format {}, and this program knows formats up to {}; use the program that wrote it",
                    version, format_version));
  }
  if (header.identity != place.identity) {
    return fail(ErrorCode::refused, "it belongs to the data directory of another node or cluster");
  }
  const bool sane = header.number == place.segment && valid_block_bytes(header.block_bytes) && opened_by <= 1 &&
                    header.previous < header.number && header.oldest <= header.number && version > 0;
  if (!sane) return fail(ErrorCode::corruption, "the header is that of another file, or makes no sense");
  header.opened_by = static_cast<OpenedBy>(opened_by);
  return header;
}

std::optional<BatchHeader> read_batch_header(ByteView file, Place place, std::uint64_t offset) {
  if (!within(file, offset, batch_header_bytes)) return std::nullopt;
  const ByteView magic = file.substr(offset + 8, 4);
  if (magic != opening_magic && magic != plain_magic) return std::nullopt;
  ByteReader in(file.substr(offset, batch_header_bytes));
  const std::uint64_t checksum = in.u64();
  if (xxh3(file.substr(offset + 8, batch_header_bytes - 8), place_seed(place, offset)) != checksum) return std::nullopt;
  (void)in.raw(4);
  BatchHeader header;
  header.opening = magic == opening_magic;
  header.records = in.u32();
  header.number = in.u64();
  header.record_bytes = in.u64();
  return header;
}

tl::expected<Batch, Damage> read_batch(ByteView file, Place place, std::uint64_t offset, std::uint64_t block_bytes) {
  const std::optional<BatchHeader> header = read_batch_header(file, place, offset);
  if (!header) return tl::unexpected(Damage{offset, "no valid batch begins here", {}});
  const std::uint64_t start = offset + batch_header_bytes;
  if (!within(file, start, header->record_bytes)) {
    return tl::unexpected(Damage{offset, "the batch runs past the end of the file", {}});
  }
  Batch batch{offset, round_up(start + header->record_bytes, block_bytes), *header, {}};
  batch.records.reserve(std::min<std::uint64_t>(header->records, header->record_bytes / record_header_bytes));
  const std::uint64_t limit = start + header->record_bytes;
  std::uint64_t at = start;
  for (std::uint32_t i = 0; i < header->records; ++i) {
    auto record = read_record(file, place, at, limit);
    if (!record) return tl::unexpected(std::move(record.error()));
    at = std::min(limit, at + round_up(record_header_bytes + record->body.size(), 8));
    batch.records.push_back(*record);
  }
  if (at != limit) return tl::unexpected(Damage{at, "the batch is longer than its records", {}});
  return batch;
}

std::optional<std::uint64_t> find_later_batch(ByteView file, Place place, std::uint64_t from, std::uint64_t above) {
  for (std::uint64_t at = round_up(from, block_bytes_min); within(file, at, batch_header_bytes);
       at += block_bytes_min) {
    if (file.substr(at + 8, 4) != plain_magic) continue;
    const auto header = read_batch_header(file, place, at);
    if (header && header->number > above) return at;
  }
  return std::nullopt;
}

std::optional<SnapshotMark> decode_mark(ByteView body) {
  ByteReader in(body);
  SnapshotMark mark = read_mark(in);
  if (!in.complete()) return std::nullopt;
  return mark;
}

std::optional<Entry> decode_entry(ByteView body) {
  ByteReader in(body);
  Entry entry;
  entry.epoch = in.id<Epoch>();
  entry.index = in.id<Index>();
  entry.stamp = in.id<ClusterMillis>();
  const std::uint8_t kind = in.u8();
  if (!in.ok() || kind > static_cast<std::uint8_t>(EntryKind::membership) || entry.index.none()) return std::nullopt;
  entry.kind = static_cast<EntryKind>(kind);
  entry.payload = in.raw(in.remaining());
  return entry;
}

bool has_newer_entry_kind(ByteView body) {
  ByteReader in(body);
  for (int i = 0; i < 3; ++i) static_cast<void>(in.u64());  // epoch, index, stamp
  const std::uint8_t kind = in.u8();
  return in.ok() && kind > static_cast<std::uint8_t>(EntryKind::membership);
}

std::optional<LeftGroup> decode_left(ByteView body) {
  ByteReader in(body);
  LeftGroup left;
  left.place = read_position(in);
  left.times = in.u64();
  if (!in.complete() || left.times == 0) return std::nullopt;
  return left;
}

std::optional<GroupRecord> decode_group(ByteView body) {
  ByteReader in(body);
  GroupRecord record;
  record.last.index = in.id<Index>();
  return read_rest(in, std::move(record));
}

std::optional<GroupRecord> decode_state(ByteView body) {
  ByteReader in(body);
  GroupRecord record;
  record.from = in.id<Index>();
  record.last = read_position(in);
  return read_rest(in, std::move(record));
}

std::optional<GrownRecord> decode_grown(ByteView body) {
  ByteReader in(body);
  GrownRecord record;
  record.from = in.id<Index>();
  record.last = read_position(in);
  if (!in.complete()) return std::nullopt;
  return record;
}

std::optional<std::uint64_t> decode_covers(ByteView body) {
  ByteReader in(body);
  const std::uint64_t since = in.u64();
  if (!in.complete()) return std::nullopt;
  return since;
}

std::optional<Position> decode_lost(ByteView body) {
  ByteReader in(body);
  const Position place = read_position(in);
  if (!in.complete()) return std::nullopt;
  return place;
}

// ---- writing ----

void encode_mark(Bytes& out, const SnapshotMark& mark) {
  ByteWriter writer(out);
  writer.id(mark.last.epoch).id(mark.last.index).id(mark.stamp);
  if (mark.members.plain()) {
    writer.u32(static_cast<std::uint32_t>(mark.members.voters.size()));
    for (const Member& member : mark.members.voters) writer.id(member.node);
    return;
  }
  const Bytes membership = encode_membership(mark.members);
  writer.u32(whole_membership | static_cast<std::uint32_t>(membership.size())).raw(membership);
}

std::uint64_t entry_record_bytes(const Entry& entry) {
  return round_up(record_header_bytes + entry_fixed_bytes + entry.payload.size(), 8);
}

BatchBuilder::BatchBuilder(Place place, std::uint64_t block_bytes, std::uint64_t batch_number, std::uint64_t base,
                           std::uint64_t start)
    : place_(place), block_bytes_(block_bytes), number_(batch_number), base_(base), start_(start) {
  bytes_.resize(start + batch_header_bytes, '\0');
}

BatchBuilder BatchBuilder::opening(Place place, std::uint64_t block_bytes, std::uint64_t batch_number) {
  BatchBuilder builder(place, block_bytes, batch_number, 0, first_batch_offset(block_bytes));
  builder.opening_ = true;
  return builder;
}

BatchBuilder BatchBuilder::plain(Place place, std::uint64_t block_bytes, std::uint64_t batch_number,
                                 std::uint64_t offset) {
  return {place, block_bytes, batch_number, offset, 0};
}

std::size_t BatchBuilder::begin(RecordKind kind, GroupId group) {
  const std::size_t start = bytes_.size();
  bytes_.resize(start + record_header_bytes, '\0');
  bytes_[start + 12] = static_cast<char>(kind);
  store_u64(bytes_.data() + start + 16, group.value);
  return start;
}

void BatchBuilder::end_record(std::size_t start) {
  store_u32(bytes_.data() + start + 8, static_cast<std::uint32_t>(bytes_.size() - start - record_header_bytes));
  const std::uint64_t checksum = xxh3(ByteView(bytes_).substr(start + 8), place_seed(place_, base_ + start));
  store_u64(bytes_.data() + start, checksum);
  bytes_.resize(round_up(bytes_.size(), 8), '\0');
  ++records_;
}

void BatchBuilder::hard_state(GroupId group, ByteView bytes) {
  const std::size_t start = begin(RecordKind::hard_state, group);
  bytes_.append(bytes);
  end_record(start);
}

void BatchBuilder::install(GroupId group, const SnapshotMark& mark) {
  const std::size_t start = begin(RecordKind::install, group);
  encode_mark(bytes_, mark);
  end_record(start);
}

void BatchBuilder::compact(GroupId group, const SnapshotMark& mark) {
  const std::size_t start = begin(RecordKind::compact, group);
  encode_mark(bytes_, mark);
  end_record(start);
}

void BatchBuilder::put_entry(RecordKind kind, GroupId group, const Entry& entry) {
  const std::size_t start = begin(kind, group);
  std::array<char, entry_fixed_bytes> fixed{};
  store_u64(fixed.data(), entry.epoch.value);
  store_u64(fixed.data() + 8, entry.index.value);
  store_u64(fixed.data() + 16, entry.stamp.value);
  fixed[24] = static_cast<char>(entry.kind);
  bytes_.append(fixed.data(), fixed.size());
  bytes_.append(entry.payload);
  end_record(start);
}

void BatchBuilder::group(GroupId group, Index last, const SnapshotMark& mark, ByteView hard_state) {
  const std::size_t start = begin(RecordKind::group, group);
  ByteWriter(bytes_).id(last);
  encode_mark(bytes_, mark);
  bytes_.append(hard_state);
  end_record(start);
}

void BatchBuilder::covers(std::uint64_t since) {
  const std::size_t start = begin(RecordKind::covers, {});
  ByteWriter(bytes_).u64(since);
  end_record(start);
}

void BatchBuilder::grown(GroupId group, const GrownRecord& grown) {
  const std::size_t start = begin(RecordKind::grown, group);
  ByteWriter(bytes_).id(grown.from).id(grown.last.epoch).id(grown.last.index);
  end_record(start);
}

void BatchBuilder::state(GroupId group, Index from, const Position& last, const SnapshotMark& mark,
                         ByteView hard_state) {
  const std::size_t start = begin(RecordKind::state, group);
  ByteWriter(bytes_).id(from).id(last.epoch).id(last.index);
  encode_mark(bytes_, mark);
  bytes_.append(hard_state);
  end_record(start);
}

void BatchBuilder::left(GroupId group, const LeftGroup& left) {
  const std::size_t start = begin(RecordKind::left, group);
  ByteWriter(bytes_).id(left.place.epoch).id(left.place.index).u64(left.times);
  end_record(start);
}

void BatchBuilder::lost(GroupId group, const Position& place) {
  const std::size_t start = begin(RecordKind::lost, group);
  ByteWriter(bytes_).id(place.epoch).id(place.index);
  end_record(start);
}

void BatchBuilder::seal() {
  char* header = bytes_.data() + start_;
  const ByteView magic = opening_ ? opening_magic : plain_magic;
  std::copy(magic.begin(), magic.end(), header + 8);
  store_u32(header + 12, records_);
  store_u64(header + 16, number_);
  store_u64(header + 24, bytes_.size() - start_ - batch_header_bytes);
  store_u64(header, xxh3({header + 8, batch_header_bytes - 8}, place_seed(place_, base_ + start_)));
  bytes_.resize(end() - base_, '\0');
}

Bytes BatchBuilder::finish() {
  seal();
  return std::move(bytes_);
}

Bytes BatchBuilder::finish(const SegmentHeader& header) {
  seal();
  Bytes raw;
  ByteWriter(raw)
      .raw(segment_magic)
      .u32(format_version)
      .u32(header.block_bytes)
      .u64(header.identity)
      .u64(header.number)
      .u64(header.previous)
      .u64(header.previous_end)
      .u64(header.oldest)
      .u64(static_cast<std::uint64_t>(header.opened_by));
  const std::uint64_t checksum = xxh3(raw, place_seed({header.identity, header.number}, 0));
  ByteWriter(raw).u64(checksum);
  std::copy(raw.begin(), raw.end(), bytes_.begin());
  return std::move(bytes_);
}

}  // namespace assent::wal_format
