#include "sim/process.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "node/leaving.h"
#include "node/loop_set.h"
#include "sim/snapshot_courier.h"

namespace assent::sim {
namespace {
constexpr Micros tick_length = 10 * millisecond;
constexpr std::size_t backlog_max = 20'000;

SimDiskOptions disk_options(const Swarm& swarm, std::uint64_t seed) {
  const Micros mean = swarm.disk.latency_mean * (Rng(seed).split("slow").chance(swarm.disk.slow) ? 10 : 1);
  SimDiskOptions options;
  options.write_micros_min = swarm.disk.latency_min;
  options.write_micros_max = swarm.disk.latency_min + mean;
  options.quick_chance = swarm.disk.quick;
  options.sync_micros_min = swarm.disk.latency_min;
  options.sync_micros_max = swarm.disk.latency_min + 2 * mean;
  return options;
}

// What the world's applications may keep, and SQLite beside it.
std::vector<std::string> files_of(const GroupConfig& group) {
  const std::string file = (group.role == GroupRole::coordinator ? "coordinators/" : "shards/") + group.name + ".db";
  return {file, file + "-wal", file + "-journal"};
}
}  // namespace

Process::Process(Setup setup, const Swarm& swarm, Schedule& schedule, Recorder& recorder, Network& network,
                 Surroundings& around)
    : setup_(std::move(setup)),
      swarm_(swarm),
      schedule_(schedule),
      recorder_(recorder),
      network_(network),
      around_(around),
      rng_(Rng(setup_.seed).split("process")),
      disk_(setup_.seed, disk_options(Swarm{}, setup_.seed)),
      vfs_(disk_, setup_.seed),
      clock_(schedule, setup_.drift, setup_.offset_millis, setup_.lease_drift),
      mischief_(Rng(setup_.seed).split("mischief"), swarm.mischief),
      turns_rng_(Rng(setup_.seed).split("turns")),
      scrubber_(disk_) {}

NodeConfig Process::config() const {
  NodeConfig config;
  config.self = setup_.node;
  config.incarnation = life_;
  config.seed = Digest().add(setup_.seed).add(life_).value();
  config.nodes = setup_.nodes;
  config.groups = setup_.groups;
  config.disk = disk_number_;
  config.snapshot_every = swarm_.snapshot_every;
  config.wal.segment_bytes = swarm_.wal_segment_bytes;
  config.wal.identity = setup_.node.value;
  config.limits.peer_queue_bytes_max = swarm_.peer_queue_bytes_max;
  config.limits.client_requests_max = swarm_.client_requests_max;
  config.limits.flush_steps_max = swarm_.flush_steps_max;
  config.limits.snapshot_step_bytes = swarm_.snapshot_step_bytes;
  if (swarm_.wal_segments_max > 0) {
    config.limits.wal_bytes_max = swarm_.wal_segments_max * swarm_.wal_segment_bytes;
  }
  config.limits.let_go_ticks = swarm_.let_go_ticks;
  if (swarm_.leaves) {
    config.level = belong_level;
    config.leaves = true;
  }
  config.application_files = [](const GroupConfig& group) { return files_of(group); };
  if (swarm_.sleep_ticks > 0) {
    config.limits.sign_of_life_ticks = swarm_.heartbeat_ticks;
    config.limits.peer_silent_ticks_max = swarm_.election_ticks;
  }
  return config;
}

Result<std::unique_ptr<Loop>> Process::open_loop() {
  const ApplicationFactory applications = [this](const GroupConfig& group) {
    return around_.make_application(*this, group);
  };
  if (swarm_.loops == 1) return Loop::open(config(), disk_, *this, clock_, setup_.logs, applications);
  auto disks = DiskLanes::open(disk_, swarm_.loops);
  if (!disks) return fail(disks.error());
  disks_ = std::move(*disks);
  NodeConfig common = config();
  common.application_disk = &disk_;
  std::vector<std::unique_ptr<Lane>> lanes;
  for (std::size_t i = 0; i < swarm_.loops; ++i) {
    auto lane =
        InlineLane::open(lane_config(common, i, swarm_.loops), disks_->disk(i), clock_, setup_.logs, applications);
    if (!lane) return fail(lane.error());
    lanes.push_back(std::move(*lane));
  }
  return make_loop_set(common, std::move(lanes), *this);
}

// ---- life ----

void Process::start() {
  if (up()) return;
  ++life_;
  disk_.advance(schedule_.now());
  if (damaged_) around_.hurt(*this);
  auto opened = open_loop();
  if (!opened) {
    recorder_.say("node {} cannot start: {}", setup_.node, opened.error().message);
    const bool unreadable = opened.error().code == ErrorCode::io && disk_.has_spoiled();
    const bool detected =
        opened.error().code == ErrorCode::corruption || opened.error().code == ErrorCode::refused || unreadable;
    if (damaged_ && detected) {
      recorder_.rare("damage found by recovery");
      retired_ = true;
    } else if (opened.error().code == ErrorCode::io) {
      recorder_.rare("start given up for a failed read");
    } else {
      recorder_.wrong(
          fmt::format("D1: node {} cannot recover from its own disk: {}", setup_.node, opened.error().message));
    }
    disk_.crash(CrashKind::process);
    return around_.went_down(*this);
  }
  loop_ = std::move(*opened);
  loop_->observe(Loop::Observer{
      [this](GroupId group, const Entry& entry) { around_.applied(*this, group, entry); },
      [this](GroupId group, const Leadership& leadership) { around_.leadership(*this, group, leadership); },
      [this](GroupId group, NodeId from, const Error& why) {
        recorder_.wrong(fmt::format("D3 snapshots: node {} cannot restore what node {} sent of group {}: {}", node(),
                                    from, group, why.message));
      },
      [this](const GroupConfig& group) { around_.left(*this, group.id); },
      [this](const GroupConfig& group) { around_.remade(*this, group.id); }});
  if (swarm_.leaves) {
    for (const NodeId node : setup_.nodes) loop_->handle(PeerTold{node, belong_level});
  }
  recorder_.say("node {} starts, life {}: {} segments, {} records, {} torn bytes", setup_.node, life_,
                loop_->recovery().segments, loop_->recovery().records, loop_->recovery().torn_bytes);
  if (!judge_losses()) return;
  if (loop_->recovery().segments > 3) recorder_.rare("recovery over more than three segments");
  started_ = awake_since_ = schedule_.now();
  heard_.clear();
  if (loop_->recovery().torn_bytes > 0) recorder_.rare("torn tail cut off in recovery");
  schedule_tick(1 + rng_.below(tick_length));
  if (swarm_.scrub_gap > 0) schedule_scrub();
  step();
}

// D1: what a node says to be damaged was damaged, and it goes on without the entries that were in it.
bool Process::judge_losses() {
  const WalRecovery& recovery = loop_->recovery();
  for (const std::string& damage : recovery.damages) {
    recorder_.say("node {}: {}", setup_.node, damage);
    if (damaged_) continue;
    recorder_.wrong(fmt::format("D1: node {} takes its own log for damaged: {}", setup_.node, damage));
    return false;
  }
  for (const auto& [group, lost] : recovery.lost) {
    recorder_.say("node {}: of group {} it has lost the entries from {} to {}@{}", setup_.node, group, lost.first,
                  lost.end.epoch, lost.end.index);
    if (loop_->application(group) == nullptr) around_.remade(*this, group);
  }
  if (!recovery.lost.empty()) {
    recorder_.rare("replica goes on without entries that were damaged");
  } else if (damaged_) {
    recorder_.rare("damaged node came up whole");
  }
  return true;
}

// What dies tidies nothing up.
void Process::end_life() {
  vfs_.cut();
  loop_.reset();
  vfs_.mend();
  paused_ = false;
  flush_planned_ = false;
  backlog_.clear();
  writing_.clear();
  disk_watch_ = 0;
  parts_ = SnapshotParts();
  couriers_.clear();
  turn_planned_ = false;
  scrubber_ = Scrubber(disk_);
  pass_began_ = clean_since_ = 0;
}

void Process::crash(CrashKind kind) {
  if (!up()) return;
  if (life_ > 1 && schedule_.now() - started_ < 100 * millisecond) recorder_.rare("crash right after a recovery");
  if (paused_) recorder_.rare("crash of a paused node");
  end_life();
  disk_.crash(kind);
  around_.went_down(*this);
}

void Process::lose_disk() {
  disk_.wipe();
  ++disk_number_;
  damaged_ = false;
}

Result<Position> Process::change_membership(GroupId group, const std::vector<MemberChange>& changes) {
  auto position = loop_->change_membership(group, changes);
  step();
  return position;
}

void Process::stop_itself(const Error& error) {
  recorder_.say("node {} stops: {}", setup_.node, error.message);
  if (damaged_ && error.code == ErrorCode::corruption) {
    recorder_.rare("damage found while running");
    retired_ = true;
  } else if (error.code != ErrorCode::io) {
    recorder_.wrong(fmt::format("node {} stopped with an error that no fault explains: {}: {}", setup_.node,
                                to_string(error.code), error.message));
  }
  if (!retired_) recorder_.rare(disk_full_ ? "node stopped by a full disk" : "node stopped by a failed sync");
  end_life();
  disk_.crash(CrashKind::process);
  around_.went_down(*this);
}

void Process::pause() {
  if (!up() || paused_) return;
  paused_ = true;
}

void Process::resume() {
  if (!up() || !paused_) return;
  paused_ = false;
  awake_since_ = schedule_.now();
  std::deque<Event> backlog = std::exchange(backlog_, {});
  for (Event& event : backlog) {
    loop_->handle(std::move(event));
    if (rng_.chance(0.2)) loop_->flush();
  }
  disk_.advance(schedule_.now());
  loop_->handle(DiskProgress{});
  step();
}

void Process::fill_disk() {
  disk_full_ = true;
  SimDiskOptions options = disk_.options();
  options.capacity_bytes = disk_.used_bytes();
  disk_.set_options(options);
}

void Process::heal_disk() {
  disk_full_ = false;
  disk_.forgive();
  disk_.set_options(disk_options(Swarm{}, setup_.seed));
}

void Process::repair_disk() {
  disk_full_ = false;
  disk_.set_options(disk_options(swarm_, setup_.seed));
}

// ---- events ----

void Process::deliver(Event event) {
  if (!up()) return;
  if (paused_) {
    if (backlog_.size() < backlog_max) backlog_.push_back(std::move(event));
    return;
  }
  loop_->handle(std::move(event));
  step();
}

void Process::deliver_frame(const Life& sender, std::uint64_t target_life, Bytes frame) {
  if (!up()) return;
  if (target_life != life_ || around_.process(sender.node).life() != sender) {
    recorder_.rare("frame of an earlier incarnation delivered");
  }
  recorder_.trace(schedule_.now(), setup_.node, sender.node, std::string_view(frame));
  heard_[sender.node] = schedule_.now();
  deliver(FrameReceived{sender.node, std::move(frame)});
}

void Process::schedule_tick(Micros delay) {
  schedule_.after(delay, [this, life = life_] {
    if (life != life_ || !up()) return;
    tick();
  });
}

void Process::tick() {
  schedule_tick(mischief_.early_tick() ? tick_length / 2 : tick_length);
  if (paused_) return;
  if (mischief_.empty_event()) loop_->handle(DiskProgress{});
  loop_->tick();
  step();
}

// ---- the scrubber ----

void Process::schedule_scrub() {
  schedule_.after(swarm_.scrub_gap, [this, life = life_] {
    if (life != life_ || !up()) return;
    if (!paused_) scrub();
    if (life == life_ && up()) schedule_scrub();
  });
}

// What server/scrub_thread.cc does in life: what is known to be damaged is looked at again between two passes.
void Process::scrub() {
  const std::uint64_t repaired = scrubber_.figures().repaired;
  if (!scrubber_.running()) {
    if (pass_began_ != 0 && scrubber_.damaged().empty()) clean_since_ = pass_began_;
    const bool again = pass_began_ != 0 && !scrubber_.damaged().empty();
    pass_began_ = again ? 0 : schedule_.now();
    scrubber_.begin(loop_->cold_files(), again ? Scrubber::Scope::damaged : Scrubber::Scope::all);
  }
  const auto damage = scrubber_.step(swarm_.scrub_bytes);
  if (scrubber_.figures().repaired > repaired) recorder_.rare("cold damage repaired");
  if (!damage) return;
  recorder_.say("the scrubber of node {} finds {} damaged: {}", setup_.node, damage->file.path, damage->what);
  recorder_.rare("damage found by the scrubber");
  const bool read_failed = damage->what.find("input/output error") != std::string::npos;  // twice, by chance
  if (!damaged_ && !read_failed) {
    return recorder_.wrong(fmt::format("D2 rot: the scrubber of node {} takes {} for damaged, which nobody touched: {}",
                                       setup_.node, damage->file.path, damage->what));
  }
  static_cast<void>(loop_->repair(damage->file));
  step();
}

std::optional<std::string> Process::damage_cold(Rng& rng) {
  if (!up()) return std::nullopt;
  const std::vector<ColdFile> files = loop_->cold_files();
  if (files.empty()) return std::nullopt;
  const ColdFile& file = files[rng.below(files.size())];
  const auto bytes = disk_.contents(file.path);
  if (!bytes || bytes->empty()) return std::nullopt;
  damaged_ = true;
  if (rng.chance(0.2)) {
    disk_.spoil(file.path);
    return fmt::format("{} cannot be read any more", file.path);
  }
  const std::uint64_t end =
      file.kind == ColdFile::Kind::segment ? std::min<std::uint64_t>(file.end, bytes->size()) : bytes->size();
  const std::uint64_t offset = rng.below(end);
  disk_.rot(file.path, offset, static_cast<std::uint8_t>(1U << rng.below(8)));
  return fmt::format("a bit of {} flips at offset {}", file.path, offset);
}

// The loop may gather events before it flushes, as it does in life when its inbox is full.
void Process::step() {
  if (swarm_.lazy_flush == 0 || !rng_.chance(swarm_.lazy_flush)) return flush();
  if (std::exchange(flush_planned_, true)) return;
  schedule_.after(rng_.between(1, 2 * millisecond), [this, life = life_] {
    if (life != life_ || !up() || !flush_planned_) return;
    if (!paused_) return flush();
    flush_planned_ = false;
  });
}

void Process::flush() {
  flush_planned_ = false;
  loop_->flush();
  if (mischief_.flush_twice()) loop_->flush();
  // One loop asked the disk, and it had done what another one wanted, too.
  while (disks_ != nullptr && disks_->pending() && !loop_->failure()) {
    loop_->handle(DiskProgress{});
    loop_->flush();
  }
  for (ClientReply& reply : loop_->take_replies()) around_.replied(*this, std::move(reply));
  if (const auto failure = loop_->failure()) return stop_itself(*failure);
  for (const ServiceCall& call : loop_->take_calls()) around_.called(*this, call);
  watch_disk();
  if (loop_->has_more()) plan_turn();
}

// What is made in steps goes on in a later turn; other events, and crashes, come in between.
void Process::plan_turn() {
  if (std::exchange(turn_planned_, true)) return;
  schedule_.after(turns_rng_.between(1, 3 * millisecond), [this, life = life_] {
    if (life != life_ || !up()) return;
    turn_planned_ = false;
    if (!paused_) flush();
  });
}

void Process::watch_disk() {
  const auto next = disk_.next_completion();
  if (!next) return;
  const Micros when = std::max<Micros>(*next, schedule_.now());
  if (disk_watch_ != 0 && disk_watch_ <= when) return;
  disk_watch_ = when;
  schedule_.at(when, [this, life = life_, when] {
    if (life != life_ || !up() || disk_watch_ != when) return;
    disk_watch_ = 0;
    disk_.advance(schedule_.now());
    if (paused_) return;
    loop_->handle(DiskProgress{});
    step();
  });
}

// ---- transport ----

bool Process::ready(NodeId to) const { return std::find(writing_.begin(), writing_.end(), to) == writing_.end(); }

void Process::send(NodeId to, Bytes frame) {
  const Life sender = life();
  Process& target = around_.process(to);
  const std::uint64_t target_life = target.life().number;
  writing_.push_back(to);
  const Micros busy = mischief_.busy_peer() ? 20 * millisecond : 0;
  schedule_.after(busy + network_.write_time(setup_.node, to, frame.size()), [this, to, sender] {
    if (sender != life() || !up()) return;
    std::erase(writing_, to);
    deliver(TransportReady{to});
  });
  network_.frame(setup_.node, to, [&target, sender, target_life, frame = std::move(frame)] {
    target.deliver_frame(sender, target_life, frame);
  });
}

void Process::send_snapshot(NodeId to, SnapshotTransfer transfer) {
  const Life sender = life();
  const GroupId group = transfer.group;
  Process& target = around_.process(to);
  recorder_.say("node {} sends node {} a snapshot of group {} up to {}", setup_.node, to, group,
                transfer.mark.last.index);
  if (swarm_.snapshot_chunk_bytes > 0) {
    if (!couriers_.emplace(to, group).second) {
      schedule_.after(0, [this, to, group, sender] {
        if (sender == life()) deliver(SnapshotSendEnded{to, group, false});
      });
      return;
    }
    return SnapshotCourier::start({.schedule = schedule_,
                                   .network = network_,
                                   .recorder = recorder_,
                                   .from = setup_.node,
                                   .to = to,
                                   .chunk_bytes = swarm_.snapshot_chunk_bytes,
                                   .sends = [this, sender] { return sender == life() && up(); },
                                   .receiver =
                                       [&target] {
                                         return SnapshotCourier::Receiver{
                                             target.life_, target.up() && !target.paused_ ? &target.parts_ : nullptr};
                                       },
                                   .arrive =
                                       [this, &target](SnapshotTransfer arrived) {
                                         recorder_.trace(schedule_.now(), std::string_view(arrived.data));
                                         target.deliver(SnapshotReceived{setup_.node, std::move(arrived)});
                                       },
                                   .ended =
                                       [this, to, group, sender](bool delivered) {
                                         if (sender != life()) return;
                                         couriers_.erase({to, group});
                                         deliver(SnapshotSendEnded{to, group, delivered});
                                       }},
                                  std::move(transfer));
  }
  const std::size_t bytes = transfer.data.size();
  network_.snapshot(
      setup_.node, to, bytes,
      [this, &target, transfer = std::move(transfer)] {
        if (!target.up()) return;
        recorder_.trace(schedule_.now(), std::string_view(transfer.data));
        target.deliver(SnapshotReceived{setup_.node, transfer});
      },
      [this, to, group, sender](bool delivered) {
        if (sender == life()) deliver(SnapshotSendEnded{to, group, delivered});
      });
}

}  // namespace assent::sim
