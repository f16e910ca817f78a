// Which groups a node carries: those that it founds or has on its disk, those that it is taken into, until it left.
#include <fmt/format.h>

#include "base/digest.h"
#include "base/protocol_level.h"
#include "node/node_loop.h"

namespace assent {
namespace {

bool founds(const GroupConfig& group, const Member& self) {
  if (!group.founders.empty()) {
    return std::find(group.founders.begin(), group.founders.end(), self) != group.founders.end();
  }
  return std::find(group.members.begin(), group.members.end(), self.node) != group.members.end();
}

}  // namespace

// ---- begun ----

// The application's own data may lie behind the log's snapshot, when its last writes were lost: the snapshot is
// restored. It may also lie ahead of the log's durable end (node/group.h says why that is legal).
Result<void> NodeLoop::add_group(const GroupConfig& group) {
  LogSetup setup{.self = config_.self,
                 .group = group.id,
                 .members = group.members,
                 .seed = Digest().add(config_.seed).add(config_.self).add(group.id).value(),
                 .durable = {},
                 .incarnation = config_.disk,
                 .founders = group.founders,
                 .left = leaving_.place(group.id)};
  if (const auto found = recovery_.groups.find(group.id); found != recovery_.groups.end()) {
    setup.durable = DurableLog{found->second.hard_state, found->second.snapshot, std::move(found->second.entries)};
    found->second.entries.clear();
  }
  auto log = logs_(setup);
  if (!log) {
    return fail(
        log.error().code,
        fmt::format("group {}: the log in {} is not one that this node can go on with: {}; it cannot know what it "
                    "promised, so it does not take part",
                    group.name, config_.wal.folder, log.error().message));
  }
  auto application = open_application(group);
  if (!application) return fail(application.error());
  const Index snapshot = setup.durable.snapshot.last.index;
  std::optional<Error> newer;  // a newer program wrote the snapshot
  if ((*application)->applied() < snapshot) {
    const auto newest = snapshots_->newest(group.id);
    if (!newest && newest.error().code != ErrorCode::corruption) return fail(newest.error());
    if (!newest || !newest->has_value() || (*newest)->mark.last.index < snapshot) {
      const std::string why = newest ? "it is missing" : newest.error().message;
      give_up(group, setup,
              {ErrorCode::corruption,
               fmt::format("group {}: the log begins after entry {}, and the snapshot up to there cannot be read: {}",
                           group.name, snapshot, why),
               {}});
      return {};
    }
    if (auto done = (*application)->restore((*newest)->mark, (*newest)->data); !done) {
      if (done.error().code != ErrorCode::unsupported) return fail(done.error());
      newer = done.error();
    }
  }
  groups_.try_emplace(group.id, group, config_.self, std::move(*log), std::move(*application), snapshot,
                      Group::Shared{peers_,
                                    router_,
                                    *snapshots_,
                                    transport_,
                                    observer_,
                                    watcher_,
                                    released_,
                                    dirty_,
                                    waiting_on_disk_,
                                    now_ticks_,
                                    now_micros_,
                                    risen_,
                                    let_go_,
                                    alarms_,
                                    making_,
                                    config_.snapshot_every,
                                    config_.limits.snapshot_log_bytes,
                                    config_.limits.snapshot_step_bytes,
                                    config_.limits.stale_read_ticks_max,
                                    config_.levels,
                                    config_.limits.let_go_ticks,
                                    config_.application_files != nullptr});
  find(group.id)->remember(setup.durable.hard_state);
  const std::uint32_t applied_level = config_.levels == nullptr ? 0 : config_.levels->level(group.id);
  if (!newer && applied_level > protocol_level()) {
    newer = Error{ErrorCode::unsupported,
                  fmt::format("group {}: a program of protocol level {} has applied what this one of level {} does not "
                              "know",
                              group.name, applied_level, protocol_level()),
                  {}};
  }
  if (newer) find(group.id)->halt(*newer);
  return {};
}

bool NodeLoop::carries(const GroupConfig& group) const {
  if (!owns(group.id)) return false;
  const auto found = recovery_.groups.find(group.id);
  if (!leaving_.left(group.id)) return found != recovery_.groups.end() || founds(group, {config_.self, config_.disk});
  return found != recovery_.groups.end() &&
         (!found->second.snapshot.last.index.none() || !found->second.entries.empty());
}

Result<void> NodeLoop::add_groups() {
  for (const auto& [id, log] : recovery_.groups) {
    if (owns(id)) continue;
    return fail(ErrorCode::refused,
                fmt::format("the log in {} of loop {} holds group {}, which belongs to loop {} of {}: it was written "
                            "by a node with another number of loops; start with that one",
                            config_.wal.folder, config_.loop, id, loop_of(id, config_.loops), config_.loops));
  }
  for (const GroupConfig& group : config_.groups) {
    if (carries(group)) {
      if (auto done = add_group(group); !done) return done;
    } else if (leaving_.left(group.id)) {
      if (auto done = remove_files(group.id); !done) return done;
    }
  }
  return {};
}

const GroupConfig* NodeLoop::known(GroupId id) const {
  const auto config = std::find_if(config_.groups.begin(), config_.groups.end(),
                                   [id](const GroupConfig& group) { return group.id == id; });
  return config == config_.groups.end() ? nullptr : &*config;
}

Group* NodeLoop::find_or_add(GroupId id) {
  if (Group* group = find(id)) return group;
  if (!owns(id)) return nullptr;
  const GroupConfig* const config = known(id);
  if (config == nullptr || failure_ || leaving_.going(id)) return nullptr;
  return add_running(*config);
}

Group* NodeLoop::add_running(const GroupConfig& config) {
  const auto added = add_group(config);
  check(added);
  Group* const group = find(config.id);
  if (!added || group == nullptr) return nullptr;
  group->application().watch(watcher_);
  if (!shards_.empty()) group->know_shards(shards_);
  return group;
}

// ---- groups that this node left (node/leaving.h) ----

// Those who know of no leader, and one more in turn, which may be asleep.
void NodeLoop::ask_whether_left() {
  if (!config_.leaves || groups_.empty()) return;
  for (const Group* group : awake_) {
    if (group->leader().none()) ask_whether_left(*group);
  }
  auto next = groups_.upper_bound(asked_);
  if (next == groups_.end()) next = groups_.begin();
  asked_ = next->first;
  if (!next->second.leader().none()) ask_whether_left(next->second);
}

void NodeLoop::ask_whether_left(const Group& group) {
  if (group.leads()) return;
  const GroupId id = group.config().id;
  const auto ask = [&](NodeId node) {
    const auto told = peer_levels_.find(node);
    if (told == peer_levels_.end() || told->second < belong_level) return;
    peers_.queue(node, BelongItem{id, config_.disk});
  };
  const NodeId leader = router_.leader(id).node;
  if (!leader.none() && leader != config_.self) return ask(leader);
  for (const NodeId node : router_.route(id)) ask(node);
}

void NodeLoop::on_item(NodeId from, const BelongItem& item) {
  const Group* group = find(item.group);
  if (group == nullptr || !group->leads()) return;
  const LogStatus log = group->log();
  if (!has_left(log, group->application().applied(), {from, item.member})) return;
  peers_.queue(from, LeftItem{item.group, item.member, {log.leadership.epoch, log.committed}});
}

void NodeLoop::on_item(NodeId /*from*/, const LeftItem& item) {
  Group* group = find(item.group);
  if (group == nullptr || !config_.leaves || item.member != config_.disk) return;
  if (group->may_part() && leaving_.believes(group->log(), item)) leave(*group, item);
}

// What was gathered for the log goes but for term and vote, and messages that wait for it are not sent.
void NodeLoop::leave(Group& group, const LeftItem& answer) {
  const GroupConfig config = group.config();
  const auto waits = std::find_if(batch_.updates.begin(), batch_.updates.end(),
                                  [&config](const GroupUpdate& update) { return update.group == config.id; });
  GroupUpdate& update = waits != batch_.updates.end() ? *waits : batch_.updates.emplace_back();
  update = GroupUpdate();
  update.group = config.id;
  if (!group.hard_state().empty()) update.hard_state = group.hard_state();
  update.left = leaving_.begin(group.log(), answer, batch_.ticket);
  recovery_.groups[config.id] = DurableLog{group.hard_state(), {}, {}};
  drop(group);
  if (observer_.left) observer_.left(config);
  remove_what_left();
}

// It is owed nothing any more, and what it still owes is answered.
void NodeLoop::drop(Group& group) {
  const GroupId id = group.config().id;
  for (ClientReply& reply : group.part()) {
    --unanswered_;
    replies_.push_back(std::move(reply));
  }
  for (auto* list : {&dirty_, &waiting_on_disk_, &news_, &awake_, &risen_, &making_, &round_})
    std::erase(*list, &group);
  std::erase_if(alarms_, [id](const auto& alarm) { return alarm.second == id; });
  std::erase_if(let_go_, [&group](const Group::LetGoTurn& turn) { return turn.group == &group; });
  groups_.erase(id);
}

void NodeLoop::remove_what_left() {
  for (const GroupId id : leaving_.logged(released_)) {
    if (auto done = remove_files(id); !done) return check(done);
    leaving_.end(id);
  }
}

// Whatever of it is there: a crash may have left any part.
Result<void> NodeLoop::remove_files(GroupId id) {
  if (auto done = snapshots_->drop_all(id); !done) return done;
  const GroupConfig* const config = known(id);
  if (config == nullptr || !config_.application_files) return {};
  Disk& disk = config_.application_disk == nullptr ? disk_ : *config_.application_disk;
  std::set<std::string> folders;
  for (const std::string& path : config_.application_files(*config)) {
    const auto removed = disk.remove(path);
    if (!removed && removed.error().code != ErrorCode::not_found) return removed;
    if (removed) folders.insert(path.substr(0, path.rfind('/')));
  }
  for (const std::string& folder : folders) {
    if (auto synced = disk.sync_directory(folder); !synced) return synced;
  }
  return {};
}

}  // namespace assent
