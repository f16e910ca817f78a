// The loop of a node (node/loop.h) as a class: what its parts share. Nobody but its own files includes this.
//
//   loop.cc          the round: events in, groups' outputs to disk, peers and applications
//   loop_groups.cc   which groups the node carries: begun at the start, taken in later, left
//   loop_damage.cc   what of a group's data cannot be read, and how it is made again
//   loop_cluster.cc  what nodes tell each other beside the groups: maps, leaders, protocol levels
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "node/frame.h"
#include "node/group.h"
#include "node/leaving.h"
#include "node/loop.h"
#include "node/loop_placement.h"
#include "node/peers.h"
#include "node/router.h"
#include "storage/snapshot_store.h"

namespace assent {

// Between two times that a node says which map it goes by.
inline constexpr std::uint64_t map_ticks = 100;

// Ascending by id: what the groups do in one step is the same however they came to be listed.
inline void in_order(std::vector<Group*>& groups) {
  std::sort(groups.begin(), groups.end(),
            [](const Group* a, const Group* b) { return a->config().id < b->config().id; });
}

class NodeLoop final : public Loop {
 public:
  NodeLoop(const NodeConfig& config, Disk& disk, Transport& transport, Clock& clock, std::unique_ptr<Wal> wal,
           std::unique_ptr<SnapshotStore> snapshots, WalRecovery recovery, LogFactory logs,
           ApplicationFactory applications);
  NodeLoop(const NodeLoop&) = delete;
  NodeLoop& operator=(const NodeLoop&) = delete;

  // Those that this node carries from the start.
  [[nodiscard]] Result<void> add_groups();

  void handle(Event event) override;

  void tick() override;

  void flush() override;

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
  bool leads_awake_ = false;             // one of them, as of the last tick
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

}  // namespace assent
