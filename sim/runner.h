// Runs seeds in child processes, so that a seed that crashes is a verdict and not the end of the run, and several cores
// can work. Prints failures with the command that replays them, progress on standard error, and gives a report. Nothing
// here is part of a run's state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/report.h"
#include "sim/world.h"

namespace assent::sim {

struct Campaign {
  std::uint64_t first = 0;
  std::uint64_t last = 0;  // included
  Choices choices;
  unsigned jobs = 1;
  unsigned twice_every = 0;            // each so-manieth seed runs twice, and the digests must be equal; 0: none
  bool first_failure = false;          // ends the campaign
  bool quiet = false;                  // failures and progress are not printed either
  bool each = false;                   // a line for each seed
  double seconds_max = 0;              // no seed begins after so much time; 0: no limit
  std::string program = "assent-sim";  // for the replay command
};

// One seed in this process. A check that fails in it ends the process.
[[nodiscard]] RunResult run_seed(const RunOptions& options);
// One seed in a child process: a crash becomes the verdict.
[[nodiscard]] RunResult run_seed_guarded(const RunOptions& options);

// All seeds of the campaign, in any order.
[[nodiscard]] Report run_campaign(const Campaign& campaign);

}  // namespace assent::sim
