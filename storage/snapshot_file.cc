#include "storage/snapshot_file.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "base/planted.h"
#include "storage/wal_format.h"

namespace assent::snapshot_file {
namespace {

constexpr ByteView magic = "ASNTSNAP";
constexpr std::string_view ending = ".snap";
constexpr std::size_t fixed_bytes = 40;                  // before the mark
constexpr std::uint64_t header_bytes_max = 1ULL << 20U;  // of any that a group of nodes can make

// Digits up to the separator, which is taken off too; an empty separator stands for the end.
std::optional<std::uint64_t> take_number(std::string_view& text, std::string_view separator) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.starts_with(separator)) return std::nullopt;
  text.remove_prefix(separator.size());
  return number;
}

}  // namespace

std::string name(const Name& name) {
  return fmt::format("g{}-{:020}-{:020}{}", name.group, name.last.index.value, name.last.epoch.value, ending);
}

std::string unfinished_name(GroupId group, const SnapshotMark& mark) {
  return name({group, mark.last}) + std::string(unfinished_ending);
}

std::optional<Name> parse_name(std::string_view text) {
  std::string_view rest = text;
  if (!rest.starts_with('g')) return std::nullopt;
  rest.remove_prefix(1);
  const auto group = take_number(rest, "-");
  const auto index = group ? take_number(rest, "-") : std::nullopt;
  const auto epoch = index ? take_number(rest, ending) : std::nullopt;
  if (!epoch || !rest.empty()) return std::nullopt;
  const Name parsed{GroupId(*group), {Epoch(*epoch), Index(*index)}};
  if (name(parsed) != text) return std::nullopt;
  return parsed;
}

Bytes header(GroupId group, const SnapshotMark& mark, std::uint64_t data_bytes, std::uint64_t checksum) {
  Bytes mark_bytes;
  wal_format::encode_mark(mark_bytes, mark);
  Bytes bytes;
  ByteWriter(bytes)
      .raw(magic)
      .u32(format_version)
      .u32(static_cast<std::uint32_t>(mark_bytes.size()))
      .id(group)
      .u64(data_bytes)
      .u64(checksum)
      .raw(mark_bytes);
  const std::uint64_t own_checksum = xxh3(bytes);
  ByteWriter(bytes).u64(own_checksum);
  return bytes;
}

Bytes encode(GroupId group, const Snapshot& snapshot) {
  return header(group, snapshot.mark, snapshot.data.size(), xxh3(snapshot.data, group.value)) + snapshot.data;
}

Result<Header> read_header(ByteView file, const Name& name) {
  ByteReader in(file);
  const ByteView found_magic = in.raw(magic.size());
  const std::uint32_t version = in.u32();
  const std::uint32_t mark_bytes = in.u32();
  const auto group = in.id<GroupId>();
  Header header;
  header.data_bytes = in.u64();
  header.data_checksum = in.u64();
  const ByteView mark_raw = in.raw(mark_bytes);
  const std::uint64_t checksum = in.u64();
  if (!in.ok() || found_magic != magic || xxh3(file.substr(0, fixed_bytes + mark_bytes)) != checksum) {
    return fail(ErrorCode::corruption, "the snapshot's header is damaged");
  }
  if (version == 0) return fail(ErrorCode::corruption, "the snapshot is of format 0, which there never was");
  if (version > format_version) {
    return fail(ErrorCode::unsupported,
                fmt::format("written in format {}, and this program knows formats up to {}; use "
                            "the program that wrote it",
                            version, format_version));
  }
  auto mark = wal_format::decode_mark(mark_raw);
  if (!mark) return fail(ErrorCode::corruption, "the snapshot's mark cannot be read");
  if (group != name.group || mark->last != name.last) {
    return fail(ErrorCode::corruption, "the snapshot is of another group or place than its name says");
  }
  header.mark = std::move(*mark);
  header.size = fixed_bytes + mark_bytes + 8;
  return header;
}

namespace {

Error wrong_length(std::uint64_t found, std::uint64_t stated) {
  return {
      ErrorCode::corruption, fmt::format("the snapshot has {} bytes of data and should have {}", found, stated), {}};
}

Error wrong_data() {
  return {ErrorCode::corruption, "the snapshot's data is damaged: its checksum does not match", {}};
}

}  // namespace

Result<Snapshot> decode(ByteView file, const Name& name) {
  auto header = read_header(file, name);
  if (!header) return fail(std::move(header.error()));
  const ByteView data = file.substr(header->size);
  if (data.size() != header->data_bytes) return fail(wrong_length(data.size(), header->data_bytes));
  if (xxh3(data, name.group.value) != header->data_checksum) return fail(wrong_data());
  return Snapshot{std::move(header->mark), Bytes(data)};
}

void RunningCheck::add(ByteView bytes) {
  if (!header_) {
    begin_.append(bytes);
    if (begin_.size() < fixed_bytes) return;
    ByteReader in(ByteView(begin_).substr(magic.size() + 4));
    const std::uint64_t size = fixed_bytes + std::uint64_t{in.u32()} + 8;
    if (begin_.size() < size && size <= header_bytes_max) return;
    header_ = read_header(begin_, name_);
    const Bytes begin = std::exchange(begin_, {});
    if (*header_) add(ByteView(begin).substr((*header_)->size));
    return;
  }
  data_bytes_ += bytes.size();
  checksum_.add(bytes);
}

Result<SnapshotMark> RunningCheck::finish() {
  if (!header_) header_ = read_header(begin_, name_);
  if (!*header_) return fail((*header_).error());
  const Header& header = **header_;
  if (data_bytes_ != header.data_bytes) return fail(wrong_length(data_bytes_, header.data_bytes));
  if (!planted(Bug::scrub_trusts_header) && checksum_.value() != header.data_checksum) return fail(wrong_data());
  return header.mark;
}

}  // namespace assent::snapshot_file
