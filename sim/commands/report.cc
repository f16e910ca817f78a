// assent-sim report: what a number of seeds does and reaches, and how fast the simulator is.
#include <fmt/format.h>

#include <memory>

#include "sim/commands/commands.h"

namespace assent::sim {
namespace {

struct Arguments {
  SeedRange seeds{1, 300};
  Campaign campaign;
  std::uint64_t speed_seeds = 40;
};

int report(const Arguments& arguments, const std::string& program) {
  Campaign campaign = arguments.campaign;
  campaign.program = program;
  campaign.first = arguments.seeds.first;
  campaign.last = arguments.seeds.last;
  print_head(to_string(arguments.seeds));
  const Report report = run_campaign(campaign);
  fmt::print("{}{}", describe(report), summary(report));
  if (arguments.speed_seeds > 0) {
    Campaign yardstick;
    yardstick.program = program;
    yardstick.choices.yardstick = true;
    yardstick.first = 1;
    yardstick.last = arguments.speed_seeds;
    const Report speed = run_campaign(yardstick);
    fmt::print("speed, one core, 30 simulated seconds of chaos each: {}", summary(speed));
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
