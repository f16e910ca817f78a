#include "storage/cold_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "storage/snapshot_file.h"
#include "storage/wal_format.h"

namespace assent {
namespace {

using namespace wal_format;

// Every batch of a closed segment was durable before the next one was opened: there is no torn end to be told from
// damage here.
class SegmentCheck final : public ColdCheck {
 public:
  explicit SegmentCheck(const ColdFile& file) : place_{file.identity, file.segment}, end_(file.end) {}

  bool add(ByteView bytes) override {
    const std::uint64_t missing = end_ - std::min<std::uint64_t>(end_, bytes_.size());
    bytes_.append(bytes.substr(0, missing));
    return bytes_.size() >= end_;
  }

  std::optional<std::string> verdict() override {
    if (bytes_.size() < end_) return fmt::format("it ends at offset {}, and {} bytes of it count", bytes_.size(), end_);
    const auto header = read_segment_header(bytes_, place_);
    if (!header) return header.error().message;
    std::uint64_t at = first_batch_offset(header->block_bytes);
    std::uint64_t last = 0;
    while (at < end_) {
      if (planted(Bug::scrub_trusts_header)) {
        const auto trusted = read_batch_header(bytes_, place_, at);
        if (!trusted) break;
        at = round_up(at + batch_header_bytes + trusted->record_bytes, header->block_bytes);
        continue;
      }
      const auto batch = read_batch(bytes_, place_, at, header->block_bytes);
      if (!batch) return fmt::format("at offset {}: {}", batch.error().offset, batch.error().why);
      const bool first = last == 0;
      if (batch->header.opening != first || (!first && batch->header.number != last + 1)) {
        return fmt::format("at offset {}: batch {} stands where batch {} belongs", at, batch->header.number, last + 1);
      }
      last = batch->header.number;
      at = batch->end;
    }
    if (at > end_) return fmt::format("a batch runs past offset {}, where the segment ends", end_);
    return std::nullopt;
  }

 private:
  Place place_;
  std::uint64_t end_;
  Bytes bytes_;
};

class SnapshotCheck final : public ColdCheck {
 public:
  explicit SnapshotCheck(const ColdFile& file) : check_(name_of(file)) {}

  bool add(ByteView bytes) override {
    check_.add(bytes);
    return false;
  }

  std::optional<std::string> verdict() override {
    const auto whole = check_.finish();
    return whole ? std::nullopt : std::optional(whole.error().message);
  }

 private:
  static snapshot_file::Name name_of(const ColdFile& file) {
    return snapshot_file::parse_name(file.path.substr(file.path.rfind('/') + 1)).value_or(snapshot_file::Name{});
  }

  snapshot_file::RunningCheck check_;
};

}  // namespace

std::unique_ptr<ColdCheck> make_cold_check(const ColdFile& file) {
  switch (file.kind) {
    case ColdFile::Kind::segment: return std::make_unique<SegmentCheck>(file);
    case ColdFile::Kind::snapshot: return std::make_unique<SnapshotCheck>(file);
    case ColdFile::Kind::other: return nullptr;
  }
  return nullptr;
}

}  // namespace assent
