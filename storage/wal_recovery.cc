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

bool is(const Record& record, RecordKind kind) { return record.kind == static_cast<std::uint8_t>(kind); }

// A group's whole state, of either kind.
std::optional<GroupRecord> state_of(const Record& record) {
  return is(record, RecordKind::group) ? decode_group(record.body) : decode_state(record.body);
}

bool states_group(const Record& record) { return is(record, RecordKind::group) || is(record, RecordKind::state); }

// Whether the state of the record's group stands before it in its batch.
bool named_before(const Batch& batch, const Record& record) {
  return std::any_of(batch.records.begin(), batch.records.end(), [&record](const Record& other) {
    return states_group(other) && other.group == record.group && other.offset < record.offset;
  });
}

// What the batch says of those before it holds for all from this number on; none: it says nothing.
std::optional<std::uint64_t> covered_since(const Batch& batch) {
  if (batch.records.empty() || !is(batch.records.front(), RecordKind::covers)) return std::nullopt;
  return decode_covers(batch.records.front().body);
}

bool ends_there(const WalGroup& group, const Position& end) {
  return group.last() == end.index && (end.epoch.none() || group.end().epoch == end.epoch);
}

// A segment to be read, and how much is known of it.
struct Link {
  SegmentHeader header = {};  // a guess but for number and block_bytes where it is damaged
  std::uint64_t end = 0;      // up to where it counts; 0: to its last valid batch
  bool guessed = false;
  bool missing = false;
};

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
    if (auto done = judge_losses(); !done) return fail(std::move(done.error()));
    return std::move(scan_);
  }

 private:
  std::string path(std::uint64_t segment) const { return folder_ + "/" + segment_name(segment); }
  Place place(std::uint64_t segment) const { return {identity_, segment}; }

  std::string described(std::uint64_t segment, const Damage& damage, std::string_view proof) const {
    const std::string group = damage.group ? fmt::format(" (group {} by its own account)", *damage.group) : "";
    return fmt::format("{} is damaged at offset {}{}: {}; {}", path(segment), damage.offset, group, damage.why, proof);
  }

  Error damaged(std::uint64_t segment, const Damage& damage, std::string_view proof) const {
    return refusal(described(segment, damage, proof));
  }

  static Error refusal(std::string_view what) {
    return Error{ErrorCode::corruption,
                 fmt::format("{}. The log is left as it is. Do not run this node on it: restore the file, or let the "
                             "node join again with an empty data directory",
                             what),
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

  // ---- head and chain ----

  // The newest segment with a valid header and opening batch, or with a later batch, which shows that it had both once.
  // Newer ones must show that they never held anything durable.
  Result<void> find_head() {
    for (auto it = segments_.rbegin(); it != segments_.rend(); ++it) {
      const std::uint64_t number = *it;
      auto bytes = disk_.read(path(number), 0, whole_file);
      if (!bytes) return fail(std::move(bytes.error()));
      const auto header = read_header(number, *bytes);
      if (!header && header.error().code != ErrorCode::corruption) return fail(header.error());
      Link link{.header = header.value_or(SegmentHeader{}), .guessed = !header};
      const auto opening =
          header ? read_opening(*bytes, *header) : tl::unexpected(Damage{0, header.error().message, {}});
      if (!opening) {
        const auto later = find_later_batch(*bytes, place(number), 0, 0);
        if (!later) {
          if (header) vouchers_.push_back(*header);
          continue;
        }
        if (!header) {
          const auto guess = guess_header(number, *bytes);
          if (!guess) {
            return fail(damaged(number, opening.error(), fmt::format("a valid batch follows at offset {}", *later)));
          }
          link.header = *guess;
        }
      }
      if (auto vouched = check_vouchers(number); !vouched) return vouched;
      scan_.head = WalScan::Head{link.header, 0, 0, false};
      head_ = link;
      head_bytes_ = std::move(*bytes);
      return {};
    }
    return check_no_head();
  }

  // One that is another directory's, before batches of this one, is damage: a write or a read went to the wrong place.
  Result<SegmentHeader> read_header(std::uint64_t number, ByteView bytes) const {
    auto header = read_segment_header(bytes, place(number));
    if (header || header.error().code == ErrorCode::corruption) return header;
    const bool strange = header.error().code == ErrorCode::refused && find_later_batch(bytes, place(number), 0, 0);
    return fail(strange ? ErrorCode::corruption : header.error().code,
                fmt::format("{}: {}", path(number), header.error().message));
  }

  tl::expected<Batch, Damage> read_opening(ByteView bytes, const SegmentHeader& header) const {
    auto batch = read_batch(bytes, place(header.number), first_batch_offset(header.block_bytes), header.block_bytes);
    if (batch && !batch->header.opening) {
      return tl::unexpected(Damage{batch->offset, "the first batch is not an opening one", {}});
    }
    return batch;
  }

  // Of a segment whose header is damaged: its opening batch, or else a segment below it, tells the size of blocks. It
  // goes on from the next lower one, for those that a recovery drops out of the chain are removed by it, and if they
  // were not, they say the same.
  std::optional<SegmentHeader> guess_header(std::uint64_t number, ByteView bytes) {
    SegmentHeader header;
    header.identity = identity_;
    header.number = number;
    header.opened_by = OpenedBy::recovery;
    header.previous = next_lower(number);
    for (std::uint64_t block = block_bytes_min; block <= block_bytes_max; block *= 2) {
      const auto batch = read_batch_header(bytes, place(number), first_batch_offset(block));
      if (!batch || !batch->opening) continue;
      header.block_bytes = static_cast<std::uint32_t>(block);
      return header;
    }
    for (auto below = header.previous; below != 0; below = next_lower(below)) {
      const auto start = disk_.read(path(below), 0, segment_header_bytes);
      const auto known = start ? read_segment_header(*start, place(below)) : fail(start.error());
      if (!known) continue;
      header.block_bytes = known->block_bytes;
      return header;
    }
    return std::nullopt;
  }

  // 0: there is none.
  [[nodiscard]] std::uint64_t next_lower(std::uint64_t number) const {
    const auto at = segments_.lower_bound(number);
    return at == segments_.begin() ? 0 : *std::prev(at);
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
    chain_.push_back(head_);
    const std::uint64_t oldest = head_.header.oldest;
    while (chain_.back().header.previous != 0 && chain_.back().header.previous >= oldest) {
      auto link = link_before(chain_.back());
      if (!link) return fail(std::move(link.error()));
      if (link->missing && head_.guessed) break;  // how far back the chain goes nothing tells: perhaps no further
      chain_.push_back(std::move(*link));
    }
    std::reverse(chain_.begin(), chain_.end());
    for (const Link& link : chain_) {
      if (link.missing) continue;
      scan_.chain.push_back(link.header.number);
      if (link.end != 0) scan_.ends[link.header.number] = link.end;
    }
    std::set_difference(segments_.begin(), segments_.end(), scan_.chain.begin(), scan_.chain.end(),
                        std::back_inserter(scan_.left_overs));
    return {};
  }

  Result<Link> link_before(const Link& next) {
    const std::uint64_t number = next.header.previous;
    Link link{.end = next.guessed || next.missing ? 0 : next.header.previous_end};
    if (!segments_.contains(number)) {
      link.missing = true;
      link.header.number = number;
      link.header.previous = next_lower(number);
      link.header.block_bytes = next.header.block_bytes;
      return link;
    }
    auto bytes = disk_.read(path(number), 0, whole_file);
    if (!bytes) return fail(std::move(bytes.error()));
    const auto header = read_header(number, *bytes);
    if (!header && header.error().code != ErrorCode::corruption) return fail(header.error());
    link.guessed = !header;
    link.header = header ? *header : guess_header(number, *bytes).value_or(guess_from(next, number));
    return link;
  }

  SegmentHeader guess_from(const Link& next, std::uint64_t number) const {
    SegmentHeader header = next.header;
    header.number = number;
    header.previous = next_lower(number);
    header.opened_by = OpenedBy::recovery;
    return header;
  }

  // ---- replay ----

  // A segment with a successor: everything up to where the successor takes over was durable.
  Result<void> replay_sealed(const Link& link, const Link& next, bool first) {
    const SegmentHeader& header = link.header;
    const std::string proof = link.end != 0
                                  ? fmt::format("{} goes on from offset {}", path(next.header.number), link.end)
                                  : fmt::format("{} goes on from it", path(next.header.number));
    if (link.missing) {
      lose(header.number, {0, "the file is missing", {}}, proof);
      return {};
    }
    auto bytes = disk_.read(path(header.number), 0, link.end == 0 ? whole_file : link.end);
    if (!bytes) return fail(std::move(bytes.error()));
    if (link.guessed) {
      note_damage(header.number, {0, "its header cannot be read", {}}, proof);
    }
    std::uint64_t at = first_batch_offset(header.block_bytes);
    const std::uint64_t end = link.end == 0 ? bytes->size() : link.end;
    while (at < end) {
      const auto batch = read_next(*bytes, header, at);
      if (batch) {
        if (auto done = apply(header, *batch, first); !done) return done;
        at = batch->end;
        continue;
      }
      const std::uint64_t later = next_whole(*bytes, header, at, end);
      if (later == end && link.end == 0) return {};  // where it ended nothing tells; what follows says by its number
      lose(header.number, batch.error(), proof);
      at = later;
    }
    if (at == end || link.end == 0) return {};
    lose(header.number, {at, "a batch runs past the end of the segment's valid part", {}}, proof);
    return {};
  }

  Result<void> replay_head() {
    const SegmentHeader& header = head_.header;
    if (head_.guessed) note_damage(header.number, {0, "its header cannot be read", {}}, "valid batches follow");
    std::uint64_t at = first_batch_offset(header.block_bytes);
    while (true) {
      const auto batch = read_next(head_bytes_, header, at);
      if (batch) {
        if (auto done = apply(header, *batch, chain_.size() == 1); !done) return done;
        scan_.head->last_batch = batch->header.number;
        scan_.head->last_batch_offset = at;
        scan_.head->last_batch_opens = batch->header.opening;
        at = batch->end;
        continue;
      }
      const std::uint64_t later = next_whole(head_bytes_, header, at, head_bytes_.size());
      if (later == head_bytes_.size()) return judge_tail(header, at, batch.error());
      lose(header.number, batch.error(), fmt::format("a valid batch follows at offset {}", later));
      at = later;
    }
  }

  // The batch at the offset with the number that must come next.
  tl::expected<Batch, Damage> read_next(ByteView bytes, const SegmentHeader& header, std::uint64_t at) const {
    const bool opening = at == first_batch_offset(header.block_bytes);
    auto batch = read_batch(bytes, place(header.number), at, header.block_bytes);
    if (!batch) return batch;
    const std::uint64_t number = batch->header.number;
    const bool in_order = opening || lost_since_ ? number > last_number_ : number == last_number_ + 1;
    if (batch->header.opening != opening || !in_order) {
      return tl::unexpected(
          Damage{at, fmt::format("batch {} stands where batch {} belongs", number, last_number_ + 1), {}});
    }
    return batch;
  }

  // Behind a batch that cannot be read: where the next whole one begins, or `end`.
  std::uint64_t next_whole(ByteView bytes, const SegmentHeader& header, std::uint64_t at, std::uint64_t end) const {
    const ByteView part = bytes.substr(0, end);
    std::uint64_t from = at + header.block_bytes;
    while (const auto later = find_later_batch(part, place(header.number), from, last_number_ + 1)) {
      if (read_batch(part, place(header.number), *later, header.block_bytes)) return *later;
      from = *later + header.block_bytes;
    }
    return end;
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
    // A successor whose header is a guess does not say where its predecessor ended.
    const bool unsaid = batch.header.opening && last_number_ != 0 && batch.header.number > last_number_ + 1 &&
                        (header.opened_by == OpenedBy::rotation || head_or_guess(header));
    if (unsaid && !lost_since_) {
      lose(header.number, {batch.offset, "batches before it are missing", {}}, "their numbers tell");
    }
    if (lost_since_) {
      bridge(batch);
    } else if (batch.header.opening) {
      if (auto done = check_opening(header, batch, first_segment); !done) return done;
    }
    if (batch.header.opening) doubt_.reset();  // it states all groups
    scan_.recent.begin(batch.header.number);
    for (const Record& record : batch.records) {
      if (auto done = apply_record(header.number, batch, record); !done) return done;
    }
    lost_since_.reset();
    last_number_ = batch.header.number;
    scan_.records += batch.records.size();
    return {};
  }

  [[nodiscard]] bool head_or_guess(const SegmentHeader& header) const {
    return std::any_of(chain_.begin(), chain_.end(),
                       [&header](const Link& link) { return link.header.number == header.number && link.guessed; });
  }

  // ---- damage ----

  void note_damage(std::uint64_t segment, const Damage& damage, std::string_view proof) {
    scan_.damages.push_back(described(segment, damage, proof));
    if (segments_.contains(segment)) scan_.damaged.insert(segment);
  }

  // Batches are lost from the one on that comes next.
  void lose(std::uint64_t segment, const Damage& damage, std::string_view proof) {
    note_damage(segment, damage, proof);
    if (!lost_since_) lost_since_ = last_number_ + 1;
  }

  // The first batch behind lost ones. When it says what all of them changed, that is known again, but for the entries
  // themselves. Else nothing that any group had is sure, until an opening batch states all of them.
  void bridge(const Batch& batch) {
    const auto since = covered_since(batch);
    const bool covered = since && *since <= *lost_since_ && !doubt_;
    if (covered) return;
    for (auto& [id, group] : scan_.groups) group.forget_from(Index(1));
    scan_.recent = {};
    doubt_ = scan_.damages.back();
  }

  // What a rotation wrote about the groups is what the records before it came to, unless something of them is lost.
  Result<void> check_opening(const SegmentHeader& header, const Batch& batch, bool first_segment) {
    std::set<GroupId> named;
    for (const Record& record : batch.records) {
      if (states_group(record)) named.insert(record.group);
    }
    for (const auto& [id, group] : scan_.groups) {
      if (named.contains(id) || doubt_) continue;
      return fail(damaged(header.number, {batch.offset, "the opening batch leaves out a group", id},
                          "the segments before it know that group"));
    }
    if (first_segment || doubt_ || header.opened_by != OpenedBy::rotation) return {};
    std::map<GroupId, LeftGroup> left;
    for (const Record& record : batch.records) {
      const std::optional<LeftGroup> stated = left_of(record);
      // One behind the group's state belongs to the batch that did not fit the segment before.
      if (stated && !named_before(batch, record)) left[record.group] = *stated;
    }
    for (const Record& record : batch.records) {
      if (!states_group(record)) continue;
      const auto stated = state_of(record);
      const auto known = scan_.groups.find(record.group);
      if (stated && known != scan_.groups.end() && agrees(known->second, *stated) &&
          known->second.left() == left[record.group]) {
        continue;
      }
      return fail(damaged(header.number, {record.offset, "it states what the log before it does not say", record.group},
                          "records before it are lost"));
    }
    return {};
  }

  static bool agrees(const WalGroup& known, const GroupRecord& stated) {
    return ends_there(known, stated.last) && known.mark() == stated.mark && known.hard_state == stated.hard_state;
  }

  // Entries are missing where they were in lost batches. The group's log goes on before the first of them.
  Result<void> judge_losses() {
    if (doubt_) return fail(refusal(*doubt_ + "; what it held is not said again"));
    for (auto& [id, group] : scan_.groups) {
      if (group.complete()) continue;
      const LostEntries lost{group.first_missing(), group.end()};
      const bool explained = !scan_.damages.empty();
      if (!explained || lost.end.epoch.none()) {
        return fail(damaged(scan_.head->header.number, {0, fmt::format("entry {} is missing", lost.first), id},
                            explained ? "nothing tells where its log ended" : "its place in the log is known"));
      }
      scan_.lost.emplace(id, lost);
      group.cut_at_hole();
    }
    return {};
  }

  // ---- records ----

  Result<void> apply_record(std::uint64_t segment, const Batch& batch, const Record& record) {
    const auto bad = [&](std::string why) {
      return fail(damaged(segment, {record.offset, std::move(why), record.group}, "its checksum is right"));
    };
    const bool opening_only = is(record, RecordKind::group) || is(record, RecordKind::carried);
    if (opening_only && !batch.header.opening) return bad("a record of an opening batch stands in another one");
    if (is(record, RecordKind::covers)) {
      return decode_covers(record.body) ? Result<void>{} : bad("what it says again cannot be read");
    }
    WalGroup& group = scan_.groups[record.group];
    switch (static_cast<RecordKind>(record.kind)) {
      case RecordKind::hard_state:
        group.hard_state = record.body;
        scan_.recent.whole(record.group);
        return {};
      case RecordKind::install:
      case RecordKind::compact: {
        const auto mark = decode_mark(record.body);
        if (!mark) return bad("a snapshot mark cannot be read");
        const bool install = is(record, RecordKind::install);
        install ? group.install(*mark) : group.compact(*mark);
        scan_.recent.whole(record.group, install ? Index(1) : Index());
        return {};
      }
      case RecordKind::entry:
      case RecordKind::carried: return apply_entry(segment, batch, record, group);
      case RecordKind::left: {
        const auto left = decode_left(record.body);
        if (!left) return bad("that the group was left cannot be read");
        if (left->times > group.left().times) scan_.recent.whole(record.group, Index(1));
        group.leave(*left);
        return {};
      }
      case RecordKind::lost: {
        const auto place = decode_lost(record.body);
        if (!place) return bad("where the log ended that entries are lost of cannot be read");
        group.lose(*place);
        return {};
      }
      case RecordKind::group:
      case RecordKind::state: {
        auto stated = state_of(record);
        if (!stated) return bad("a group's state cannot be read");
        const bool known = batch.header.opening || lost_since_ || doubt_ || agrees(group, *stated);
        if (!known) return bad("it states what the log before it does not say");
        if (lost_since_) scan_.recent.whole(record.group, stated->from);
        if (!lost_since_ || ends_there(group, stated->last)) stated->from = {};  // it was not among what is lost
        group.restate(std::move(*stated));
        return {};
      }
      case RecordKind::grown: {
        const auto grown = decode_grown(record.body);
        if (!grown) return bad("where a group's log ended cannot be read");
        const bool goes_on = ends_there(group, grown->last);
        if (!goes_on && !lost_since_ && !doubt_) return bad("it states what the log before it does not say");
        if (lost_since_) scan_.recent.entries(record.group, grown->from);
        if (!goes_on) group.regrow(*grown);
        return {};
      }
      case RecordKind::covers: return {};
    }
    return fail(
        ErrorCode::unsupported,
        fmt::format("{}: the record at offset {} is of kind {}, which this program does not know; a newer one wrote "
                    "it: use that",
                    path(segment), record.offset, record.kind));
  }

  Result<void> apply_entry(std::uint64_t segment, const Batch& batch, const Record& record, WalGroup& group) {
    const auto bad = [&](std::string why) {
      return fail(damaged(segment, {record.offset, std::move(why), record.group}, "its checksum is right"));
    };
    auto entry = decode_entry(record.body);
    if (!entry && has_newer_entry_kind(record.body)) {
      return fail(ErrorCode::unsupported,
                  fmt::format("{}: the record at offset {} is an entry of a kind that this program does not know; a "
                              "newer one wrote it: use that",
                              path(segment), record.offset));
    }
    if (!entry) return bad("an entry cannot be read");
    auto shared = std::make_shared<const Entry>(std::move(*entry));
    const Index index = shared->index;
    if (is(record, RecordKind::carried)) {
      if (!group.carry(std::move(shared), segment, batch.header.number)) {
        return bad(fmt::format("entry {} leaves a gap in the log", index));
      }
      return {};
    }
    scan_.recent.entries(record.group, index);
    if (doubt_) {
      group.append_anywhere(std::move(shared), segment, batch.header.number);
    } else if (!group.append(std::move(shared), segment, batch.header.number)) {
      return bad(fmt::format("entry {} leaves a gap in the log", index));
    }
    return {};
  }

  Disk& disk_;
  const std::string& folder_;
  std::uint64_t identity_;
  std::set<std::uint64_t> segments_;
  std::vector<SegmentHeader> vouchers_;  // of segments above the head
  Link head_;
  std::vector<Link> chain_;
  Bytes head_bytes_;
  std::uint64_t last_number_ = 0;            // of the last batch replayed
  std::optional<std::uint64_t> lost_since_;  // batches from this number up to the next one are lost
  std::optional<std::string> doubt_;         // the damage since which no group's state is sure
  WalScan scan_;
};

}  // namespace

Result<WalScan> scan_wal(Disk& disk, const std::string& folder, std::uint64_t identity) {
  return Scanner(disk, folder, identity).run();
}

}  // namespace assent
