#include "storage/wal.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/planted.h"
#include "storage/wal_format.h"
#include "storage/wal_recent.h"
#include "storage/wal_recovery.h"
#include "storage/wal_state.h"

namespace assent {
namespace {

using namespace wal_format;

constexpr std::uint64_t carried_share = 4;  // of a segment: 1/4 of its bytes at most are carried forward

// Where the log of a group stands while a batch is checked, before anything is changed.
struct Outlook {
  Index mark;
  Index last;
};

class SegmentedWal final : public Wal {
 public:
  SegmentedWal(Disk& disk, WalOptions options) : disk_(disk), options_(std::move(options)) {}
  ~SegmentedWal() override {
    if (open_) disk_.close(file_);
  }
  SegmentedWal(const SegmentedWal&) = delete;
  SegmentedWal& operator=(const SegmentedWal&) = delete;

  // Takes over what recovery read and opens a fresh segment behind it: docs/FORMATS.md 2.7, steps 6 and 7.
  Result<void> start(WalScan scan) {
    if (!scan.head) return start_new(scan);
    groups_ = std::move(scan.groups);
    recent_ = std::move(scan.recent);
    damaged_ = std::move(scan.damaged);
    for (const auto& [id, lost] : scan.lost) recent_.whole(id, lost.first);
    for (const std::uint64_t number : scan.chain) segments_.push_back(number);
    ends_ = std::move(scan.ends);

    const WalScan::Head& head = *scan.head;
    SegmentHeader header = header_for(scan.highest + 1, OpenedBy::recovery);
    const bool head_goes = head.last_batch_opens;
    header.previous = head_goes ? head.header.previous : head.header.number;
    header.previous_end = head_goes ? head.header.previous_end : head.last_batch_offset;
    ends_[header.previous] = header.previous_end;
    BatchBuilder batch = BatchBuilder::opening(place(header.number), options_.block_bytes, head.last_batch + 1);
    state_groups(batch);
    for (auto& [id, group] : groups_) {
      std::vector<EntryPtr> entries;
      for (const auto& [index, slot] : group.slots()) {
        if (slot.batch == head.last_batch) entries.push_back(slot.entry);
      }
      carry(batch, {id, group}, std::move(entries), header.number, head.last_batch + 1);
    }
    carry_sparse_segments(batch, header.number, head.last_batch + 1);
    header.oldest = oldest_needed(header.number);
    if (auto written = write_opening(header, std::move(batch), head.last_batch + 1); !written) return written;

    std::vector<std::uint64_t> useless = scan.left_overs;
    if (head_goes) {
      if (damaged_.erase(head.header.number) > 0) {
        if (auto aside = set_aside(disk_, path(head.header.number), options_.damaged_bytes_max); !aside) return aside;
      } else {
        useless.push_back(head.header.number);
      }
      std::erase(segments_, head.header.number);
    } else if (head.header.number >= header.oldest) {
      if (auto cut = disk_.truncate(path(head.header.number), head.last_batch_offset); !cut) return cut;
    }
    for (const std::uint64_t number : useless) {
      if (auto removed = disk_.remove(path(number)); !removed) return removed;
    }
    return remove_unneeded(header.oldest);
  }

  Result<Ticket> submit(const std::vector<GroupUpdate>& batch) override {
    if (failure_) return fail(*failure_);
    if (!idle()) return fail(ErrorCode::busy, "a batch is on its way to the disk already");
    if (auto checked = check(batch); !checked) return fail(std::move(checked.error()));
    BatchBuilder plain = BatchBuilder::plain(place(number_), options_.block_bytes, last_batch_ + 1, position_);
    has_plain_batches_ ? say_again(plain) : say_all(plain);
    write_records(plain, batch);
    const bool fits = plain.end() <= options_.segment_bytes || !has_plain_batches_;
    if (fits && !has_to_renew()) {
      apply(batch, number_, last_batch_ + 1);
      has_plain_batches_ = true;
      const std::uint64_t end = plain.end();
      return send(position_, end, plain.records(), plain.finish());
    }
    if (auto rotated = rotate(batch); !rotated) {
      failure_ = rotated.error();
      return fail(*failure_);
    }
    return submitted_;
  }

