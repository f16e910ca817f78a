#include "sim/nemesis.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace assent::sim {
namespace {
// Clocks are stepped, but stay so near that an id that is made now is inside every time window.
std::int64_t offset_max_millis(const Swarm& swarm) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(4'000, swarm.retention_millis / 4));
}

// Both begin a batch of the log, and say themselves that they belong in the same place of the order (docs/FORMATS.md,
// 2.2): of all that could stand in the wrong place, what only the checksum can tell from what belongs there.
bool could_be_taken_for(ByteView mine, ByteView theirs) {
  const ByteView kind = mine.substr(8, 4);
  if (kind != theirs.substr(8, 4)) return false;
  return kind == "OPEN" || (kind == "BTCH" && mine.substr(16, 8) == theirs.substr(16, 8));
}

constexpr Micros repair_gap = 300 * millisecond;

CrashKind draw_crash(Rng& rng) { return rng.chance(0.5) ? CrashKind::power : CrashKind::process; }
}  // namespace

Nemesis::Nemesis(const Swarm& swarm, Rng rng, Schedule& schedule, Recorder& recorder, Network& network,
                 Processes& processes, std::function<void(const std::vector<Process*>&)> before_crash)
    : swarm_(swarm),
      rng_(rng),
      schedule_(schedule),
      recorder_(recorder),
      network_(network),
      processes_(processes),
      operator_(recorder, processes),
      before_crash_(std::move(before_crash)) {
  for (const auto& [node, process] : processes_) nodes_.push_back(node);
  victim_ = nodes_[rng_.split("victim").below(nodes_.size())];
  if (rots()) operator_.doubt(victim_);
}

void Nemesis::begin() {
  active_ = true;
  for (const auto& [node, process] : processes_) process->begin_disk_faults();
  every(swarm_.life.crash_gap, "crash", [this](Rng& rng) { crash_one(rng); });
  every(swarm_.life.crash_all_gap, "crash-all", [this](Rng& rng) { crash_all(rng); });
  every(swarm_.life.pause_gap, "pause", [this](Rng& rng) { pause_one(rng); });
  every(swarm_.life.partition_gap, "partition", [this](Rng& rng) { partition(rng); });
  every(swarm_.life.swizzle_gap, "swizzle", [this](Rng& rng) { swizzle(rng); });
  every(swarm_.life.transfer_gap, "transfer", [this](Rng& rng) { transfer(rng); });
  every(swarm_.life.change_gap, "membership", [this](Rng& rng) { operator_.change_members(rng); });
  every(swarm_.disk.loss_gap, "lost-disk", [this](Rng& rng) { lose_disk(rng); });
  every(swarm_.disk.loss_gap == 0 ? 0 : repair_gap, "repair", [this](Rng&) { operator_.repair(); });
  every(swarm_.disk.sync_error_gap, "sync-error", [this](Rng& rng) { fail_sync(rng); });
  every(swarm_.disk.no_space_gap, "no-space", [this](Rng& rng) { fill_disk(rng); });
  every(swarm_.disk.rot_gap, "rot", [this](Rng& rng) { damage_running(rng); });
  every(swarm_.disk.cold_gap, "cold-rot", [this](Rng& rng) { damage_cold(rng); });
  every(swarm_.clock.step_gap, "clock", [this](Rng& rng) { step_clock(rng); });
}

void Nemesis::every(Micros gap, std::string_view label, std::function<void(Rng&)> act) {
  if (gap == 0) return;
  plan(gap, std::make_shared<Rng>(rng_.split(label)), std::make_shared<std::function<void(Rng&)>>(std::move(act)));
}

void Nemesis::plan(Micros gap, const std::shared_ptr<Rng>& rng, const std::shared_ptr<std::function<void(Rng&)>>& act) {
  const auto wait = static_cast<Micros>(rng->exponential(static_cast<double>(gap)));
  schedule_.after(wait, [this, gap, rng, act] {
    if (!active_) return;
    (*act)(*rng);
    plan(gap, rng, act);
  });
}

Process& Nemesis::any(Rng& rng) { return *processes_.at(nodes_[rng.below(nodes_.size())]); }

