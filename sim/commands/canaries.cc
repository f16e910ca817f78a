// assent-sim canaries: each planted bug (base/planted.h), and whether we notice it. The proof that the checkers and
// faults have power: a bug that nobody finds means that something of the kind could be in the code now.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "base/planted.h"
#include "sim/commands/commands.h"
#include "sim/core_walk.h"
#include "sim/explore/ballot_model.h"
#include "sim/explore/explorer.h"
#include "sim/explore/refutations.h"
#include "sim/growth_walk.h"

namespace assent::sim {
namespace {

struct Arguments {
  std::vector<std::string> only;
  double seconds_max = 120;
  std::uint64_t first_seed = 1;
};

#ifdef ASSENT_PLANTED_BUGS

constexpr double walk_share = 3;  // times the seconds of seeds

struct Found {
  bool found = false;
  std::string rule;
  std::uint64_t seeds = 0;
  std::uint64_t seed = 0;  // that found it
  double seconds = 0;
  std::string workload;
};

Found hunt(const PlantedBug& bug, const Arguments& arguments, const std::string& workload) {
  plant(bug.bug);
  Campaign campaign;
  campaign.choices.workload = workload;
  campaign.first = arguments.first_seed;
  campaign.last = std::numeric_limits<std::uint32_t>::max();
  campaign.first_failure = true;
  campaign.quiet = true;
  campaign.seconds_max = arguments.seconds_max;
  const Report report = run_campaign(campaign);
  plant(Bug::none);
  Found found{!report.failures.empty(), "", report.seeds, 0, report.processor_seconds, workload};
  if (!found.found) return found;
  found.rule = rule_of(report.failures.front());
  found.seed = report.failures.front().seed;
  return found;
}

std::string explore_ballots_for(const PlantedBug& bug) {
  const auto all = explore::ballot_refutations();
  const auto known = std::ranges::find(all, bug.bug, &explore::Refutation::bug);
  if (known == all.end()) return {};
  plant(bug.bug);
  const explore::BallotFindings found = explore::explore(*explore::find_ballot_model(known->model));
  plant(Bug::none);
  if (found.violated.empty()) return {};
  return fmt::format("explore {}: {} steps, {:.1f} s", known->model, found.steps, found.seconds);
}

// What the explorer says of it, in seconds; empty: it does not know the bug, or finds nothing. Some rules guard against
// what no seed brings about, for instance a log that carries an entry into a later epoch.
std::string explore_for(const PlantedBug& bug) {
  const auto all = explore::refutations();
  const auto known = std::ranges::find(all, bug.bug, &explore::Refutation::bug);
  if (known == all.end()) return explore_ballots_for(bug);
  plant(bug.bug);
  const explore::Findings found = explore::explore(*explore::find_model(known->model));
  plant(Bug::none);
  if (found.violated.empty()) return {};
  return fmt::format("explore {}: {} steps, {:.1f} s", known->model, found.steps, found.seconds);
}

// Only replicas that lost entries show it.
bool is_of_losses(Bug bug) { return bug == Bug::loss_forgotten || bug == Bug::loss_unheard; }

// What bare cores say of it: an answer that outlives two elections of the same node, or two leaders that change the
// members and know nothing of each other, are rare in whole runs.
std::string walk_for(const PlantedBug& bug, double seconds_max, const std::string& program) {
  plant(bug.bug);
  std::string by;
  const std::clock_t begun = std::clock();
  const auto seconds = [begun] { return static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC; };
  for (std::uint64_t seed = 1; seconds() < seconds_max && by.empty(); ++seed) {
    const bool losses = is_of_losses(bug.bug);
    WalkResult result = losses ? walk_losses(seed) : walk_cores(seed);
    const bool leases = !losses && result.wrong.empty();
    if (leases) result = walk_leases(seed);
    if (result.wrong.empty()) continue;
    by = fmt::format("walk: {}, {} walks, {:.1f} s  ({}{} walk{} --seeds {})",
                     result.wrong.substr(0, result.wrong.find(':')), seed, seconds(), program, plant_option(),
                     losses   ? " --losses"
                     : leases ? " --leases"
                              : "",
                     seed);
  }
  plant(Bug::none);
  return by;
}

// What a cluster whose map changes says of it.
std::string grow_for(const PlantedBug& bug, double seconds_max, const std::string& program) {
  plant(bug.bug);
  std::string by;
  const std::clock_t begun = std::clock();
  const auto seconds = [begun] { return static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC; };
  for (std::uint64_t seed = 1; seconds() < seconds_max && by.empty(); ++seed) {
    const GrowthResult result = walk_growth(seed);
    if (result.wrong.empty()) continue;
    by = fmt::format("grow: {}, {} walks, {:.1f} s  ({}{} grow --seeds {})",
                     result.wrong.substr(0, result.wrong.find(':')), seed, seconds(), program, plant_option(), seed);
  }
  plant(Bug::none);
  return by;
}

// Only where keys are routed is it seen.
bool is_of_maps(Bug bug) { return bug == Bug::stale_map_obeyed; }

// Only what has services shows it.
bool is_of_services(Bug bug) { return bug >= Bug::abort_leaves_no_trace && bug <= Bug::retriable_called_early; }

std::vector<PlantedBug> chosen(const Arguments& arguments) {
  std::vector<PlantedBug> bugs;
  for (const PlantedBug& bug : planted_bugs()) {
    const bool named = std::find(arguments.only.begin(), arguments.only.end(), bug.name) != arguments.only.end();
    if (arguments.only.empty() || named) bugs.push_back(bug);
  }
  return bugs;
}

int canaries(const Arguments& arguments, const std::string& program) {
  print_head(fmt::format("{}..", arguments.first_seed));
  fmt::print("{:<28} {:<6} {:>6} {:>8}  {}\n", "bug", "found", "seeds", "seconds", "by");
  std::size_t missed = 0;
  for (const PlantedBug& bug : chosen(arguments)) {
    Found found;
    std::string by;
    if (is_of_maps(bug.bug)) {
      by = grow_for(bug, arguments.seconds_max, program);
    } else if (is_of_losses(bug.bug)) {
      by = walk_for(bug, walk_share * arguments.seconds_max, program);
    } else {
      found = hunt(bug, arguments, is_of_services(bug.bug) ? "services" : "bank");
      by = explore_for(bug);
      if (!found.found && by.empty()) found = hunt(bug, arguments, "mixed");
      if (!found.found && by.empty()) by = walk_for(bug, walk_share * arguments.seconds_max, program);
    }
    const bool noticed = found.found || !by.empty();
    if (found.found) {
      by = fmt::format("{}  ({} --plant {} replay --workload {} --seed {})", found.rule, program, bug.name,
                       found.workload, found.seed) +
           (by.empty() ? "" : "; " + by);
    }
    fmt::print("{:<28} {:<6} {:>6} {:>8.1f}  {}\n", bug.name, noticed ? "yes" : "NO", found.seeds, found.seconds, by);
    std::fflush(stdout);
    missed += noticed ? 0 : 1;
  }
  if (missed > 0) fmt::print("{} not found\n", missed);
  return missed == 0 ? 0 : static_cast<int>(Verdict::wrong);
}

#else

// The program with the bugs lies beside this one, and takes its place.
int canaries(const Arguments& arguments, const std::string& program) {
  std::error_code unknown;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", unknown);
  const std::string other = (self.parent_path() / "assent-sim-planted").string();
  std::vector<std::string> words{other,          "canaries",
                                 "--seconds",    fmt::format("{}", arguments.seconds_max),
                                 "--first-seed", std::to_string(arguments.first_seed)};
  if (!arguments.only.empty()) words.insert(words.end(), {"--only", fmt::format("{}", fmt::join(arguments.only, ","))});
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execv(other.c_str(), pointers.data());
  fmt::print(stderr,
             "{} has no planted bugs in it, and {}, which has, cannot be run: {}. Build it with\n"
             "  ninja -C build/release assent-sim-planted\n",
             program, other, std::generic_category().message(errno));
  return exit_usage;
}

#endif

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const PlantedBug& bug : planted_bugs()) all.emplace_back(bug.name);
  return all;
}

}  // namespace

#ifdef ASSENT_PLANTED_BUGS
void add_plant(CLI::App& main) {
  main.add_option_function<std::string>(
          "--plant", [](const std::string& name) { plant(*planted_bug(name)); }, "build this bug in")
      ->check(CLI::IsMember(names()));
}
#else
void add_plant(CLI::App& /*main*/) {}
#endif

Command add_canaries(CLI::App& main, const std::string& program) {
  auto* app =
      main.add_subcommand("canaries", "the planted bugs: found or not, by which rule, seeds and seconds to find");
  const auto arguments = std::make_shared<Arguments>();
  app->add_option("--only", arguments->only, "these, with commas")->delimiter(',')->check(CLI::IsMember(names()));
  app->add_option("--seconds", arguments->seconds_max, "for each at most")->check(CLI::PositiveNumber);
  app->add_option("--first-seed", arguments->first_seed, "where the seeds begin");
  return {app, [arguments, program] { return canaries(*arguments, program); }};
}

}  // namespace assent::sim
