#include "node/snapshot_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "base/planted.h"

namespace assent {
namespace {

bool continues(const SnapshotLabel& part, const SnapshotLabel& offered) {
  if (planted(Bug::resumed_from_other_snapshot)) return part.group == offered.group;
  return part == offered;
}

}  // namespace

std::uint64_t chunk_checksum(std::uint64_t offset, ByteView data) { return xxh3(data, offset); }

std::uint64_t SnapshotParts::held(const SnapshotLabel& label) const {
  const auto found = parts_.find(label.group);
  if (found == parts_.end() || !continues(found->second.label, label)) return 0;
  return std::min<std::uint64_t>(found->second.data.size(), label.size);
}

Result<SnapshotParts::Stream> SnapshotParts::begin(const SnapshotLabel& label, std::uint64_t offset) {
  if (label.size > bounds_.bytes_max) {
    return fail(ErrorCode::malformed, fmt::format("a snapshot of group {} has {} bytes, and this node takes {}",
                                                  label.group, label.size, bounds_.bytes_max));
  }
  const auto found = parts_.find(label.group);
  const bool streams = found != parts_.end() && !found->second.stream.none();
  const bool same = found != parts_.end() && continues(found->second.label, label);
  if (offset > (same ? found->second.data.size() : 0)) {
    return fail(ErrorCode::conflict, fmt::format("the snapshot of group {} is not here up to byte {}; ask from where "
                                                 "on it is missing",
                                                 label.group, offset));
  }
  if (streams && !same && found->second.label.mark.last.index > label.mark.last.index) {
    return fail(ErrorCode::busy, fmt::format("a later snapshot of group {} is coming", label.group));
  }
  if (!streams && this->streams() >= bounds_.streams_max) {
    return fail(ErrorCode::busy, "other snapshots are arriving; send it again later");
  }
  Part& part = parts_[label.group];
  if (!same) part = Part{};
  part.label = label;
  part.stream = Stream(++last_stream_);
  if (offset < part.data.size()) {
    part.data.resize(offset);
    part.sum = RunningChecksum();
    part.sum.add(part.data);
  }
  return part.stream;
}

Result<void> SnapshotParts::add(Stream stream, std::uint64_t offset, ByteView data,
                                std::optional<std::uint64_t> checksum) {
  Part* const part = find(stream);
  if (part == nullptr) return fail(ErrorCode::refused, "another stream goes on with this snapshot");
  if (offset != part->data.size()) {
    return fail(ErrorCode::conflict, fmt::format("a chunk of the snapshot begins at byte {}, and byte {} comes next",
                                                 offset, part->data.size()));
  }
  if (data.size() > part->label.size - part->data.size()) {
    return fail(ErrorCode::malformed, "the snapshot is longer than its header says");
  }
  if (checksum && *checksum != chunk_checksum(offset, data)) {
    return fail(ErrorCode::corruption, fmt::format("the chunk at byte {} was damaged on its way", offset));
  }
  if (part->data.empty()) part->data.reserve(part->label.size);
  part->data += data;
  part->sum.add(data);
  return {};
}

Result<Bytes> SnapshotParts::finish(Stream stream) {
  Part* const part = find(stream);
  if (part == nullptr) return fail(ErrorCode::refused, "another stream goes on with this snapshot");
  if (part->data.size() != part->label.size) {
    return fail(ErrorCode::conflict, "the snapshot ended before it was whole");
  }
  const bool good = part->sum.value() == part->label.checksum || planted(Bug::resumed_from_other_snapshot);
  Bytes data = std::move(part->data);
  parts_.erase(GroupId(part->label.group));
  if (!good) return fail(ErrorCode::corruption, "the snapshot's checksum is wrong: it was damaged on its way");
  return data;
}

void SnapshotParts::leave(Stream stream, std::uint64_t now_micros) {
  Part* const part = find(stream);
  if (part == nullptr) return;
  part->stream = Stream();
  part->left_at = now_micros;
  if (part->data.empty()) parts_.erase(GroupId(part->label.group));
  bound_kept();
}

void SnapshotParts::expire(std::uint64_t now_micros) {
  std::erase_if(parts_, [&](const auto& one) {
    const Part& part = one.second;
    return part.stream.none() && now_micros - std::min(now_micros, part.left_at) > bounds_.kept_micros_max;
  });
}

std::size_t SnapshotParts::streams() const {
  return static_cast<std::size_t>(
      std::count_if(parts_.begin(), parts_.end(), [](const auto& one) { return !one.second.stream.none(); }));
}

std::uint64_t SnapshotParts::kept_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [group, part] : parts_) bytes += part.stream.none() ? part.data.size() : 0;
  return bytes;
}

SnapshotParts::Part* SnapshotParts::find(Stream stream) {
  const auto found = std::find_if(parts_.begin(), parts_.end(),
                                  [stream](const auto& one) { return one.second.stream == stream && !stream.none(); });
  return found == parts_.end() ? nullptr : &found->second;
}

void SnapshotParts::bound_kept() {
  while (parts_.size() - streams() > bounds_.kept_max || kept_bytes() > bounds_.kept_bytes_max) {
    auto oldest = parts_.end();
    for (auto part = parts_.begin(); part != parts_.end(); ++part) {
      if (!part->second.stream.none()) continue;
      if (oldest == parts_.end() || part->second.left_at < oldest->second.left_at) oldest = part;
    }
    parts_.erase(oldest);
  }
}

}  // namespace assent