  [[nodiscard]] bool idle() const override { return durable_ == submitted_ && !failure_; }

  bool completed(const IoCompletion& completion) override {
    if ((completion.token.value & owner_mask) != wal_token_base) return false;
    if (completion.error && !planted(Bug::sync_error_swallowed)) {
      if (!failure_) failure_ = completion.error;
      return true;
    }
    if (completion.token != awaited_ || failure_) return true;
    awaited_ = {};
    durable_ = submitted_;
    if (remove_below_ != 0) {
      if (auto removed = remove_unneeded(std::exchange(remove_below_, 0)); !removed) failure_ = removed.error();
    }
    return true;
  }

  [[nodiscard]] DurableLog log_of(GroupId id) const override {
    const auto group = groups_.find(id);
    return group == groups_.end() ? DurableLog{} : group->second.durable_log();
  }

  [[nodiscard]] std::vector<ColdFile> closed() const override {
    std::vector<ColdFile> files;
    for (const std::uint64_t number : segments_) {
      const auto end = ends_.find(number);
      if (number == number_ || end == ends_.end()) continue;
      files.push_back({.kind = ColdFile::Kind::segment,
                       .path = path(number),
                       .group = {},
                       .identity = options_.identity,
                       .segment = number,
                       .end = end->second});
    }
    return files;
  }

  void renew(std::uint64_t segment) override {
    const bool there = std::binary_search(segments_.begin(), segments_.end(), segment);
    if (!there || segment == number_) return;
    if (planted(Bug::repair_drops_unreplaced)) {
      (void)disk_.remove(path(segment));
      std::erase(segments_, segment);
      return;
    }
    damaged_.insert(segment);
  }

  // Segments go in their order, so all up to the newest damaged one have to.
  [[nodiscard]] bool has_to_renew() const override { return !damaged_.empty(); }

  std::optional<GroupId> take_holder(std::uint64_t bytes_max) override {
    const std::optional<GroupId> holder = std::exchange(holder_, std::nullopt);
    return segments_.size() * options_.segment_bytes > bytes_max + options_.segment_bytes ? holder : std::nullopt;
  }

  [[nodiscard]] Ticket durable() const override { return durable_; }
  [[nodiscard]] std::optional<Error> failure() const override { return failure_; }

  [[nodiscard]] Statistics statistics() const override {
    Statistics statistics = statistics_;
    statistics.segments = segments_.size();
    return statistics;
  }

 private:
  static constexpr std::uint64_t owner_mask = 0xFFULL << 56U;

  std::string path(std::uint64_t segment) const { return options_.folder + "/" + segment_name(segment); }
  Place place(std::uint64_t segment) const { return {options_.identity, segment}; }

  SegmentHeader header_for(std::uint64_t number, OpenedBy opened_by) const {
    SegmentHeader header;
    header.block_bytes = static_cast<std::uint32_t>(options_.block_bytes);
    header.identity = options_.identity;
    header.number = number;
    header.opened_by = opened_by;
    return header;
  }

  // ---- opening a segment ----

  Result<void> start_new(const WalScan& scan) {
    if (auto made = disk_.make_folder(options_.folder); !made) return made;
    const std::size_t slash = options_.folder.rfind('/');
    const std::string above = slash == std::string::npos ? std::string() : options_.folder.substr(0, slash);
    if (auto synced = disk_.sync_directory(above); !synced) return synced;
    for (const std::uint64_t number : scan.left_overs) {
      if (auto removed = disk_.remove(path(number)); !removed) return removed;
    }
    SegmentHeader header = header_for(1, OpenedBy::recovery);
    header.oldest = 1;
    return write_opening(header, BatchBuilder::opening(place(1), options_.block_bytes, 1), 1);
  }

  // The file under its durable name, with its bytes reserved; nothing written yet.
  Result<void> create_segment(std::uint64_t number, std::uint64_t bytes) {
    auto file = disk_.open(path(number), std::max(bytes, options_.segment_bytes));
    if (!file) return fail(std::move(file.error()));
    if (open_) disk_.close(file_);
    file_ = *file;
    open_ = true;
    return planted(Bug::directory_not_synced) ? Result<void>{} : disk_.sync_directory(options_.folder);
  }

