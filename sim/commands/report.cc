// assent-sim report: what a number of seeds does and reaches, and how fast the simulator is.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/digest.h"
#include "base/rng.h"
#include "sim/commands/commands.h"

namespace assent::sim {
namespace {

struct Arguments {
  SeedRange seeds{1, 300};
  Campaign campaign;
  std::uint64_t speed_seeds = 40;
};

constexpr std::uint64_t seeds_between_pieces = 20;

// A fixed piece of plain work of the kind that runs are made of: a tree, strings, digests. In seconds of a processor:
// what else a machine does changes them as it changes those of the runs beside it, so that their ratio can be compared
// from day to day and from machine to machine.
double piece_of_plain_work() {
  const std::clock_t begun = std::clock();
  Rng rng(1);
  Digest digest;
  std::map<std::uint64_t, std::string> tree;
  for (int i = 0; i < 200'000; ++i) {
    std::string& text = tree[rng.below(40'000)];
    text.assign(16 + rng.below(64), 'x');
    digest.add(text);
    if (tree.size() > 10'000) tree.erase(tree.begin());
  }
  ASSENT_CHECK(digest.value() != 0, "all of it is done");
  return static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
}

// Runs of the yardstick's shape, with pieces of plain work in between.
Report measure_speed(const Arguments& arguments, const std::string& program) {
  Report all;
  double pieces = 0;
  double plain_seconds = 0;
  for (std::uint64_t first = 1; first <= arguments.speed_seeds; first += seeds_between_pieces) {
    Campaign yardstick;
    yardstick.program = program;
    yardstick.choices.yardstick = true;
    yardstick.first = first;
    yardstick.last = std::min(first + seeds_between_pieces - 1, arguments.speed_seeds);
    all.add(run_campaign(yardstick));
    plain_seconds += piece_of_plain_work();
    ++pieces;
  }
  fmt::print("speed, one core, 30 simulated seconds of chaos each: {}", summary(all));
  fmt::print("a piece of plain work took {:.1f} ms of the processor beside it: {:.2f} seeds in the time of one\n",
             1'000 * plain_seconds / pieces,
             static_cast<double>(all.seeds) / all.processor_seconds * plain_seconds / pieces);
  return all;
}

int report(const Arguments& arguments, const std::string& program) {
  Campaign campaign = arguments.campaign;
  campaign.program = program;
  campaign.first = arguments.seeds.first;
  campaign.last = arguments.seeds.last;
  print_head(to_string(arguments.seeds));
  const Report report = run_campaign(campaign);
  fmt::print("{}{}", describe(report), summary(report));
  if (arguments.speed_seeds > 0) {
    const Report speed = measure_speed(arguments, program);
    if (report.failures.empty() && !speed.failures.empty()) return static_cast<int>(speed.worst());
  }
  if (!report.failures.empty()) return static_cast<int>(report.worst());
  return judge_rare_states(report, campaign.choices);
}

}  // namespace

Command add_report(CLI::App& main, const std::string& program) {
  auto* app = main.add_subcommand("report", "faults fired, outcomes, rare states reached or not, and the speed");
  const auto arguments = std::make_shared<Arguments>();
  add_seeds(*app, arguments->seeds);
  add_choices(*app, arguments->campaign.choices);
  add_jobs(*app, arguments->campaign.jobs);
  app->add_option("--speed-seeds", arguments->speed_seeds, "seeds by which the speed is measured; 0: not measured");
  return {app, [arguments, program] { return report(*arguments, program); }};
}

}  // namespace assent::sim
