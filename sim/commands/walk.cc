// assent-sim walk: random walks of bare consensus cores (sim/core_walk.h).
#include <fmt/format.h>

#include <memory>

#include "sim/commands/commands.h"
#include "sim/core_walk.h"

namespace assent::sim {
namespace {

struct Arguments {
  SeedRange seeds;
  bool leases = false;
  bool losses = false;
  bool narrate = false;
};

WalkResult walk_one(const Arguments& arguments, std::uint64_t seed) {
  if (arguments.losses) return walk_losses(seed, arguments.narrate);
  return arguments.leases ? walk_leases(seed, arguments.narrate) : walk_cores(seed, arguments.narrate);
}

int walk(const Arguments& arguments, const std::string& program) {
  print_head(to_string(arguments.seeds));
  WalkResult all;
  for (std::uint64_t seed = arguments.seeds.first; seed <= arguments.seeds.last; ++seed) {
    const WalkResult one = walk_one(arguments, seed);
    all.steps += one.steps;
    all.committed += one.committed;
    all.changes += one.changes;
    all.elections += one.elections;
    all.repeated += one.repeated;
    all.longer_logs += one.longer_logs;
    all.reads += one.reads;
    all.leased += one.leased;
    all.losses += one.losses;
    all.stopped += one.stopped;
    if (one.wrong.empty()) continue;
    fmt::print("FAILED seed={} wrong after {} steps: {}\n  replay: {}{} walk{} --seeds {} --narrate\n", seed, one.steps,
               one.wrong, program, plant_option(),
               arguments.losses   ? " --losses"
               : arguments.leases ? " --leases"
                                  : "",
               seed);
    return static_cast<int>(Verdict::wrong);
  }
  fmt::print(
      "{} walks, none failed; {} steps, {} elections, {} entries committed, {} of them changes of the members, "
      "{} messages repeated, {} snapshots installed over a longer log, {} reads answered, {} of them by a lease, "
      "{} replicas hurt, {} walks after which nobody could be elected\n",
      arguments.seeds.last - arguments.seeds.first + 1, all.steps, all.elections, all.committed, all.changes,
      all.repeated, all.longer_logs, all.reads, all.leased, all.losses, all.stopped);
  return 0;
}

}  // namespace

Command add_walk(CLI::App& main, const std::string& program) {
  auto* app = main.add_subcommand("walk", "bare consensus cores whose messages arrive whenever, and again");
  const auto arguments = std::make_shared<Arguments>();
  add_seeds(*app, arguments->seeds)->required();
  app->add_flag("--leases", arguments->leases, "leaders read by leases");
  app->add_flag("--losses", arguments->losses, "disks are damaged, and logs come back shorter")->excludes("--leases");
  app->add_flag("--narrate", arguments->narrate, "say every step");
  return {app, [arguments, program] { return walk(*arguments, program); }};
}

}  // namespace assent::sim