  // Blocks until the opening batch is durable.
  Result<void> write_opening(const SegmentHeader& header, BatchBuilder batch, std::uint64_t batch_number) {
    const std::uint64_t end = batch.end();
    if (auto created = create_segment(header.number, end); !created) return created;
    Bytes bytes = batch.finish(header);
    count(bytes.size(), batch.records());
    ++statistics_.syncs;
    if (auto written = disk_.write_durably(file_, 0, std::move(bytes)); !written) return written;
    recent_.begin(batch_number);
    enter(header.number, end, batch_number);
    return {};
  }

  // The batch behind an opening one says all that this one stated: older segments, which it made unnecessary, are gone.
  void say_all(BatchBuilder& batch) const {
    batch.covers(0);
    for (const auto& [id, group] : groups_) state_group(batch, id, group, Index(1));
  }

  void enter(std::uint64_t number, std::uint64_t position, std::uint64_t batch_number) {
    number_ = number;
    segments_.push_back(number);
    position_ = position;
    last_batch_ = batch_number;
    has_plain_batches_ = false;
  }

  // Opens the next segment with the batch that did not fit this one.
  Result<void> rotate(const std::vector<GroupUpdate>& batch) {
    SegmentHeader header = header_for(number_ + 1, OpenedBy::rotation);
    header.previous = number_;
    header.previous_end = position_;
    const std::uint64_t batch_number = last_batch_ + 1;
    BatchBuilder opening = BatchBuilder::opening(place(header.number), options_.block_bytes, batch_number);
    state_groups(opening);
    carry_sparse_segments(opening, header.number, batch_number);
    write_records(opening, batch);
    apply(batch, header.number, batch_number);
    header.oldest = oldest_needed(header.number);
    const std::uint64_t end = opening.end();
    if (auto created = create_segment(header.number, end); !created) return created;
    ends_[header.previous] = header.previous_end;
    enter(header.number, 0, last_batch_);
    remove_below_ = header.oldest;
    send(0, end, opening.records(), opening.finish(header));
    return {};
  }

  void state_groups(BatchBuilder& batch) const {
    const WalRecent::Window window = recent_.window();
    batch.covers(window.since);
    for (const auto& [id, group] : groups_) {
      const auto change = window.changes.find(id);
      state_group(batch, id, group, change == window.changes.end() ? Index() : change->second.from);
    }
  }

  static void state_group(BatchBuilder& batch, GroupId id, const WalGroup& group, Index from) {
    if (group.left().times > 0) batch.left(id, group.left());
    if (group.lost() != Position{}) batch.lost(id, group.lost());
    batch.state(id, from, group.end(), group.mark(), group.hard_state);
  }

  // What the batches before this one changed, should one of them turn out to be damaged.
  void say_again(BatchBuilder& batch) const {
    const WalRecent::Window window = recent_.window();
    batch.covers(window.since);
    for (const auto& [id, change] : window.changes) {
      const WalGroup& group = groups_.at(id);
      change.whole ? state_group(batch, id, group, change.from) : batch.grown(id, {change.from, group.end()});
    }
  }

  static void carry(BatchBuilder& batch, std::pair<GroupId, WalGroup&> to, std::vector<EntryPtr> entries,
                    std::uint64_t segment, std::uint64_t batch_number) {
    for (EntryPtr& entry : entries) {
      batch.carried(to.first, *entry);
      (void)to.second.carry(std::move(entry), segment, batch_number);
    }
  }

