// Data at rest that cannot be read: looked for, replaced, and made again from what is left (docs/OPERATIONS.md).
#include <fmt/format.h>

#include <iterator>

#include "node/node_loop.h"
#include "storage/damaged_files.h"
#include "storage/snapshot_file.h"

namespace assent {

// ---- at a start ----

// What is in its database is in log and snapshots as well.
Result<std::unique_ptr<Application>> NodeLoop::open_application(const GroupConfig& group) {
  auto application = applications_(group);
  if (application || application.error().code != ErrorCode::corruption || !config_.application_files) {
    return application;
  }
  recovery_.damages.push_back(application.error().message);
  if (auto aside = set_data_aside(group); !aside) return fail(aside.error());
  return applications_(group);
}

Result<void> NodeLoop::set_data_aside(const GroupConfig& group) {
  if (!config_.application_files) return {};
  Disk& disk = config_.application_disk == nullptr ? disk_ : *config_.application_disk;
  for (const std::string& path : config_.application_files(group)) {
    if (!disk.size(path)) continue;  // there is none
    if (auto aside = set_aside(disk, path, config_.wal.damaged_bytes_max); !aside) return aside;
  }
  return {};
}

// What its log goes on from cannot be read, so that all it has is of no use (node/leaving.h). Not begun.
void NodeLoop::give_up(const GroupConfig& group, const LogSetup& setup, const Error& why) {
  const DurableLog& log = setup.durable;
  const Position end =
      log.entries.empty() ? log.snapshot.last : Position{log.entries.back()->epoch, log.entries.back()->index};
  GroupUpdate& update = batch_.updates.emplace_back();
  update.group = group.id;
  if (!log.hard_state.empty()) update.hard_state = log.hard_state;
  update.left = leaving_.give_up(group.id, std::max(end, setup.left), batch_.ticket);
  recovery_.groups[group.id] = DurableLog{log.hard_state, {}, {}};
  recovery_.lost_places[group.id] = update.left->place;
  recovery_.lost[group.id] = {Index(1), update.left->place};
  recovery_.damages.push_back(why.message);
  if (observer_.remade) observer_.remade(group);
}

// ---- while it runs ----

// Groups whose database is damaged are begun anew, as by a start of the node, without it: log and snapshot have all
// that is in it. What was gathered and is not with the disk yet is dropped, as by a crash.
void NodeLoop::remake_data() {
  if (remaking_.empty() || !wal_->idle()) return;
  for (const GroupId id : std::exchange(remaking_, {})) {
    Group* const group = find(id);
    if (group == nullptr) continue;
    if (!group->has_damaged_data()) {
      group->halt({ErrorCode::corruption, "its database is damaged and is made again", {}});
    }
    if (auto done = group->give_up_making(); !done) return check(done);
    if (!group->may_part()) {
      remaking_.insert(id);
      continue;
    }
    const GroupConfig config = group->config();
    for (GroupUpdate& update : batch_.updates) {
      if (update.group != id) continue;
      update = GroupUpdate();
      update.group = id;
    }
    recovery_.groups[id] = wal_->log_of(id);
    drop(*group);
    if (auto aside = set_data_aside(config); !aside) return check(aside);
    if (observer_.remade) observer_.remade(config);
    add_running(config);
  }
}

std::vector<ColdFile> NodeLoop::cold_files() const {
  std::vector<ColdFile> files = wal_->closed();
  std::vector<ColdFile> snapshots = snapshots_->files();
  std::move(snapshots.begin(), snapshots.end(), std::back_inserter(files));
  return files;
}

bool NodeLoop::repair(const ColdFile& file) {
  if (failure_) return false;
  if (file.kind == ColdFile::Kind::segment) {
    const std::vector<ColdFile> closed = wal_->closed();
    if (std::find(closed.begin(), closed.end(), file) == closed.end()) return false;
    wal_->renew(file.segment);
    return true;
  }
  if (file.kind == ColdFile::Kind::other) {
    if (find(file.group) == nullptr || !config_.application_files) return false;
    remaking_.insert(file.group);
    return true;
  }
  const auto name = snapshot_file::parse_name(file.path.substr(file.path.rfind('/') + 1));
  Group* group = file.kind == ColdFile::Kind::snapshot && name ? find(name->group) : nullptr;
  if (group == nullptr) return false;  // nobody here could make another
  group->snapshot_damaged(name->last);
  return true;
}

std::string describe_lost(const LostEntries& lost) {
  const Index last = lost.end.index;
  return lost.first == last ? fmt::format("entry {}", last) : fmt::format("entries {} to {}", lost.first, last);
}

std::string describe_lost(const GroupStatus& status) {
  if (!status.lost) return {};
  // Replaced in part, or by others that may lead later.
  return describe_lost(LostEntries{std::min(status.log.last.next(), status.lost->index), *status.lost});
}

}  // namespace assent
