#include "storage/inspect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "storage/data_directory.h"
#include "storage/snapshot_file.h"
#include "storage/wal_format.h"
#include "storage/wal_recovery.h"

namespace assent {
namespace {

using namespace wal_format;

constexpr std::uint64_t whole_file = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t hex_bytes_max = 32;

std::string hex(ByteView bytes) {
  std::string text;
  for (const char c : bytes.substr(0, hex_bytes_max)) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  if (bytes.size() > hex_bytes_max) text += "...";
  return text;
}

std::string described(const SnapshotMark& mark) {
  if (mark.last.index.none()) return "none";
  return fmt::format("up to entry {} of epoch {}, stamped {}, members {}", mark.last.index, mark.last.epoch, mark.stamp,
                     to_string(mark.members));
}

// What a run of batches in a segment holds.
struct Tally {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::uint64_t first_batch = 0;
  std::uint64_t last_batch = 0;
  std::uint64_t batches = 0;
  std::map<std::uint8_t, std::uint64_t> kinds;

  void add(const Batch& batch) {
    if (batches++ == 0) {
      from = batch.offset;
      first_batch = batch.header.number;
    }
    to = batch.end;
    last_batch = batch.header.number;
    for (const Record& record : batch.records) ++kinds[record.kind];
  }
};

std::string_view kind_name(std::uint8_t kind) {
  switch (static_cast<RecordKind>(kind)) {
    case RecordKind::hard_state: return "hard states";
    case RecordKind::install: return "installs";
    case RecordKind::compact: return "compactions";
    case RecordKind::entry: return "entries";
    case RecordKind::group: return "group states";
    case RecordKind::carried: return "carried entries";
    case RecordKind::left: return "groups left";
    case RecordKind::grown: return "ends of logs said again";
    case RecordKind::state: return "states";
    case RecordKind::covers: return "notes of what is said again";
    case RecordKind::lost: return "places of lost entries";
  }
  return "of an unknown kind";
}

class Inspector {
 public:
  Inspector(Disk& disk, const InspectOptions& options) : disk_(disk), options_(options) {}

  Result<Inspection> run() {
    if (auto done = directory(); !done) return fail(std::move(done.error()));
    for (std::uint64_t i = 0; i < loops_; ++i) {
      const std::string folder = i == 0 ? std::string() : fmt::format("loops/{}/", i);
      wal_folder_ = folder + options_.wal_folder;
      snapshot_folder_ = folder + options_.snapshot_folder;
      if (loops_ > 1) line("loop {} of {}", i, loops_);
      if (auto done = segments(); !done) return fail(std::move(done.error()));
      if (auto done = groups(); !done) return fail(std::move(done.error()));
      if (auto done = snapshots(); !done) return fail(std::move(done.error()));
    }
    return std::move(inspection_);
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(inspection_.text), format, std::forward<Args>(args)...);
    inspection_.text += '\n';
  }

  void damage(std::string_view what) {
    line("  DAMAGED: {}", what);
    inspection_.damages.emplace_back(what);
    inspection_.refused = true;
  }

  // A start goes on without it.
  void passed_over(std::string_view what) {
    line("  DAMAGED: {}", what);
    inspection_.damages.emplace_back(what);
  }

  Result<void> directory() {
    const auto identity = read_directory_identity(disk_);
    if (identity) {
      line("data directory of node \"{}\", cluster \"{}\"", identity->node, identity->cluster);
      identity_ = identity_number(*identity);
      loops_ = identity->loops;
      return {};
    }
    if (identity.error().code == ErrorCode::io) return fail(identity.error());
    line("data directory without a name");
    if (identity.error().code == ErrorCode::not_found) {
      line("  no identity file: a node would take it only when it is empty");
    } else {
      damage(identity.error().message);
    }
    return {};
  }

