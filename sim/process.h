// One simulated node: its disk, which outlives crashes, its clock, and while it is up the production loop. It is what
// assentd's main is in life: it feeds events and ticks to the loop, flushes, and carries completions and replies out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/loop.h"
#include "node/snapshot_parts.h"
#include "sim/disk_lanes.h"
#include "sim/log_checker.h"
#include "sim/mischief.h"
#include "sim/network.h"
#include "sim/recorder.h"
#include "sim/schedule.h"
#include "sim/sim_clock.h"
#include "sim/sim_disk.h"
#include "sim/sim_vfs.h"
#include "sim/swarm.h"
#include "storage/scrubber.h"

namespace assent::sim {

class Process;

// What a process needs of the world around it. Called from the process, with the process in a consistent state.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  [[nodiscard]] virtual Process& process(NodeId node) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<Application>> make_application(Process& process,
                                                                              const GroupConfig& group) = 0;
  virtual void applied(Process& process, GroupId group, const Entry& entry) = 0;
  virtual void leadership(Process& process, GroupId group, const Leadership& leadership) = 0;
  virtual void replied(Process& process, ClientReply reply) = 0;
  virtual void called(Process& process, const ServiceCall& call) = 0;
  // Its replica of the group is gone, for it was removed.
  virtual void left(Process& process, GroupId group) = 0;
  // Its replica begins again, in the same life, without data that are damaged.
  virtual void remade(Process& process, GroupId group) = 0;
  // It starts on a disk that was damaged: its replicas may have lost entries.
  virtual void hurt(Process& process) = 0;
  // It is gone: by a crash from outside, or because it stopped itself.
  virtual void went_down(Process& process) = 0;
};

class Process final : public Transport {
 public:
  struct Setup {
    NodeId node;
    std::vector<NodeId> nodes;
    std::vector<GroupConfig> groups;
    LogFactory logs;
    std::uint64_t seed = 0;
    double drift = 0;
    std::int64_t offset_millis = 0;
    double lease_drift = 0;
  };
  Process(Setup setup, const Swarm& swarm, Schedule& schedule, Recorder& recorder, Network& network,
          Surroundings& around);

  // What the next start goes by: a newer cluster map is on its disk.
  void know(std::vector<NodeId> nodes, std::vector<GroupConfig> groups) {
    setup_.nodes = std::move(nodes);
    setup_.groups = std::move(groups);
  }

  // ---- life ----
  void start();
  void crash(CrashKind kind);
  void pause();
  void resume();
  [[nodiscard]] bool up() const { return loop_ != nullptr; }
  [[nodiscard]] bool paused() const { return paused_; }
  // Its disk is damaged at rest. It must come up with what it had, or say that it cannot and retire for good.
  void damaged() { damaged_ = true; }
  [[nodiscard]] bool retired() const { return retired_; }
  // One of its cold files is damaged while it runs: a bit flips, or the file cannot be read any more. What was done, or
  // nullopt when it has none.
  std::optional<std::string> damage_cold(Rng& rng);
  // Everything it kept is gone; it is down, and comes back as another member.
  void lose_disk();
  [[nodiscard]] Member member() const { return {setup_.node, disk_number_}; }
  Result<Position> change_membership(GroupId group, const std::vector<MemberChange>& changes);
  [[nodiscard]] Life life() const { return Life{setup_.node, life_}; }
  [[nodiscard]] NodeId node() const { return setup_.node; }
  [[nodiscard]] Loop& loop() { return *loop_; }
  // Since when it runs without a pause and nothing came from that node.
  [[nodiscard]] Micros silence_since(NodeId from) const {
    const auto heard = heard_.find(from);
    return heard == heard_.end() ? awake_since_ : std::max(awake_since_, heard->second);
  }

  // An event from outside; lost when the process is down, kept for later while it is paused.
  void deliver(Event event);
  // A frame that left sender's given life for the given life of this process.
  void deliver_frame(const Life& sender, std::uint64_t target_life, Bytes frame);

  // When the last pass of its scrubber began that found nothing damaged, in this life; 0: none.
  [[nodiscard]] Micros clean_since() const { return clean_since_; }

  [[nodiscard]] SimDisk& disk() { return disk_; }
  // The same disk, as SQLite sees it.
  [[nodiscard]] SimVfs& vfs() { return vfs_; }
  [[nodiscard]] SimClock& clock() { return clock_; }
  void fill_disk();
  // Disks are quick and well until their faults begin, and again when they are healed.
  void begin_disk_faults() { repair_disk(); }
  void heal_disk();
  // Space again, as slow as it is.
  void repair_disk();

  // ---- Transport, towards the loop ----
  [[nodiscard]] bool ready(NodeId to) const override;
  void send(NodeId to, Bytes frame) override;
  void send_snapshot(NodeId to, SnapshotTransfer transfer) override;

 private:
  void tick();
  void schedule_tick(Micros delay);
  void schedule_scrub();
  void scrub();
  void step();  // after events: flush, replies, failure, disk
  void flush();
  void plan_turn();
  void watch_disk();
  void stop_itself(const Error& error);
  [[nodiscard]] bool judge_losses();
  void end_life();
  [[nodiscard]] NodeConfig config() const;
  [[nodiscard]] Result<std::unique_ptr<Loop>> open_loop();

  Setup setup_;
  const Swarm& swarm_;
  Schedule& schedule_;
  Recorder& recorder_;
  Network& network_;
  Surroundings& around_;
  Rng rng_;
  SimDisk disk_;
  SimVfs vfs_;  // outlives the loop, whose stores are on it
  SimClock clock_;

  std::unique_ptr<DiskLanes> disks_;  // of several loops; outlives them
  std::unique_ptr<Loop> loop_;
  std::uint64_t life_ = 0;
  bool paused_ = false;
  std::uint64_t disk_number_ = 0;
  bool damaged_ = false;
  bool retired_ = false;
  Micros started_ = 0;
  Micros awake_since_ = 0;          // started, or went on after a pause
  std::map<NodeId, Micros> heard_;  // in this life: the newest frame of each
  Mischief mischief_;
  SnapshotParts parts_;                            // of snapshots on their way here
  std::set<std::pair<NodeId, GroupId>> couriers_;  // of snapshots on their way from here
  Rng turns_rng_;                                  // when the loop's next turn comes while it has more to do
  bool turn_planned_ = false;
  bool disk_full_ = false;
  bool flush_planned_ = false;
  std::deque<Event> backlog_;  // while paused
  Scrubber scrubber_;
  Micros pass_began_ = 0;
  Micros clean_since_ = 0;
  std::vector<NodeId> writing_;  // peers to which a frame is on its way
  Micros disk_watch_ = 0;        // when a look at the disk is planned; 0: none is
};

}  // namespace assent::sim
