// Runs seeds in child processes, so that a seed that crashes is a verdict and not the end of the run, and several cores
// can work. Prints progress, failures with the command that replays them, and a report. Nothing here is part of a run's
// state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/world.h"

namespace assent::sim {

struct Campaign {
  std::uint64_t first = 0;
  std::uint64_t last = 0;  // included
  unsigned jobs = 1;
  bool check_determinism = false;      // each seed twice, in two processes' lives
  bool first_failure = false;          // ends the campaign
  std::string program = "assent-sim";  // for the replay command
};

struct Report {
  std::uint64_t seeds = 0;
  std::vector<RunResult> failures;
  Counters faults;
  Counters outcomes;
  Counters rare;
  std::uint64_t events = 0;
  Micros virtual_time = 0;
  double seconds = 0;

  void add(const RunResult& result);
  [[nodiscard]] Verdict worst() const;
};

// One seed in this process. A check that fails in it ends the process.
[[nodiscard]] RunResult run_seed(const RunOptions& options);
// One seed in a child process: a crash becomes the verdict.
[[nodiscard]] RunResult run_seed_guarded(const RunOptions& options);

// All seeds of the campaign. Digests and failures go to standard output as they come.
[[nodiscard]] Report run_campaign(const Campaign& campaign);

[[nodiscard]] std::string describe(const Report& report);
[[nodiscard]] std::string describe_failure(const RunResult& result, const std::string& program);

}  // namespace assent::sim
