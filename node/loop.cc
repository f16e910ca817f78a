#include "node/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/protocol_level.h"
#include "node/node_loop.h"
#include "node/txn_watcher.h"
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

}  // namespace

NodeLoop::NodeLoop(const NodeConfig& config, Disk& disk, Transport& transport, Clock& clock, std::unique_ptr<Wal> wal,
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

void NodeLoop::handle(Event event) {
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

void NodeLoop::tick() {
  if (failure_) return;
  ++now_ticks_;
  now_micros_ = clock_.alive_micros();
  router_.tick();
  peers_.tick(transport_);
  wake_groups();
  for (Group* group : awake_) group->tick();
  std::erase_if(awake_, [](Group* group) { return group->rest(); });
  leads_awake_ = std::any_of(awake_.begin(), awake_.end(), [](const Group* group) { return group->leads(); });
  let_go();
  if (now_ticks_ % map_ticks == 0) say_map();
  shorten_logs();
  if (now_ticks_ % map_ticks == 0 && !level_command().empty()) write_level_commands();
  say_leads();
  if (now_ticks_ % belong_ticks == 0) ask_whether_left();
}

void NodeLoop::flush() {
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

// True when the disk was quick: what it had to do is done, and the groups have heard of it. A leader has its followers'
// answers, its clients' requests and its own entries to see to while the disk works; who only follows has nothing to do
// before it may acknowledge.
bool NodeLoop::start_disk() {
  if (failure_) return false;
  if (!disk_.start(leads_awake_ ? Disk::Meanwhile::works : Disk::Meanwhile::waits)) return false;
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