  Result<void> segments() {
    auto names = disk_.list(wal_folder_);
    if (!names) return fail(std::move(names.error()));
    std::erase_if(*names, [](const std::string& name) { return !segment_number(name); });
    line("write-ahead log: {} segment{}", names->size(), names->size() == 1 ? "" : "s");
    for (const std::string& name : *names) {
      if (auto done = segment(name); !done) return done;
    }
    return {};
  }

  Result<void> segment(const std::string& name) {
    const std::string path = wal_folder_ + "/" + name;
    auto bytes = disk_.read(path, 0, whole_file);
    if (!bytes) return fail(std::move(bytes.error()));
    const std::uint64_t number = *segment_number(name);
    // Without an identity file the segment's own word is taken for whose it is.
    if (!identity_ && bytes->size() >= segment_header_bytes) identity_ = stated_identity(*bytes);
    const Place place{identity_.value_or(0), number};
    const auto header = read_segment_header(*bytes, place);
    if (!header) {
      line("  {}: {} bytes; {}", path, bytes->size(), header.error().message);
      batches(*bytes, place, block_bytes_min, 0);
      return {};
    }
    line("  {}: {} bytes, blocks of {}, opened by {}, {}; needs no segment below {}", path, bytes->size(),
         header->block_bytes, header->opened_by == OpenedBy::rotation ? "rotation" : "recovery",
         header->previous == 0 ? "the first one"
                               : fmt::format("follows {} up to offset {}", header->previous, header->previous_end),
         header->oldest);
    batches(*bytes, place, header->block_bytes, first_batch_offset(header->block_bytes));
    return {};
  }

  static std::uint64_t stated_identity(ByteView bytes) {
    std::uint64_t identity = 0;
    for (std::size_t i = 8; i > 0; --i) identity = (identity << 8U) | static_cast<std::uint8_t>(bytes[15 + i]);
    return identity;
  }

  // All runs of valid batches, and what lies between and behind them.
  void batches(ByteView bytes, Place place, std::uint64_t block_bytes, std::uint64_t at) {
    Tally tally;
    while (at < bytes.size()) {
      const auto batch = read_batch(bytes, place, at, block_bytes);
      if (batch) {
        tally.add(*batch);
        at = batch->end;
        continue;
      }
      report(std::exchange(tally, {}));
      std::uint64_t next = round_up(at + 1, block_bytes_min);
      while (next < bytes.size() && !read_batch_header(bytes, place, next)) next += block_bytes_min;
      gap(bytes, at, std::min<std::uint64_t>(next, bytes.size()), batch.error());
      at = next;
    }
    report(tally);
  }

  void report(const Tally& tally) {
    if (tally.batches == 0) return;
    std::string kinds;
    for (const auto& [kind, count] : tally.kinds) {
      kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count, kind_name(kind));
    }
    line("    batches {} to {} at offsets {} to {}: {}", tally.first_batch, tally.last_batch, tally.from, tally.to,
         kinds.empty() ? "no records" : kinds);
  }

  void gap(ByteView bytes, std::uint64_t from, std::uint64_t to, const Damage& damage) {
    const std::size_t last = bytes.substr(from, to - from).find_last_not_of('\0');
    if (last == ByteView::npos) {
      line("    zeros at offsets {} to {}{}", from, to,
           to < bytes.size() ? ", with valid batches behind them" : ": unused");
      return;
    }
    const std::string group = damage.group ? fmt::format(", group {} by its own account", *damage.group) : "";
    line("    no valid batch at offsets {} to {}: {} (offset {}{}); torn, void or damaged: see below", from,
         from + last + 1, damage.why, damage.offset, group);
  }

  Result<void> groups() {
    const auto scan = scan_wal(disk_, wal_folder_, identity_.value_or(0));
    if (!scan && scan.error().code == ErrorCode::io) return fail(scan.error());
    if (!scan) {
      damage(scan.error().message);
      return {};
    }
    if (scan->torn_bytes > 0)
      line("  torn end: {} bytes that were never acknowledged; a restart drops them", scan->torn_bytes);
    if (!scan->left_overs.empty())
      line("  left over, dropped at a restart: segments {}", fmt::join(scan->left_overs, " "));
    for (const std::string& what : scan->damages) passed_over(what);
    for (const auto& [id, lost] : scan->lost) {
      passed_over(fmt::format("group {}: entries {} to {} are lost by that", id, lost.first, lost.end.index));
    }
    line("groups, as a restart would find them: {}", scan->groups.size());
    for (const auto& [id, state] : scan->groups) group(id, state);
    return {};
  }

