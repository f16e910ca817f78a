// assent-sim grow: walks of a cluster whose map changes under writers (sim/growth_walk.h).
#include <fmt/format.h>

#include <memory>

#include "sim/commands/commands.h"
#include "sim/growth_walk.h"

namespace assent::sim {
namespace {

struct Arguments {
  SeedRange seeds;
  bool narrate = false;
};

int grow(const Arguments& arguments, const std::string& program) {
  print_head(to_string(arguments.seeds));
  GrowthResult all;
  for (std::uint64_t seed = arguments.seeds.first; seed <= arguments.seeds.last; ++seed) {
    const GrowthResult one = walk_growth(seed, arguments.narrate);
    all.epochs += one.epochs;
    all.written += one.written;
    all.refused += one.refused;
    all.behind += one.behind;
    all.crashes += one.crashes;
    if (one.wrong.empty()) continue;
    fmt::print("FAILED seed={} wrong: {}\n  replay: {}{} grow --seeds {} --narrate\n", seed, one.wrong, program,
               plant_option(), seed);
    return static_cast<int>(Verdict::wrong);
  }
  fmt::print(
      "{} walks, none failed; {} changes of the map, {} writes acknowledged, {} refused for an older map and routed "
      "anew, {} by a node that was behind, {} crashes\n",
      arguments.seeds.last - arguments.seeds.first + 1, all.epochs, all.written, all.refused, all.behind, all.crashes);
  return 0;
}

}  // namespace

Command add_grow(CLI::App& main, const std::string& program) {
  auto* app = main.add_subcommand("grow", "a cluster whose map changes, and writers who go by stale ones");
  const auto arguments = std::make_shared<Arguments>();
  add_seeds(*app, arguments->seeds)->required();
  app->add_flag("--narrate", arguments->narrate, "say what happens");
  return {app, [arguments, program] { return grow(*arguments, program); }};
}

}  // namespace assent::sim
