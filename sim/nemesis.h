// Breaks things at random while the chaos lasts: crashes, pauses, partitions, sick disks, stepped clocks, leaders asked
// to hand over. How often each comes is the swarm's; which node and how long is drawn here. It undoes what it does;
// heal() undoes all of it at once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "sim/network.h"
#include "sim/operator.h"
#include "sim/process.h"
#include "sim/recorder.h"
#include "sim/schedule.h"
#include "sim/swarm.h"

namespace assent::sim {

class Nemesis {
 public:
  using Processes = std::map<NodeId, std::unique_ptr<Process>>;

  Nemesis(const Swarm& swarm, Rng rng, Schedule& schedule, Recorder& recorder, Network& network, Processes& processes,
          std::function<void(const std::vector<Process*>&)> before_crash);

  void begin();
  // No more faults: links whole, disks well, clocks right, everybody up and awake.
  void heal();
  // A node went down without our doing: it comes back later, with a repaired disk.
  void went_down(Process& process);

 private:
  void every(Micros gap, std::string_view label, std::function<void(Rng&)> act);
  void plan(Micros gap, const std::shared_ptr<Rng>& rng, const std::shared_ptr<std::function<void(Rng&)>>& act);
  void crash_one(Rng& rng);
  void crash_all(Rng& rng);
  void pause_one(Rng& rng);
  void partition(Rng& rng);
  void swizzle(Rng& rng);
  void isolate(NodeId node, Micros length);
  void damage(Process& process, Rng& rng);
  void damage_running(Rng& rng);
  void damage_cold(Rng& rng);
  void fail_sync(Rng& rng);
  void fill_disk(Rng& rng);
  void step_clock(Rng& rng);
  void transfer(Rng& rng);
  void lose_disk(Rng& rng);
  void restart_later(Process& process, Rng& rng);
  [[nodiscard]] Process& any(Rng& rng);
  [[nodiscard]] bool rots() const { return swarm_.disk.rot > 0 || swarm_.disk.rot_gap > 0 || swarm_.disk.cold_gap > 0; }
  [[nodiscard]] Process* anyone_awake(Rng& rng);

  const Swarm& swarm_;
  Rng rng_;
  Schedule& schedule_;
  Recorder& recorder_;
  Network& network_;
  Processes& processes_;
  Operator operator_;
  std::function<void(const std::vector<Process*>&)> before_crash_;
  std::vector<NodeId> nodes_;
  NodeId victim_;  // the only one whose disk is damaged at rest: a majority of every group keeps good copies
  bool active_ = false;
};

}  // namespace assent::sim