Process* Nemesis::anyone_awake(Rng& rng) {
  Process& process = any(rng);
  return process.up() && !process.paused() ? &process : nullptr;
}

void Nemesis::heal() {
  active_ = false;
  network_.heal();
  for (const auto& [node, process] : processes_) {
    process->heal_disk();
    process->clock().repair();
    process->resume();
    if (!process->retired()) process->start();
  }
}

void Nemesis::restart_later(Process& process, Rng& rng) {
  const auto wait = static_cast<Micros>(rng.exponential(static_cast<double>(swarm_.life.restart_mean)));
  schedule_.after(1 + wait, [this, &process] {
    if (active_) process.repair_disk();
    process.start();
  });
}

void Nemesis::went_down(Process& process) {
  if (process.retired()) return;
  if (active_) return restart_later(process, rng_);
  schedule_.after(10 * millisecond, [&process] { process.start(); });
}

void Nemesis::crash_one(Rng& rng) {
  Process& process = any(rng);
  if (!process.up()) return;
  const CrashKind kind = draw_crash(rng);
  recorder_.fault(kind == CrashKind::power ? "power loss" : "process crash");
  recorder_.say("node {} crashes{}", process.node(), kind == CrashKind::power ? ", unsynced bytes are lost" : "");
  before_crash_({&process});
  process.crash(kind);
  if (rng.chance(swarm_.disk.read_error)) {
    recorder_.fault("read failed");
    process.disk().fail_next_read();
  }
  if (process.node() == victim_ && rng.chance(swarm_.disk.rot)) damage(process, rng);
}

// At rest: a flipped bit, or a block that belongs to another node.
void Nemesis::damage(Process& process, Rng& rng) {
  if (rng.chance(0.5)) {
    const auto place = process.disk().rot_at_rest();
    if (!place) return;
    recorder_.fault("bit rotted at rest");
    recorder_.say("a bit of {} on node {} flips at offset {}", place->first, process.node(), place->second);
  } else {
    Process& other = any(rng);
    const auto place =
        process.disk().take_block_of(other.disk(), rng.chance(0.7) ? SimDisk::Alike(could_be_taken_for) : nullptr);
    if (!place) return;
    recorder_.fault("block of another disk written in place");
    recorder_.say("a block of {} on node {} is now node {}'s, at offset {}", place->first, process.node(), other.node(),
                  place->second);
  }
  process.damaged();
}

// Whoever reads it next finds it: the node itself when it sends or installs a snapshot, or its next life.
void Nemesis::damage_running(Rng& rng) {
  Process& process = *processes_.at(victim_);
  if (!process.up()) return;
  if (rng.chance(0.3)) return damage(process, rng);
  recorder_.fault("next read of a snapshot garbled");
  recorder_.say("a bit of the next snapshot that node {} reads is flipped", process.node());
  process.disk().garble_next_read("snapshots/");
  process.damaged();
}

// Its scrubber finds it, unless somebody else needs the file first.
void Nemesis::damage_cold(Rng& rng) {
  Process& process = *processes_.at(victim_);
  const auto what = process.damage_cold(rng);
  if (!what) return;
  recorder_.fault("cold file damaged");
  recorder_.say("on node {} {}", process.node(), *what);
}

