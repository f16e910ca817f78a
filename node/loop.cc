#include "node/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/protocol_level.h"
#include "node/frame.h"
#include "node/group.h"
#include "node/leaving.h"
#include "node/loop_placement.h"
#include "node/peers.h"
#include "node/router.h"
#include "node/txn_watcher.h"
#include "storage/damaged_files.h"
#include "storage/snapshot_file.h"
#include "storage/snapshot_store.h"
#include "txn_proto/wire_codec.h"

namespace assent {
namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

std::vector<NodeId> nodes_of(const NodeConfig& config) {
  std::vector<NodeId> nodes = config.nodes;
  for (const GroupConfig& group : config.groups) nodes.insert(nodes.end(), group.members.begin(), group.members.end());
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

bool founds(const GroupConfig& group, const Member& self) {
  if (!group.founders.empty()) {
    return std::find(group.founders.begin(), group.founders.end(), self) != group.founders.end();
  }
  return std::find(group.members.begin(), group.members.end(), self.node) != group.members.end();
}

// Ascending by id: what the groups do in one step is the same however they came to be listed.
void in_order(std::vector<Group*>& groups) {
  std::sort(groups.begin(), groups.end(),
            [](const Group* a, const Group* b) { return a->config().id < b->config().id; });
}

// Between two times that this node says which map it goes by.
constexpr std::uint64_t map_ticks = 100;
// For so long a node is believed that told how many groups it leads.
constexpr std::uint64_t leads_ticks_max = 300;

class NodeLoop final : public Loop {
 public:
  NodeLoop(const NodeConfig& config, Disk& disk, Transport& transport, Clock& clock, std::unique_ptr<Wal> wal,
           std::unique_ptr<SnapshotStore> snapshots, WalRecovery recovery, LogFactory logs,
           ApplicationFactory applications)
      : config_(config),
        disk_(disk),
        transport_(transport),
        clock_(clock),
        wal_(std::move(wal)),
        snapshots_(std::move(snapshots)),
        recovery_(std::move(recovery)),
        logs_(std::move(logs)),
        applications_(std::move(applications)),
        router_(config.self, config.groups, nodes_of(config), {config.loop, config.loops}),
        peers_(config.self, config.incarnation, nodes_of(config), config.limits, config.loops > 1),
        leaving_(recovery_.left, recovery_.lost_places) {
    batch_.ticket = wal_->durable() + 1;
    now_micros_ = clock_.alive_micros();
  }
  NodeLoop(const NodeLoop&) = delete;
  NodeLoop& operator=(const NodeLoop&) = delete;

  // Those that this node carries from the start.
  [[nodiscard]] Result<void> add_groups();

  void handle(Event event) override {
    if (failure_) return;
    now_micros_ = clock_.alive_micros();
    std::visit(Overloaded{
                   [this](const FrameReceived& received) { on_frame(received); },
                   [this](SnapshotReceived& received) { on_snapshot(received); },
                   [this](const SnapshotSendEnded& ended) {
                     if (Group* group = find(ended.group)) group->snapshot_sent(ended.to, ended.delivered);
                   },
                   [](const TransportReady&) {},  // flush() asks the transport
                   [this](const DiskProgress&) { on_disk(); },
                   [this](const ClientRequest& request) { on_request(request); },
                   [this](const ServiceAnswered& answered) {
                     Group* group = find(answered.to);
                     if (group != nullptr && group->leads()) group->receive(answered.from, encode(answered.message));
                   },
                   [this](const PeerTold& told) { peer_levels_[told.from] = told.level; },
                   [this](const TransferLeadership& transfer) {
                     if (Group* group = find(transfer.group)) group->transfer_leadership(transfer.to);
                   },
               },
               event);
  }

  void tick() override {
    if (failure_) return;
    ++now_ticks_;
    now_micros_ = clock_.alive_micros();
    router_.tick();
    peers_.tick(transport_);
    wake_groups();
    for (Group* group : awake_) group->tick();
    std::erase_if(awake_, [](Group* group) { return group->rest(); });
    let_go();
    if (now_ticks_ % map_ticks == 0) say_map();
    shorten_logs();
    if (now_ticks_ % map_ticks == 0 && !level_command().empty()) write_level_commands();
    say_leads();
    if (now_ticks_ % belong_ticks == 0) ask_whether_left();
  }

  void flush() override {
    std::size_t step = 0;
    now_micros_ = clock_.alive_micros();
    step_snapshot();
    do {
      for (; step < config_.limits.flush_steps_max && collect_dirty(); ++step) {
        for (Group* group : round_) drain(*group);
        for (Group* group : round_) group->gather(batch_);
        send();  // appends travel while this node syncs, acknowledgements while it applies
        submit();
        if (start_disk()) send();
        for (Group* group : round_) advance(*group);
      }
      submit();
    } while (start_disk());
    send();
    if (!failure_) remake_data();
  }

  [[nodiscard]] bool has_more() const override { return !failure_ && !making_.empty(); }
  [[nodiscard]] Result<Position> change_membership(GroupId group, std::span<const MemberChange> changes) override;
  [[nodiscard]] Result<Position> propose(GroupId group, Bytes command) override;
  void adopt(const std::vector<NodeId>& nodes, const std::vector<GroupConfig>& groups) override;
  void know_shards(const std::vector<GroupId>& shards) override;
  void announce(MapNews news) override;
  [[nodiscard]] std::map<NodeId, std::uint64_t> leads() const override;
  void leads_besides(std::uint64_t groups) override { leads_besides_ = groups; }
  [[nodiscard]] std::vector<Sight> sights(GroupId group, const SightQuestion& question) const override;
  [[nodiscard]] std::optional<MapNews> take_map_news() override { return std::exchange(heard_, std::nullopt); }
  [[nodiscard]] std::vector<ClientReply> take_replies() override { return std::exchange(replies_, {}); }
  [[nodiscard]] std::vector<ServiceCall> take_calls() override { return std::exchange(calls_, {}); }
  [[nodiscard]] std::optional<Error> failure() const override { return failure_; }
  [[nodiscard]] std::vector<GroupStatus> status() const override;
  [[nodiscard]] std::vector<GroupStatus> take_news() override;
  [[nodiscard]] LoopStatistics statistics() const override;
  [[nodiscard]] Result<std::uint64_t> application_digest(GroupId group) override;
  [[nodiscard]] const WalRecovery& recovery() const override { return recovery_; }
  [[nodiscard]] std::vector<ColdFile> cold_files() const override;
  bool repair(const ColdFile& file) override;
  void scrubbed(ScrubStatus status) override { statistics_.scrub = std::move(status); }
  void observe(Observer observer) override { observer_ = std::move(observer); }
  void watch(TxnWatcher* watcher) override {
    watcher_ = watcher;
    for (auto& [id, group] : groups_) group.application().watch(watcher);
  }
  [[nodiscard]] const Application* application(GroupId group) const override;

 private:
  Group* find(GroupId id) {
    const auto found = groups_.find(id);
    return found == groups_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const GroupConfig* known(GroupId id) const;
  [[nodiscard]] Result<void> add_group(const GroupConfig& group);
  [[nodiscard]] Result<std::unique_ptr<Application>> open_application(const GroupConfig& group);
  [[nodiscard]] Result<void> set_data_aside(const GroupConfig& group);
  void give_up(const GroupConfig& group, const LogSetup& setup, const Error& why);
  void drop(Group& group);
  void remake_data();
  // Its loop is this one.
  [[nodiscard]] bool owns(GroupId group) const { return loop_of(group, config_.loops) == config_.loop; }
  // Founds it, or has it on its disk.
  [[nodiscard]] bool carries(const GroupConfig& group) const;
  // Where its log ended when entries of it were lost to damage; the beginning when none were.
  [[nodiscard]] Position lost_place(GroupId group) const {
    const auto found = recovery_.lost_places.find(group);
    return found == recovery_.lost_places.end() ? Position{} : found->second;
  }
  Group* add_running(const GroupConfig& group);
  // Also one that this node has only now been taken into; null when the cluster has none of this id, or when what this
  // node kept of it is not gone yet.
  Group* find_or_add(GroupId id);
  void ask_whether_left();
  void ask_whether_left(const Group& group);
  void leave(Group& group, const LeftItem& answer);
  void remove_what_left();
  [[nodiscard]] Result<void> remove_files(GroupId id);
  void check(const Result<void>& result) {
    if (!result && !failure_) failure_ = result.error();
  }
  // The groups of the next round, ascending; false when there is nothing to do or nothing more may be done.
  [[nodiscard]] bool collect_dirty();
  void step_snapshot();
  void shorten_logs();
  void wake_groups();
  void let_go();
  void drain(Group& group);
  void deliver(Group& from, const GroupMessage& message);
  void submit();
  [[nodiscard]] bool start_disk();
  void send() {
    if (!failure_) peers_.send(transport_);
  }
  void advance(Group& group) {
    if (failure_) return;
    check(group.advance(clock_.wall()));
    if (group.has_damaged_data()) remaking_.insert(group.config().id);
  }

  void on_frame(const FrameReceived& received);
  void on_item(NodeId from, const ConsensusItem& item);
  void on_item(NodeId from, const MessageItem& item);
  void on_item(NodeId from, const HintItem& item);
  void on_item(NodeId from, const MapItem& item);
  void on_item(NodeId from, const BelongItem& item);
  void on_item(NodeId from, const LeftItem& item);
  void on_item(NodeId from, const LeadsItem& item) { heard_leads_[from] = {item.groups, now_ticks_}; }
  void say_map();
  [[nodiscard]] std::uint64_t own_leads() const;
  void say_leads();
  [[nodiscard]] std::uint32_t level_of(const Membership& members) const;
  void write_level_commands();
  [[nodiscard]] GroupStatus completed(GroupStatus status) const {
    status.level = level_of(status.log.members);
    const Position lost = lost_place(status.config.id);
    if (Position{status.log.last_epoch, status.log.last} < lost) status.lost = lost;
    return status;
  }
  void on_snapshot(SnapshotReceived& received);
  void on_disk();
  void on_request(const ClientRequest& request);
  void refuse_busy(RequestId id) {
    replies_.push_back({id, fail(ErrorCode::busy, "this node has as many unanswered requests as it may; retry")});
  }

  NodeConfig config_;
  Disk& disk_;
  Transport& transport_;
  Clock& clock_;
  std::unique_ptr<Wal> wal_;
  std::unique_ptr<SnapshotStore> snapshots_;
  WalRecovery recovery_;
  LogFactory logs_;
  ApplicationFactory applications_;
  Router router_;
  Peers peers_;
  Leaving leaving_;
  GroupId asked_;  // the last one whose turn it was to ask whether it left
  Observer observer_;
  TxnWatcher* watcher_ = nullptr;
  std::vector<Group*> dirty_;            // with something to do, each once
  std::vector<Group*> waiting_on_disk_;  // the same
  std::vector<Group*> news_;             // for take_news()
  std::uint64_t now_ticks_ = 0;
  std::uint64_t now_micros_ = 0;
  std::vector<Group*> awake_;            // ascending; all others rest
  std::vector<Group*> risen_;            // awake as well
  std::deque<Group::LetGoTurn> let_go_;  // each group once
  std::set<std::pair<std::uint64_t, GroupId>> alarms_;
  std::vector<Group*> making_;  // snapshots, in steps
  std::set<GroupId> remaking_;  // whose database is damaged
  std::map<GroupId, Group> groups_;
  std::vector<GroupId> shards_;
  MapNews map_;                   // that this node goes by
  std::optional<MapNews> heard_;  // newer, and not taken yet
  struct Leads {
    std::uint64_t groups = 0;
    std::uint64_t heard = 0;  // tick
  };
  std::map<NodeId, Leads> heard_leads_;
  std::uint64_t said_leads_ = 0;
  std::uint64_t leads_besides_ = 0;
  std::map<NodeId, std::uint32_t> peer_levels_;  // as last told

  Batch batch_;
  Wal::Ticket released_ = 0;      // the newest ticket whose completion the groups know of
  std::vector<Group*> round_;     // scratch
  std::vector<FrameItem> items_;  // scratch
  std::vector<ClientReply> replies_;
  std::vector<ServiceCall> calls_;
  std::size_t unanswered_ = 0;
  std::optional<Error> failure_;
  LoopStatistics statistics_;
};

// ---- recovery ----

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

// ---- a cluster that changes ----

void NodeLoop::adopt(const std::vector<NodeId>& nodes, const std::vector<GroupConfig>& groups) {
  if (failure_) return;
  router_.nodes(nodes);
  peers_.set(nodes);
  for (const GroupConfig& group : groups) {
    if (router_.knows(group.id)) continue;
    config_.groups.push_back(group);
    router_.members(group.id, group.members);
    if (carries(group)) add_running(group);
  }
}

void NodeLoop::know_shards(const std::vector<GroupId>& shards) {
  shards_ = shards;
  for (auto& [id, group] : groups_) group.know_shards(shards_);
}

void NodeLoop::announce(MapNews news) {
  if (news.epoch <= map_.epoch) return;
  map_ = std::move(news);
  say_map();
}

void NodeLoop::say_map() {
  if (map_.epoch == 0) return;  // who never heard of one may be a program that does not know what this is
  for (const NodeId peer : peers_.all()) peers_.queue(peer, MapItem{map_.epoch, {}});
}

std::uint64_t NodeLoop::own_leads() const {
  const auto here = std::count_if(groups_.begin(), groups_.end(), [](const auto& one) { return one.second.leads(); });
  return leads_besides_ + static_cast<std::uint64_t>(here);
}

void NodeLoop::say_leads() {
  if (!config_.tells_leads) return;
  const std::uint64_t now = own_leads();
  if (now == said_leads_ && now_ticks_ % map_ticks != 0) return;
  said_leads_ = now;
  for (const NodeId peer : peers_.all()) peers_.queue(peer, LeadsItem{now});
}

// Who has told nothing may have none.
std::uint32_t NodeLoop::level_of(const Membership& members) const {
  std::uint32_t lowest = config_.level;
  for (const NodeId node : members.nodes()) {
    if (node == config_.self) continue;
    const auto told = peer_levels_.find(node);
    lowest = std::min(lowest, told == peer_levels_.end() ? 0 : told->second);
  }
  return lowest;
}

void NodeLoop::write_level_commands() {
  for (auto& [id, group] : groups_) {
    if (group.leads() && level_of(group.status().log.members) >= protocol_level()) {
      group.write_level_command(clock_.wall());
    }
  }
}

std::map<NodeId, std::uint64_t> NodeLoop::leads() const {
  std::map<NodeId, std::uint64_t> all{{config_.self, own_leads()}};
  for (const auto& [node, leads] : heard_leads_) {
    if (peers_.knows(node) && now_ticks_ - leads.heard <= leads_ticks_max) all[node] = leads.groups;
  }
  return all;
}

void NodeLoop::on_item(NodeId from, const MapItem& item) {
  if (item.epoch < map_.epoch) return peers_.queue(from, MapItem{map_.epoch, map_.map});
  if (item.epoch == map_.epoch) return;
  if (item.map.empty()) return peers_.queue(from, MapItem{map_.epoch, {}});  // to be told
  if (!heard_ || heard_->epoch < item.epoch) heard_ = MapNews{item.epoch, Bytes(item.map)};
}

// ---- the round ----

bool NodeLoop::collect_dirty() {
  round_.clear();
  if (failure_) return false;
  round_.swap(dirty_);
  in_order(round_);
  for (Group* group : round_) {
    if (group->makes_news()) news_.push_back(group);
  }
  return !round_.empty();
}

// A group that is asked seldom and has few entries would keep the segments of all others until it had enough for a
// snapshot of its own.
void NodeLoop::shorten_logs() {
  const auto holder = wal_->take_holder(config_.limits.wal_bytes_max);
  Group* const group = holder ? find(*holder) : nullptr;
  if (group != nullptr) group->shorten_log();
}

// Of one group in each flush: however many are due, the loop stands still for one step.
void NodeLoop::step_snapshot() {
  if (failure_ || making_.empty()) return;
  Group* const group = making_.front();
  making_.erase(making_.begin());
  const auto more = group->step_snapshot();
  if (!more) {
    failure_ = more.error();
  } else if (*more) {
    making_.push_back(group);
  }
}

// Those whose time it is, and those who miss somebody; and whoever has risen since the last tick is ticked again.
void NodeLoop::wake_groups() {
  while (!alarms_.empty() && alarms_.begin()->first <= now_ticks_) find(alarms_.begin()->second)->rise();
  for (const NodeId node : peers_.take_gone()) {
    for (auto& [id, group] : groups_) group.node_gone(node);
  }
  if (risen_.empty()) return;
  awake_.insert(awake_.end(), risen_.begin(), risen_.end());
  risen_.clear();
  in_order(awake_);
}

// A few at a time: a thousand groups may fall asleep at one tick.
void NodeLoop::let_go() {
  for (std::size_t i = 0; i < config_.limits.let_go_per_tick_max && !failure_; ++i) {
    if (let_go_.empty() || let_go_.front().tick > now_ticks_) return;
    Group* const group = let_go_.front().group;
    let_go_.pop_front();
    const auto done = group->let_go();
    if (!done) failure_ = done.error();
    if (done && *done) ++statistics_.let_go;
  }
}

void NodeLoop::drain(Group& group) {
  Outbox outbox = group.drain(clock_.wall());
  unanswered_ -= outbox.replies.size();
  std::move(outbox.replies.begin(), outbox.replies.end(), std::back_inserter(replies_));
  std::move(outbox.calls.begin(), outbox.calls.end(), std::back_inserter(calls_));
  for (const GroupMessage& message : outbox.messages) deliver(group, message);
}

// To the group's leader, wherever it may be. When that is here, the message is in its hands before this returns.
void NodeLoop::deliver(Group& from, const GroupMessage& message) {
  Group* local = find(message.to);
  if (local != nullptr && local->leads()) {
    ++statistics_.local_messages;
    local->receive(message.from, message.payload);
    return;
  }
  const std::span<const NodeId> route = router_.route(message.to);
  const bool here = route.size() == 1 && route.front() == config_.self && owns(message.to);
  if (route.empty() || here) {  // nobody to ask, or elected here and not ready yet
    ++statistics_.messages_dropped;
    return;
  }
  for (const NodeId to : route) {
    peers_.queue(to, MessageItem{message.from, message.to, from.epoch(), message.payload});
  }
}

void NodeLoop::submit() {
  const bool wanted = !batch_.updates.empty() || wal_->has_to_renew();
  if (failure_ || !wanted || !wal_->idle()) return;
  const auto ticket = wal_->submit(batch_.updates);
  if (!ticket) {
    failure_ = ticket.error();
    return;
  }
  if (watcher_ != nullptr) watcher_->submitted(*ticket);
  batch_.updates.clear();
  batch_.ticket = *ticket + 1;
}

// True when the disk was quick: what it had to do is done, and the groups have heard of it.
bool NodeLoop::start_disk() {
  if (failure_ || !disk_.start()) return false;
  on_disk();
  return !failure_;
}

// ---- events ----

void NodeLoop::on_frame(const FrameReceived& received) {
  ++statistics_.frames_received;
  const auto header = decode_frame(received.frame, items_);
  if (!header) {
    ++statistics_.frames_malformed;
    return;
  }
  if (!peers_.admit(received.from, *header)) {
    statistics_.messages_dropped += items_.size();
    return;
  }
  for (const FrameItem& item : items_) {
    std::visit([this, &received](const auto& one) { on_item(received.from, one); }, item);
  }
}

void NodeLoop::on_item(NodeId from, const ConsensusItem& item) {
  if (Group* group = find_or_add(item.group)) group->receive_consensus(from, item.bytes);
}

void NodeLoop::on_item(NodeId from, const MessageItem& item) {
  router_.hear(item.from, {item.epoch, from});
  Group* group = find(item.to);
  if (group != nullptr && group->leads()) {
    group->receive(item.from, item.payload);
    return;
  }
  ++statistics_.messages_dropped;
  const Router::Leader leader = router_.leader(item.to);
  if (leader.node.none() || leader.node == config_.self || leader.node == from) return;
  peers_.queue(from, HintItem{item.to, leader.epoch, leader.node});
}

void NodeLoop::on_item(NodeId, const HintItem& item) { router_.learn(item.group, {item.epoch, item.leader}); }

void NodeLoop::on_snapshot(SnapshotReceived& received) {
  if (!peers_.knows(received.from)) return;
  if (Group* group = find_or_add(received.transfer.group)) {
    check(group->receive_snapshot(received.from, std::move(received.transfer)));
  }
}

void NodeLoop::on_disk() {
  std::vector<SnapshotStore::Saved> saved;
  for (const IoCompletion& completion : disk_.poll()) {
    if (!wal_->completed(completion)) snapshots_->completed(completion, saved);
  }
  failure_ = wal_->failure() ? wal_->failure() : snapshots_->failure();
  if (failure_) return;
  for (const auto& [id, mark] : saved) {
    if (Group* group = find(id)) check(group->snapshot_saved(mark, batch_));
  }
  if (wal_->durable() == released_) return;
  released_ = wal_->durable();
  if (watcher_ != nullptr) watcher_->synced(released_);
  std::vector<Group*> waiting = std::exchange(waiting_on_disk_, {});
  in_order(waiting);
  std::erase_if(waiting, [this](Group* group) { return !group->durable(released_); });
  waiting_on_disk_.insert(waiting_on_disk_.end(), waiting.begin(), waiting.end());
  remove_what_left();
}

void NodeLoop::on_request(const ClientRequest& request) {
  Group* group = find(request.group);
  if (group == nullptr && !router_.knows(request.group)) {
    replies_.push_back({request.id, fail(ErrorCode::not_found, fmt::format("there is no group {}", request.group))});
  } else if (const auto* query = std::get_if<Query>(&request.body);
             group != nullptr && query != nullptr && query->max_staleness_micros) {
    if (unanswered_ >= config_.limits.client_requests_max) return refuse_busy(request.id);
    ++unanswered_;
    group->read_stale(request.id, *query);
  } else if (group == nullptr || !group->leads()) {
    // To tell it is to use it: nobody is told for ever what nobody confirms.
    static_cast<void>(router_.route(request.group));
    const NodeId leader = router_.leader(request.group).node;
    const bool elsewhere = leader != config_.self;  // elected here and not ready yet: nobody better to ask
    replies_.push_back({request.id, fail(ErrorCode::not_leader, "this node does not lead the group; ask its leader",
                                         elsewhere ? leader : NodeId{})});
  } else if (unanswered_ >= config_.limits.client_requests_max) {
    refuse_busy(request.id);
  } else {
    ++unanswered_;
    group->request(request);
  }
}

Result<Position> NodeLoop::change_membership(GroupId id, std::span<const MemberChange> changes) {
  Group* group = find(id);
  if (group == nullptr) return fail(ErrorCode::not_found, fmt::format("this node does not carry group {}", id));
  return group->change_membership(changes, clock_.wall());
}

Result<Position> NodeLoop::propose(GroupId id, Bytes command) {
  Group* group = find(id);
  if (group == nullptr) return fail(ErrorCode::not_found, fmt::format("this node does not carry group {}", id));
  if (!group->leads()) return fail(ErrorCode::not_leader, "this node does not lead the group", router_.leader(id).node);
  return group->propose(std::move(command), clock_.wall());
}

// ---- what others see ----

std::vector<GroupStatus> NodeLoop::status() const {
  std::vector<GroupStatus> all;
  for (const auto& [id, group] : groups_) all.push_back(completed(group.status()));
  return all;
}

std::vector<GroupStatus> NodeLoop::take_news() {
  std::vector<Group*> news = std::exchange(news_, {});
  in_order(news);
  std::vector<GroupStatus> all;
  all.reserve(news.size());
  for (Group* group : news) all.push_back(completed(group->tell_news()));
  return all;
}

LoopStatistics NodeLoop::statistics() const {
  LoopStatistics all = statistics_;
  all.frames_sent = peers_.counts().frames_sent;
  all.frame_bytes_sent = peers_.counts().frame_bytes_sent;
  all.messages_dropped += peers_.counts().messages_dropped;
  for (const auto& [id, group] : groups_) {
    all.snapshots_damaged += group.snapshots_damaged();
    all.snapshots_refused += group.snapshots_refused();
  }
  all.wal = wal_->statistics();
  return all;
}

// ---- damage at rest ----

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

Result<std::uint64_t> NodeLoop::application_digest(GroupId group) {
  Group* found = find(group);
  if (found == nullptr) return fail(ErrorCode::not_found, fmt::format("this node does not carry group {}", group));
  return found->application().digest();
}

std::vector<Sight> NodeLoop::sights(GroupId group, const SightQuestion& question) const {
  const auto found = groups_.find(group);
  if (found == groups_.end() || !found->second.leads()) return {};
  return found->second.application().sights(question);
}

const Application* NodeLoop::application(GroupId group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second.application();
}

}  // namespace

std::string describe_lost(const GroupStatus& status) {
  if (!status.lost) return {};
  const Index last = status.lost->index;
  const Index first = std::min(status.log.last.next(), last);  // replaced in part, or by others that may lead later
  return first == last ? fmt::format("entry {}", last) : fmt::format("entries {} to {}", first, last);
}

Result<std::unique_ptr<Loop>> Loop::open(const NodeConfig& config, Disk& disk, Transport& transport, Clock& clock,
                                         const LogFactory& logs, const ApplicationFactory& applications) {
  WalRecovery recovery;
  auto wal = Wal::open(disk, config.wal, recovery);
  if (!wal) return fail(wal.error());
  auto snapshots = SnapshotStore::open(disk, "snapshots", config.wal.damaged_bytes_max);
  if (!snapshots) return fail(snapshots.error());
  auto loop = std::make_unique<NodeLoop>(config, disk, transport, clock, std::move(*wal), std::move(*snapshots),
                                         std::move(recovery), logs, applications);
  if (auto done = loop->add_groups(); !done) return fail(done.error());
  return loop;
}

}  // namespace assent
