#include "storage/wal_recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <utility>

namespace assent {
namespace {

using namespace wal_format;

constexpr std::uint64_t whole_file = std::numeric_limits<std::uint64_t>::max();

bool only_zeros(ByteView bytes) {
  return bytes.empty() || (bytes.front() == '\0' && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// Behind the last byte that is not zero, from `from` on: most of a segment is reserved and was never written.
std::size_t written_end(ByteView bytes, std::size_t from) {
  constexpr std::size_t step = 4096;
  std::size_t end = bytes.size();
  while (end > from && only_zeros(bytes.substr(end - std::min(step, end - from), std::min(step, end - from)))) {
    end -= std::min(step, end - from);
  }
  while (end > from && bytes[end - 1] == '\0') --end;
  return end;
}

std::optional<LeftGroup> left_of(const Record& record) {
  if (record.kind != static_cast<std::uint8_t>(RecordKind::left)) return std::nullopt;
  return decode_left(record.body);
}

// Whether the state of the record's group stands before it in its batch.
bool named_before(const Batch& batch, const Record& record) {
  return std::any_of(batch.records.begin(), batch.records.end(), [&record](const Record& other) {
    return other.kind == static_cast<std::uint8_t>(RecordKind::group) && other.group == record.group &&
           other.offset < record.offset;
  });
}

class Scanner {
 public:
  Scanner(Disk& disk, const std::string& folder, std::uint64_t identity)
      : disk_(disk), folder_(folder), identity_(identity) {}

  Result<WalScan> run() {
    if (auto done = list_segments(); !done) return fail(std::move(done.error()));
    if (auto done = find_head(); !done) return fail(std::move(done.error()));
    if (!scan_.head) return std::move(scan_);
    if (auto done = follow_chain(); !done) return fail(std::move(done.error()));
    for (std::size_t i = 0; i + 1 < chain_.size(); ++i) {
      if (auto done = replay_sealed(chain_[i], chain_[i + 1], i == 0); !done) return fail(std::move(done.error()));
    }
    if (auto done = replay_head(); !done) return fail(std::move(done.error()));
    if (auto done = check_complete(); !done) return fail(std::move(done.error()));
    return std::move(scan_);
  }

 private:
  std::string path(std::uint64_t segment) const { return folder_ + "/" + segment_name(segment); }
  Place place(std::uint64_t segment) const { return {identity_, segment}; }

  Error damaged(std::uint64_t segment, const Damage& damage, std::string_view proof) const {
    const std::string group = damage.group ? fmt::format(" (group {} by its own account)", *damage.group) : "";
    return Error{
        ErrorCode::corruption,
        fmt::format("{} is damaged at offset {}{}: {}; {}. The log is left as it is. Do not run this node on it: "
                    "restore the file, or let the node join again with an empty data directory",
                    path(segment), damage.offset, group, damage.why, proof),
        {}};
  }

  Result<void> list_segments() {
    auto names = disk_.list(folder_);
    if (!names) return fail(std::move(names.error()));
    for (const std::string& name : *names) {
      if (const auto number = segment_number(name)) segments_.insert(*number);
    }
    if (!segments_.empty()) scan_.highest = *segments_.rbegin();
    return {};
  }

  // The newest segment with a valid header and opening batch. Newer ones must show that they never held anything
  // durable.
  Result<void> find_head() {
    for (auto it = segments_.rbegin(); it != segments_.rend(); ++it) {
      const std::uint64_t number = *it;
      auto bytes = disk_.read(path(number), 0, whole_file);
      if (!bytes) return fail(std::move(bytes.error()));
      auto header = read_segment_header(*bytes, place(number));
      if (!header && header.error().code != ErrorCode::corruption) {
        return fail(header.error().code, fmt::format("{}: {}", path(number), header.error().message));
      }
      std::string why = header ? "" : header.error().message;
      if (header) {
        const auto opening = read_opening(*bytes, *header);
        if (opening) {
          if (auto vouched = check_vouchers(number); !vouched) return vouched;
          scan_.head = WalScan::Head{*header, opening->header.number, opening->offset, true};
          head_bytes_ = std::move(*bytes);
          return {};
        }
        why = opening.error().why;
        vouchers_.push_back(*header);
      }
      if (auto failed = check_failed_segment(number, *bytes, why); !failed) return failed;
    }
    return check_no_head();
  }

  tl::expected<Batch, Damage> read_opening(ByteView bytes, const SegmentHeader& header) const {
    auto batch = read_batch(bytes, place(header.number), first_batch_offset(header.block_bytes), header.block_bytes);
    if (batch && !batch->header.opening) {
      return tl::unexpected(Damage{batch->offset, "the first batch is not an opening one", {}});
    }
    return batch;
  }

  // A segment whose opening is not whole is a crash's left-over, unless more was written into it: that comes after its
  // sync.
  Result<void> check_failed_segment(std::uint64_t number, ByteView bytes, const std::string& why) const {
    const auto later = find_later_batch(bytes, place(number), 0, 0);
    if (!later) return {};
    return fail(damaged(number, {0, why, {}}, fmt::format("a valid batch follows at offset {}", *later)));
  }

  // A newer segment that names one which is not whole: that one had been durable.
  Result<void> check_vouchers(std::uint64_t head) const {
    for (const SegmentHeader& voucher : vouchers_) {
      if (voucher.previous > head) {
        return fail(damaged(voucher.previous, {0, "its opening is not whole", {}},
                            fmt::format("{} was written after it", path(voucher.number))));
      }
    }
    return {};
  }

  Result<void> check_no_head() {
    if (auto vouched = check_vouchers(0); !vouched) return vouched;
    const bool fresh = segments_.empty() || (segments_.size() == 1 && segments_.contains(1));
    if (!fresh) {
      return fail(damaged(scan_.highest, {0, "no segment of the log has a whole opening", {}},
                          "one of them must have had one"));
    }
    scan_.left_overs.assign(segments_.begin(), segments_.end());
    return {};
  }

  Result<void> follow_chain() {
    const SegmentHeader& head = scan_.head->header;
    chain_.push_back(head);
    while (chain_.back().previous != 0 && chain_.back().previous >= head.oldest) {
      const std::uint64_t number = chain_.back().previous;
      const std::string proof = fmt::format("{} goes on from it", path(chain_.back().number));
      if (!segments_.contains(number)) return fail(damaged(number, {0, "the file is missing", {}}, proof));
      auto bytes = disk_.read(path(number), 0, segment_header_bytes);
      if (!bytes) return fail(std::move(bytes.error()));
      auto header = read_segment_header(*bytes, place(number));
      if (!header && header.error().code != ErrorCode::corruption) {
        return fail(header.error().code, fmt::format("{}: {}", path(number), header.error().message));
      }
      if (!header) return fail(damaged(number, {0, header.error().message, {}}, proof));
      chain_.push_back(*header);
    }
    std::reverse(chain_.begin(), chain_.end());
    for (const SegmentHeader& header : chain_) {
      scan_.chain.push_back(header.number);
      if (header.previous != 0) scan_.ends[header.previous] = header.previous_end;
    }
    std::set_difference(segments_.begin(), segments_.end(), scan_.chain.begin(), scan_.chain.end(),
                        std::back_inserter(scan_.left_overs));
    return {};
  }

  // A segment with a successor: everything up to where the successor takes over was durable.
  Result<void> replay_sealed(const SegmentHeader& header, const SegmentHeader& next, bool first) {
    const std::string proof = fmt::format("{} goes on from offset {}", path(next.number), next.previous_end);
    auto bytes = disk_.read(path(header.number), 0, next.previous_end);
    if (!bytes) return fail(std::move(bytes.error()));
    std::uint64_t at = first_batch_offset(header.block_bytes);
    while (at < next.previous_end) {
      const auto batch = read_next(*bytes, header, at);
      if (!batch) return fail(damaged(header.number, batch.error(), proof));
      if (auto done = apply(header, *batch, first); !done) return done;
      at = batch->end;
    }
    if (at != next.previous_end) {
      return fail(damaged(header.number, {at, "a batch runs past the end of the segment's valid part", {}}, proof));
    }
    return {};
  }

  Result<void> replay_head() {
    const SegmentHeader& header = scan_.head->header;
    std::uint64_t at = first_batch_offset(header.block_bytes);
    while (true) {
      const auto batch = read_next(head_bytes_, header, at);
      if (!batch) {
        if (auto torn = judge_tail(header, at, batch.error()); !torn) return torn;
        return {};
      }
      if (auto done = apply(header, *batch, chain_.size() == 1); !done) return done;
      scan_.head->last_batch = batch->header.number;
      scan_.head->last_batch_offset = at;
      scan_.head->last_batch_opens = batch->header.opening;
      at = batch->end;
    }
  }

  // The batch at the offset with the number that must come next.
  tl::expected<Batch, Damage> read_next(ByteView bytes, const SegmentHeader& header, std::uint64_t at) const {
    const bool opening = at == first_batch_offset(header.block_bytes);
    auto batch = read_batch(bytes, place(header.number), at, header.block_bytes);
    if (!batch) return batch;
    const std::uint64_t number = batch->header.number;
    const bool in_order = opening ? number > last_number_ : number == last_number_ + 1;
    if (batch->header.opening != opening || !in_order) {
      return tl::unexpected(
          Damage{at, fmt::format("batch {} stands where batch {} belongs", number, last_number_ + 1), {}});
    }
    return batch;
  }

  Result<void> judge_tail(const SegmentHeader& header, std::uint64_t at, const Damage& damage) {
    if (const auto later = find_later_batch(head_bytes_, place(header.number), at, last_number_ + 1)) {
      return fail(damaged(header.number, damage, fmt::format("a valid batch follows at offset {}", *later)));
    }
    for (const SegmentHeader& voucher : vouchers_) {
      if (voucher.previous == header.number && voucher.previous_end > at) {
        return fail(damaged(header.number, damage, fmt::format("{} was written after it", path(voucher.number))));
      }
    }
    if (at < head_bytes_.size()) scan_.torn_bytes = written_end(head_bytes_, at) - at;
    return {};
  }

  Result<void> apply(const SegmentHeader& header, const Batch& batch, bool first_segment) {
    if (batch.header.opening) {
      if (auto done = check_opening(header, batch, first_segment); !done) return done;
    }
    for (const Record& record : batch.records) {
      if (auto done = apply_record(header.number, batch, record); !done) return done;
    }
    last_number_ = batch.header.number;
    scan_.records += batch.records.size();
    return {};
  }

  // What a rotation wrote about the groups is what the records before it came to, unless something of them is lost.
  Result<void> check_opening(const SegmentHeader& header, const Batch& batch, bool first_segment) {
    std::set<GroupId> named;
    for (const Record& record : batch.records) {
      if (record.kind == static_cast<std::uint8_t>(RecordKind::group)) named.insert(record.group);
    }
    for (const auto& [id, group] : scan_.groups) {
      if (named.contains(id)) continue;
      return fail(damaged(header.number, {batch.offset, "the opening batch leaves out a group", id},
                          "the segments before it know that group"));
    }
    if (first_segment || header.opened_by != OpenedBy::rotation) return {};
    std::map<GroupId, LeftGroup> left;
    for (const Record& record : batch.records) {
      const std::optional<LeftGroup> stated = left_of(record);
      // One behind the group's state belongs to the batch that did not fit the segment before.
      if (stated && !named_before(batch, record)) left[record.group] = *stated;
    }
    for (const Record& record : batch.records) {
      if (record.kind != static_cast<std::uint8_t>(RecordKind::group)) continue;
      const auto stated = decode_group(record.body);
      const auto known = scan_.groups.find(record.group);
      const bool agrees = stated && known != scan_.groups.end() && known->second.last() == stated->last &&
                          known->second.left() == left[record.group] && known->second.mark() == stated->mark &&
                          known->second.hard_state == stated->hard_state;
      if (agrees) continue;
      return fail(damaged(header.number, {record.offset, "it states what the log before it does not say", record.group},
                          "records before it are lost"));
    }
    return {};
  }

  Result<void> apply_record(std::uint64_t segment, const Batch& batch, const Record& record) {
    const auto bad = [&](std::string why) {
      return fail(damaged(segment, {record.offset, std::move(why), record.group}, "its checksum is right"));
    };
    const bool opening_only = record.kind == static_cast<std::uint8_t>(RecordKind::group) ||
                              record.kind == static_cast<std::uint8_t>(RecordKind::carried);
    if (opening_only && !batch.header.opening) return bad("a record of an opening batch stands in another one");
    WalGroup& group = scan_.groups[record.group];
    switch (static_cast<RecordKind>(record.kind)) {
      case RecordKind::hard_state: group.hard_state = record.body; return {};
      case RecordKind::install:
      case RecordKind::compact: {
        const auto mark = decode_mark(record.body);
        if (!mark) return bad("a snapshot mark cannot be read");
        static_cast<RecordKind>(record.kind) == RecordKind::install ? group.install(*mark) : group.compact(*mark);
        return {};
      }
      case RecordKind::entry:
      case RecordKind::carried: {
        auto entry = decode_entry(record.body);
        if (!entry && has_newer_entry_kind(record.body)) {
          return fail(
              ErrorCode::unsupported,
              fmt::format("{}: the record at offset {} is an entry of a kind that this program does not know; a "
                          "newer one wrote it: use that",
                          path(segment), record.offset));
        }
        if (!entry) return bad("an entry cannot be read");
        auto shared = std::make_shared<const Entry>(std::move(*entry));
        const bool fits = static_cast<RecordKind>(record.kind) == RecordKind::entry
                              ? group.append(shared, segment, batch.header.number)
                              : group.carry(shared, segment, batch.header.number);
        if (!fits) return bad(fmt::format("entry {} leaves a gap in the log", shared->index));
        return {};
      }
      case RecordKind::left: {
        const auto left = decode_left(record.body);
        if (!left) return bad("that the group was left cannot be read");
        group.leave(*left);
        return {};
      }
      case RecordKind::group: {
        auto stated = decode_group(record.body);
        if (!stated) return bad("a group's state cannot be read");
        group.restate(std::move(*stated));
        return {};
      }
    }
    return fail(
        ErrorCode::unsupported,
        fmt::format("{}: the record at offset {} is of kind {}, which this program does not know; a newer one wrote "
                    "it: use that",
                    path(segment), record.offset, record.kind));
  }

  Result<void> check_complete() {
    for (const auto& [id, group] : scan_.groups) {
      if (group.complete()) continue;
      return fail(damaged(scan_.head->header.number, {0, fmt::format("entry {} is missing", group.first_missing()), id},
                          "its place in the log is known"));
    }
    return {};
  }

  Disk& disk_;
  const std::string& folder_;
  std::uint64_t identity_;
  std::set<std::uint64_t> segments_;
  std::vector<SegmentHeader> vouchers_;  // of segments above the head
  std::vector<SegmentHeader> chain_;
  Bytes head_bytes_;
  std::uint64_t last_number_ = 0;  // of the last batch replayed
  WalScan scan_;
};

}  // namespace

Result<WalScan> scan_wal(Disk& disk, const std::string& folder, std::uint64_t identity) {
  return Scanner(disk, folder, identity).run();
}

}  // namespace assent