  // Entries of quiet groups must not hold old segments for ever: docs/FORMATS.md 2.4. Nor may damaged segments be held
  // at all: about a segment's worth of what keeps them is carried at once, in as many openings as it takes.
  void carry_sparse_segments(BatchBuilder& batch, std::uint64_t segment, std::uint64_t batch_number) {
    std::map<std::uint64_t, std::uint64_t> live;  // bytes by segment
    for (const auto& [id, group] : groups_) {
      for (const auto& [holding, held] : group.held()) live[holding] += held.bytes;
    }
    const std::uint64_t through = damaged_.empty() ? 0 : *damaged_.rbegin();
    std::uint64_t carried = 0;
    std::uint64_t below = 0;
    for (const auto& [number, bytes] : live) {
      const bool must = number <= through;
      const std::uint64_t budget = must ? options_.segment_bytes : options_.segment_bytes / carried_share;
      const bool first = must && below == 0;
      if (number == segment || (carried + bytes > budget && !first)) break;
      carried += bytes;
      below = number + 1;
    }
    for (auto& [id, group] : groups_) carry(batch, {id, group}, group.entries_below(below), segment, batch_number);
  }

  std::uint64_t oldest_needed(std::uint64_t newest) {
    std::uint64_t oldest = newest;
    holder_.reset();
    for (const auto& [id, group] : groups_) {
      if (group.held().empty() || group.held().begin()->first >= oldest) continue;
      oldest = group.held().begin()->first;
      holder_ = id;
    }
    return oldest;
  }

  Result<void> remove_unneeded(std::uint64_t oldest) {
    while (!segments_.empty() && segments_.front() < oldest) {
      const std::uint64_t number = segments_.front();
      const bool damaged = damaged_.erase(number) > 0;
      auto gone = damaged ? set_aside(disk_, path(number), options_.damaged_bytes_max) : disk_.remove(path(number));
      if (!gone) return gone;
      if (damaged) ++statistics_.renewed;
      ends_.erase(number);
      segments_.erase(segments_.begin());
    }
    return {};
  }

  // ---- batches ----

  // Refuses what would make the log unreadable; nothing has been changed yet.
  Result<void> check(const std::vector<GroupUpdate>& batch) const {
    std::map<GroupId, Outlook> outlooks;
    for (const GroupUpdate& update : batch) {
      const auto known = groups_.find(update.group);
      Outlook current;
      if (known != groups_.end()) current = {known->second.mark().last.index, known->second.last()};
      const std::uint64_t times = known != groups_.end() ? known->second.left().times : 0;
      if (update.left && update.left->times != times + 1) {
        return fail(ErrorCode::refused, fmt::format("group {}: it was left {} times so far", update.group, times));
      }
      Outlook& outlook = outlooks.try_emplace(update.group, current).first->second;
      if (auto checked = check(update, outlook); !checked) {
        return fail(checked.error().code, fmt::format("group {}: {}", update.group, checked.error().message));
      }
    }
    return {};
  }

  static Result<void> check(const GroupUpdate& update, Outlook& outlook) {
    if (update.left) outlook = {};
    if (update.hard_state && update.hard_state->size() > payload_bytes_max) {
      return fail(ErrorCode::refused, "the hard state is too large for the log");
    }
    if (update.install) {
      const Index index = update.install->last.index;
      if (index < outlook.mark) return fail(ErrorCode::refused, "an installed snapshot is older than the stored one");
      outlook = {index, index};
    }
    for (const EntryPtr& entry : update.append) {
      if (entry->index.none() || entry->index.previous() > outlook.last) {
        return fail(ErrorCode::refused,
                    fmt::format("entry {} leaves a gap behind entry {}", entry->index, outlook.last));
      }
      if (entry->payload.size() > payload_bytes_max)
        return fail(ErrorCode::refused, "an entry is too large for the log");
      outlook.last = std::max(entry->index, outlook.mark);
    }
    if (update.compact && update.compact->last.index > outlook.mark) {
      outlook.mark = update.compact->last.index;
      outlook.last = std::max(outlook.last, outlook.mark);
    }
    return {};
  }

  static void write_records(BatchBuilder& builder, const std::vector<GroupUpdate>& batch) {
    for (const GroupUpdate& update : batch) {
      if (update.left) builder.left(update.group, *update.left);
      if (update.hard_state) builder.hard_state(update.group, *update.hard_state);
      if (update.install) builder.install(update.group, *update.install);
      for (const EntryPtr& entry : update.append) builder.entry(update.group, *entry);
      if (update.compact) builder.compact(update.group, *update.compact);
    }
  }