  void group(GroupId id, const WalGroup& group) {
    if (group.gone()) {
      line("  group {}: left by this node, which keeps nothing of it; term and vote stay", id);
      return;
    }
    line("  group {}", id);
    line("    hard state: {} bytes, {}", group.hard_state.size(),
         options_.describe_hard_state ? options_.describe_hard_state(id, group.hard_state) : hex(group.hard_state));
    line("    snapshot: {}", described(group.mark()));
    if (group.end() < group.lost()) {
      line(
          "    LOST: entries from {} on, which were damaged; its log went up to {}@{}. A node that is started neither "
          "leads nor helps a log that ends before that place; the group's leader sends them",
          group.last().next(), group.lost().epoch, group.lost().index);
    }
    const auto& slots = group.slots();
    if (slots.empty()) {
      line("    entries: none");
      return;
    }
    std::uint64_t payload = 0;
    for (const auto& [index, slot] : slots) payload += slot.entry->payload.size();
    const Entry& first = *slots.begin()->second.entry;
    const Entry& last = *slots.rbegin()->second.entry;
    line("    entries: {} to {}, epochs {} to {}, {} bytes of payload, in segments {} to {}", first.index, last.index,
         first.epoch, last.epoch, payload, slots.begin()->second.segment, slots.rbegin()->second.segment);
    const std::size_t shown = std::min(options_.entries_max, slots.size());
    for (auto it = std::prev(slots.end(), static_cast<std::ptrdiff_t>(shown)); it != slots.end(); ++it) {
      entry(id, *it->second.entry);
    }
  }

  void entry(GroupId id, const Entry& entry) {
    constexpr std::array<const char*, 3> kinds{"command", "start of epoch", "members"};
    const char* const kind = kinds.at(static_cast<std::size_t>(entry.kind));
    line("      {} epoch {} stamp {} {}, {} bytes{}", entry.index, entry.epoch, entry.stamp, kind, entry.payload.size(),
         options_.describe_entry ? ": " + options_.describe_entry(id, entry) : "");
  }

  Result<void> snapshots() {
    auto names = disk_.list(snapshot_folder_);
    if (!names) return fail(std::move(names.error()));
    line("snapshots: {}", names->size());
    for (const std::string& text : *names) {
      const std::string path = snapshot_folder_ + "/" + text;
      const auto name = snapshot_file::parse_name(text);
      if (!name) {
        line("  {}: {}", path,
             text.ends_with(snapshot_file::unfinished_ending) ? "unfinished, dropped at a restart"
                                                              : "not a snapshot's name");
        continue;
      }
      auto bytes = disk_.read(path, 0, whole_file);
      if (!bytes) return fail(std::move(bytes.error()));
      const auto snapshot = snapshot_file::decode(*bytes, *name);
      if (snapshot) {
        line("  {}: group {}, {}; {} bytes of data, whole", path, name->group, described(snapshot->mark),
             snapshot->data.size());
      } else {
        damage(fmt::format("{}: {}", path, snapshot.error().message));
      }
    }
    return {};
  }

  Disk& disk_;
  const InspectOptions& options_;
  std::string wal_folder_;  // of the loop that is looked at
  std::string snapshot_folder_;
  std::uint64_t loops_ = 1;
  std::optional<std::uint64_t> identity_;
  Inspection inspection_;
};

}  // namespace

Result<Inspection> inspect_data_directory(Disk& disk, const InspectOptions& options) {
  return Inspector(disk, options).run();
}

}  // namespace assent