void Nemesis::swizzle(Rng& rng) {
  recorder_.fault("swizzle");
  for (const NodeId node : nodes_) {
    if (rng.chance(0.4)) continue;
    const Micros from = rng.below(500 * millisecond);
    const Micros length = 100 * millisecond + rng.below(1'500 * millisecond);
    schedule_.after(from, [this, node, length] {
      if (active_) isolate(node, length);
    });
  }
}

void Nemesis::isolate(NodeId node, Micros length) {
  for (const NodeId other : nodes_) {
    if (other == node) continue;
    for (const auto& [from, to] : {std::pair(node, other), std::pair(other, node)}) {
      network_.block(from, to);
      schedule_.after(length, [this, from = from, to = to] { network_.unblock(from, to); });
    }
  }
}

void Nemesis::crash_all(Rng& rng) {
  recorder_.fault("power loss of all nodes");
  recorder_.say("all nodes lose power");
  std::vector<Process*> all;
  for (const auto& [node, process] : processes_) all.push_back(process.get());
  before_crash_(all);
  for (Process* process : all) process->crash(rng.chance(0.8) ? CrashKind::power : CrashKind::process);
}

void Nemesis::pause_one(Rng& rng) {
  Process* process = anyone_awake(rng);
  if (process == nullptr) return;
  recorder_.fault("process paused");
  recorder_.say("node {} is paused", process->node());
  process->pause();
  const auto length = static_cast<Micros>(rng.exponential(static_cast<double>(swarm_.life.pause_mean)));
  schedule_.after(1 + length, [this, process, life = process->life()] {
    if (process->life() != life || !process->paused()) return;
    recorder_.say("node {} goes on", process->node());
    process->resume();
  });
}

void Nemesis::partition(Rng& rng) {
  const Cut cut = draw_cut(rng, nodes_, recorder_);
  for (const auto& [from, to] : cut) {
    recorder_.say("nothing gets from node {} to node {}", from, to);
    network_.block(from, to);
  }
  const auto length = static_cast<Micros>(rng.exponential(static_cast<double>(swarm_.life.partition_mean)));
  schedule_.after(1 + length, [this, cut] {
    for (const auto& [from, to] : cut) network_.unblock(from, to);
    if (!cut.empty()) recorder_.say("the partition of node {} and others ends", cut.front().first);
  });
}

void Nemesis::fail_sync(Rng& rng) {
  Process* process = anyone_awake(rng);
  if (process == nullptr) return;
  if (swarm_.shard_files && rng.chance(0.2)) {
    recorder_.fault("read failed");
    recorder_.say("the next read of node {} fails", process->node());
    return process->disk().fail_next_read();
  }
  const bool sync = rng.chance(0.7);
  recorder_.fault(sync ? "sync failed" : "write failed");
  recorder_.say("the next {} of node {} fails", sync ? "sync" : "write", process->node());
  if (sync) {
    process->disk().fail_next_sync();
  } else {
    process->disk().fail_next_write();
  }
}

// As many as may be; and where disks are damaged besides, only the one whose damage the others survive.
void Nemesis::lose_disk(Rng& rng) {
  Process& process = rots() ? *processes_.at(victim_) : any(rng);
  if (!process.up() || !operator_.may_lose_disk(process)) return;
  recorder_.fault("disk lost");
  recorder_.say("node {} loses its disk", process.node());
  before_crash_({&process});
  process.crash(CrashKind::power);
  process.lose_disk();
}

void Nemesis::fill_disk(Rng& rng) {
  Process* process = anyone_awake(rng);
  if (process == nullptr) return;
  recorder_.fault("disk full");
  recorder_.say("the disk of node {} is full", process->node());
  process->fill_disk();
}

void Nemesis::step_clock(Rng& rng) {
  Process& process = any(rng);
  const auto most = static_cast<std::int64_t>(swarm_.clock.step_max_millis);
  const std::int64_t step = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(2 * most + 1))) - most;
  if (std::abs(process.clock().offset_millis() + step) > offset_max_millis(swarm_)) return;
  recorder_.fault(step < 0 ? "clock stepped back" : "clock stepped ahead");
  recorder_.say("the clock of node {} jumps by {} ms", process.node(), step);
  process.clock().step(step);
}

void Nemesis::transfer(Rng& rng) {
  Process* process = anyone_awake(rng);
  if (process == nullptr) return;
  const auto groups = process->loop().status();
  if (groups.empty()) return;
  const GroupStatus& group = groups[rng.below(groups.size())];
  if (!group.log.leadership.self_leads) return;
  const NodeId to = group.config.members[rng.below(group.config.members.size())];
  recorder_.fault("leader asked to hand over");
  recorder_.say("node {} is asked to hand group {} over to node {}", process->node(), group.config.id, to);
  process->deliver(TransferLeadership{group.config.id, to});
}

}  // namespace assent::sim