  void apply(const std::vector<GroupUpdate>& batch, std::uint64_t segment, std::uint64_t batch_number) {
    recent_.begin(batch_number);
    for (const GroupUpdate& update : batch) {
      const bool says_something =
          update.left || update.hard_state || update.install || update.compact || !update.append.empty();
      if (!says_something) continue;
      WalGroup& group = groups_[update.group];
      if (update.left) group.leave(*update.left);
      if (update.hard_state) group.hard_state = *update.hard_state;
      if (update.install) group.install(*update.install);
      for (const EntryPtr& entry : update.append) (void)group.append(entry, segment, batch_number);  // checked before
      if (update.compact) group.compact(*update.compact);
      if (update.left || update.install || update.hard_state || update.compact) {
        recent_.whole(update.group, update.left || update.install ? Index(1) : Index());
      }
      if (!update.append.empty()) recent_.entries(update.group, update.append.front()->index);
    }
  }

  void count(std::uint64_t bytes, std::uint64_t records) {
    ++statistics_.batches;
    statistics_.bytes += bytes;
    statistics_.records += records;
  }

  // One write and one sync; what awaited_ names ends the batch.
  Ticket send(std::uint64_t offset, std::uint64_t end, std::uint64_t records, Bytes bytes) {
    count(bytes.size(), records);
    ++last_batch_;
    position_ = end;
    ++submitted_;
    const IoToken written(wal_token_base | ++last_token_);
    awaited_ = written;
    if (!options_.sync) {
      disk_.write(file_, offset, std::move(bytes), written);
      return submitted_;
    }
    awaited_ = IoToken(wal_token_base | ++last_token_);
    ++statistics_.syncs;
    disk_.write_then_sync(file_, offset, std::move(bytes), written, awaited_);
    return submitted_;
  }

  Disk& disk_;
  WalOptions options_;
  WalGroups groups_;  // as of the last submitted batch
  WalRecent recent_;  // the same
  std::vector<std::uint64_t>
      segments_;  // in the folder and part of the chain, ascending; the last one is being written
  std::map<std::uint64_t, std::uint64_t> ends_;  // up to where each of them counts that is closed
  std::set<std::uint64_t> damaged_;              // of these, until they are gone
  std::optional<GroupId> holder_;                // take_holder()
  FileId file_;
  bool open_ = false;
  std::uint64_t number_ = 0;    // of the segment being written
  std::uint64_t position_ = 0;  // where its next batch begins
  std::uint64_t last_batch_ = 0;
  bool has_plain_batches_ = false;  // behind the opening one
  std::uint64_t remove_below_ = 0;  // once the batch on its way is durable; 0: nothing
  Ticket submitted_ = 0;
  Ticket durable_ = 0;
  std::uint64_t last_token_ = 0;
  IoToken awaited_;
  std::optional<Error> failure_;
  Statistics statistics_;
};

}  // namespace

Result<std::unique_ptr<Wal>> Wal::open(Disk& disk, WalOptions options, WalRecovery& recovered) {
  if (!valid_block_bytes(options.block_bytes)) {
    return fail(ErrorCode::refused, fmt::format("the WAL's block size must be a power of two from {} to {}, not {}",
                                                block_bytes_min, block_bytes_max, options.block_bytes));
  }
  auto scan = scan_wal(disk, options.folder, options.identity);
  if (!scan) return fail(std::move(scan.error()));
  recovered = {};
  recovered.segments = scan->chain.size();
  recovered.records = scan->records;
  recovered.torn_bytes = scan->torn_bytes;
  recovered.damages = scan->damages;
  recovered.lost = scan->lost;
  for (const auto& [id, group] : scan->groups) {
    if (group.left().times > 0) recovered.left.emplace(id, group.left());
    if (group.lost() != Position{}) recovered.lost_places.emplace(id, group.lost());
    recovered.groups.emplace(id, group.durable_log());
  }
  auto wal = std::make_unique<SegmentedWal>(disk, std::move(options));
  if (auto started = wal->start(std::move(*scan)); !started) return fail(std::move(started.error()));
  return wal;
}

}  // namespace assent
