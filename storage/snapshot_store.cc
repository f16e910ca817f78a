#include "storage/snapshot_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "base/planted.h"
#include "base/running_checksum.h"
#include "storage/snapshot_file.h"

namespace assent {
namespace {

// Written and synced piece by piece, so that a large snapshot never holds up the log's syncs for long.
constexpr std::size_t piece_bytes = 1U << 20U;

class FileSnapshotStore final : public SnapshotStore {
 public:
  FileSnapshotStore(Disk& disk, std::string folder, std::uint64_t damaged_bytes_max)
      : disk_(disk), folder_(std::move(folder)), damaged_bytes_max_(damaged_bytes_max) {}
  ~FileSnapshotStore() override {
    for (auto& [group, saving] : saving_) disk_.close(saving.file);
  }
  FileSnapshotStore(const FileSnapshotStore&) = delete;
  FileSnapshotStore& operator=(const FileSnapshotStore&) = delete;

  Result<void> start() {
    if (auto made = disk_.make_folder(folder_); !made) return made;
    const std::size_t slash = folder_.rfind('/');
    const std::string above = slash == std::string::npos ? std::string() : folder_.substr(0, slash);
    if (auto synced = disk_.sync_directory(above); !synced) return synced;
    auto names = disk_.list(folder_);
    if (!names) return fail(std::move(names.error()));
    for (const std::string& name : *names) {
      if (!name.ends_with(snapshot_file::unfinished_ending)) continue;
      if (auto removed = disk_.remove(path(name)); !removed) return removed;
    }
    return {};
  }

  using SnapshotStore::save;
  Result<void> save(GroupId group, const SnapshotMark& mark, SnapshotDataPtr data) override {
    if (failure_) return fail(*failure_);
    if (saving_.contains(group)) {
      return fail(ErrorCode::busy, fmt::format("a snapshot of group {} is being written already", group));
    }
    Saving saving;
    saving.mark = mark;
    saving.data = std::move(data);
    saving.sum = RunningChecksum(group.value);
    saving.header_bytes = snapshot_file::header(group, mark, 0, 0).size();
    const std::string unfinished = path(snapshot_file::unfinished_name(group, mark));
    if (auto removed = disk_.remove(unfinished); !removed && removed.error().code != ErrorCode::not_found)
      return removed;
    auto file = disk_.open(unfinished, saving.file_bytes());
    if (!file) return fail(std::move(file.error()));
    saving.file = *file;
    return begin_piece(group, saving_.emplace(group, std::move(saving)).first->second);
  }

  bool completed(const IoCompletion& completion, std::vector<Saved>& saved) override {
    if ((completion.token.value & (0xFFULL << 56U)) != snapshot_token_base) return false;
    if (completion.error && !failure_) failure_ = completion.error;
    if (failure_) return true;
    const auto found = std::find_if(saving_.begin(), saving_.end(),
                                    [&](const auto& item) { return item.second.awaited == completion.token; });
    if (found == saving_.end()) return true;  // of a write: its sync follows
    auto& [group, saving] = *found;
    if (!saving.header_out) {
      if (auto begun = begin_piece(group, saving); !begun) failure_ = begun.error();
      return true;
    }
    if (auto finished = finish(group, saving); !finished) {
      failure_ = finished.error();
      return true;
    }
    saved.push_back({group, saving.mark});
    saving_.erase(found);
    return true;
  }

  [[nodiscard]] std::optional<Error> failure() const override { return failure_; }

  Result<std::optional<Snapshot>> newest(GroupId group) override {
    auto names = names_of(group);
    if (!names) return fail(std::move(names.error()));
    std::optional<Error> damage;
    for (auto name = names->rbegin(); name != names->rend(); ++name) {
      auto snapshot = read(*name);
      if (snapshot) return std::optional<Snapshot>(std::move(*snapshot));
      if (snapshot.error().code != ErrorCode::corruption) return fail(std::move(snapshot.error()));
      if (!damage) damage = snapshot.error();
    }
    if (damage) return fail(*damage);
    return std::optional<Snapshot>();
  }

  Result<Snapshot> load(GroupId group, const SnapshotMark& mark) override {
    auto snapshot = read({group, mark.last});
    if (!snapshot) return snapshot;
    if (snapshot->mark != mark) {
      return fail(ErrorCode::not_found, fmt::format("{} is of the same place, but has another stamp or other members",
                                                    path(snapshot_file::name({group, mark.last}))));
    }
    return snapshot;
  }

  void drop_before(GroupId group, const SnapshotMark& mark) override {
    const auto names = names_of(group);
    if (!names) return;
    for (const snapshot_file::Name& name : *names) {
      if (name.last.index < mark.last.index) drop(path(snapshot_file::name(name)));
    }
  }

  Result<void> drop_all(GroupId group) override {
    if (saving_.contains(group)) {
      return fail(ErrorCode::busy, fmt::format("a snapshot of group {} is being written", group));
    }
    const auto names = names_of(group);
    if (!names) return fail(names.error());
    for (const snapshot_file::Name& name : *names) {
      const std::string file = path(snapshot_file::name(name));
      suspects_.erase(file);
      if (auto removed = disk_.remove(file); !removed) return removed;
    }
    return names->empty() ? Result<void>{} : disk_.sync_directory(folder_);
  }

