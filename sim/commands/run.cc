// assent-sim run: many seeds, each judged; ends with a report.
#include <fmt/format.h>

#include <memory>

#include "sim/commands/commands.h"

namespace assent::sim {
namespace {

struct Arguments {
  SeedRange seeds;
  Campaign campaign;
  bool check_determinism = false;
};

int run(const Arguments& arguments, const std::string& program) {
  Campaign campaign = arguments.campaign;
  campaign.program = program;
  campaign.first = arguments.seeds.first;
  campaign.last = arguments.seeds.last;
  if (arguments.check_determinism) campaign.twice_every = 1;
  print_head(to_string(arguments.seeds));
  const Report report = run_campaign(campaign);
  fmt::print("{}{}", describe(report), summary(report));
  for (const RunResult& failure : report.failures) {
    fmt::print("failed: seed={} {}: {}\n", failure.seed, to_string(failure.verdict), failure.why);
  }
  if (!report.failures.empty()) return static_cast<int>(report.worst());
  return judge_rare_states(report, campaign.choices);
}

}  // namespace

int judge_rare_states(const Report& report, const Choices& choices) {
  if (report.seeds < long_run_seeds || choices != Choices{}) return 0;
  const auto never = report.never_reached();
  for (const std::string_view name : never) fmt::print("NEVER REACHED in a long run: {}\n", name);
  return never.empty() ? 0 : static_cast<int>(Verdict::wrong);
}

Command add_run(CLI::App& main, const std::string& program) {
  auto* app = main.add_subcommand("run", "runs many seeds and judges each");
  const auto arguments = std::make_shared<Arguments>();
  add_seeds(*app, arguments->seeds)->required();
  add_choices(*app, arguments->campaign.choices);
  add_jobs(*app, arguments->campaign.jobs);
  app->add_flag("--check-determinism", arguments->check_determinism, "each seed twice; the digests must be equal");
  app->add_option("--twice-every", arguments->campaign.twice_every, "the same for each so-manieth seed");
  app->add_flag("--first-failure", arguments->campaign.first_failure, "end at the first seed that fails");
  app->add_flag("--each", arguments->campaign.each, "a line for each seed, with its digest");
  return {app, [arguments, program] { return run(*arguments, program); }};
}

}  // namespace assent::sim