  std::vector<ColdFile> files() override {
    std::vector<ColdFile> files;
    const auto listed = disk_.list(folder_);
    if (!listed) return files;
    for (const std::string& text : *listed) {
      const auto name = snapshot_file::parse_name(text);
      if (!name) continue;
      files.push_back({.kind = ColdFile::Kind::snapshot, .path = path(text), .group = name->group});
    }
    return files;
  }

  void suspect(GroupId group, const Position& last) override {
    suspects_.insert(path(snapshot_file::name({group, last})));
  }

  void retire(GroupId group, const Position& last) override {
    suspect(group, last);
    drop(path(snapshot_file::name({group, last})));
  }

 private:
  struct Saving {
    SnapshotMark mark;
    SnapshotDataPtr data;
    RunningChecksum sum;  // of the data that were handed to the disk, and of the first piece's
    std::uint64_t header_bytes = 0;
    std::uint64_t next = 0;   // where the next piece begins in the file; 0: none was begun
    bool header_out = false;  // with it, all is handed to the disk
    FileId file;
    IoToken awaited;  // the sync behind the newest piece

    [[nodiscard]] std::uint64_t file_bytes() const { return header_bytes + data->size(); }
  };

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  void drop(const std::string& file) {
    if (suspects_.erase(file) > 0) {
      (void)set_aside(disk_, file, damaged_bytes_max_);
    } else {
      (void)disk_.remove(file);
    }
  }

  // The second piece comes first and the first one last: it has the header, which says the checksum of all.
  Result<void> begin_piece(GroupId group, Saving& saving) {
    const std::uint64_t first_end = std::min<std::uint64_t>(piece_bytes, saving.file_bytes());
    const std::uint64_t first_data = first_end - saving.header_bytes;
    if (saving.next == 0) {
      Bytes first;
      if (auto copied = saving.data->copy(0, first_data, first); !copied) return copied;
      saving.sum.add(first);
      saving.next = first_end;
    }
    if (saving.next == saving.file_bytes()) {
      Bytes first = snapshot_file::header(group, saving.mark, saving.data->size(), saving.sum.value());
      if (auto copied = saving.data->copy(0, first_data, first); !copied) return copied;
      saving.header_out = true;
      write(saving, 0, std::move(first));
      return {};
    }
    const std::uint64_t from = saving.next;
    saving.next = std::min<std::uint64_t>(from + piece_bytes, saving.file_bytes());
    Bytes piece;
    piece.reserve(saving.next - from);
    if (auto copied = saving.data->copy(from - saving.header_bytes, saving.next - from, piece); !copied) return copied;
    saving.sum.add(piece);
    write(saving, from, std::move(piece));
    return {};
  }

  void write(Saving& saving, std::uint64_t offset, Bytes piece) {
    const IoToken written(snapshot_token_base | ++last_token_);
    const IoToken synced(snapshot_token_base | ++last_token_);
    saving.awaited = planted(Bug::snapshot_named_before_whole) ? written : synced;
    disk_.write_then_sync(saving.file, offset, std::move(piece), written, synced);
  }

  Result<void> finish(GroupId group, const Saving& saving) {
    disk_.close(saving.file);
    const std::string name = path(snapshot_file::name({group, saving.mark.last}));
    if (suspects_.contains(name)) drop(name);
    auto renamed = disk_.rename(path(snapshot_file::unfinished_name(group, saving.mark)), name);
    if (!renamed) return renamed;
    return disk_.sync_directory(folder_);
  }

  // Ascending by place.
  Result<std::vector<snapshot_file::Name>> names_of(GroupId group) {
    auto listed = disk_.list(folder_);
    if (!listed) return fail(std::move(listed.error()));
    std::vector<snapshot_file::Name> names;
    for (const std::string& text : *listed) {
      const auto name = snapshot_file::parse_name(text);
      if (name && name->group == group) names.push_back(*name);
    }
    std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) {
      return std::pair(a.last.index, a.last.epoch) < std::pair(b.last.index, b.last.epoch);
    });
    return names;
  }

  Result<Snapshot> read(const snapshot_file::Name& name) {
    const std::string file = path(snapshot_file::name(name));
    auto bytes = disk_.read(file, 0, std::numeric_limits<std::uint64_t>::max());
    if (!bytes) return fail(std::move(bytes.error()));
    auto snapshot = snapshot_file::decode(*bytes, name);
    if (!snapshot) return fail(snapshot.error().code, fmt::format("{}: {}", file, snapshot.error().message));
    return snapshot;
  }

  Disk& disk_;
  std::string folder_;
  std::uint64_t damaged_bytes_max_;
  std::set<std::string> suspects_;  // paths, damaged
  std::map<GroupId, Saving> saving_;
  std::uint64_t last_token_ = 0;
  std::optional<Error> failure_;
};

}  // namespace

Result<std::unique_ptr<SnapshotStore>> SnapshotStore::open(Disk& disk, std::string folder,
                                                           std::uint64_t damaged_bytes_max) {
  auto store = std::make_unique<FileSnapshotStore>(disk, std::move(folder), damaged_bytes_max);
  if (auto started = store->start(); !started) return fail(std::move(started.error()));
  return store;
}

}  // namespace assent
