// assent-sim: runs the whole system in virtual time from seeds. Exit codes: 0 all well, 1 crash, 2 wrong, 3 stuck, 64
// usage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <string>

#include "sim/runner.h"

namespace {

using namespace assent::sim;

struct Arguments {
  std::uint64_t seed = 0;
  std::string seeds;
  bool narrate = false;
  std::string history;
  unsigned jobs = 1;
  bool check_determinism = false;
  bool first_failure = false;
  bool report = false;
  bool in_process = false;
};

bool parse_range(const std::string& text, Campaign& campaign) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) return false;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto low = std::from_chars(begin, begin + dots, campaign.first);
  const auto high = std::from_chars(begin + dots + 2, end, campaign.last);
  return low.ec == std::errc{} && low.ptr == begin + dots && high.ec == std::errc{} && high.ptr == end &&
         campaign.first <= campaign.last;
}

int run_one(const Arguments& arguments, const std::string& program) {
  const RunOptions options{arguments.seed, arguments.narrate, arguments.history};
  RunResult result = arguments.in_process ? run_seed(options) : run_seed_guarded(options);
  if (arguments.check_determinism && result.verdict == Verdict::ok) {
    const RunResult again = run_seed_guarded(RunOptions{arguments.seed, false, {}});
    if (again.digest != result.digest) {
      result.verdict = Verdict::wrong;
      result.why = "L7 determinism: two runs of this seed have different digests";
    }
  }
  fmt::print("drawn: {}\n", result.shape);
  fmt::print("seed={} verdict={} digest={:016x} events={} virtual_ms={}\n", result.seed, to_string(result.verdict),
             result.digest, result.events, result.virtual_time / millisecond);
  if (result.verdict != Verdict::ok) fmt::print("{}", describe_failure(result, program));
  if (arguments.report) {
    Report report;
    report.add(result);
    fmt::print("{}", describe(report));
  }
  return static_cast<int>(result.verdict);
}

int run_many(const Arguments& arguments, Campaign campaign) {
  campaign.jobs = std::max(1U, arguments.jobs);
  campaign.check_determinism = arguments.check_determinism;
  campaign.first_failure = arguments.first_failure;
  const Report report = run_campaign(campaign);
  fmt::print("{}", describe(report));
  return static_cast<int>(report.worst());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs whole Assent clusters in virtual time, from seeds, with faults, and judges what they do."};
  Arguments arguments;
  auto* seed = app.add_option("--seed", arguments.seed, "run this one seed");
  auto* seeds = app.add_option("--seeds", arguments.seeds, "run many: FIRST..LAST, both included")->excludes(seed);
  app.add_flag("--narrate", arguments.narrate, "say what happens, with virtual times")->excludes(seeds);
  app.add_option("--history", arguments.history, "write what clients saw to this file, one JSON object a line")
      ->excludes(seeds);
  app.add_option("--jobs", arguments.jobs, "seeds at a time, each in a process of its own")->excludes(seed);
  app.add_flag("--check-determinism", arguments.check_determinism, "run each seed twice and compare the digests");
  app.add_flag("--first-failure", arguments.first_failure, "end at the first seed that fails")->excludes(seed);
  app.add_flag("--report", arguments.report, "after one seed: faults, outcomes and rare states");
  app.add_flag("--in-process", arguments.in_process, "no child process, for a debugger");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 64;
  }
  Campaign campaign;
  campaign.program = argv[0];
  if (seeds->count() > 0 && !parse_range(arguments.seeds, campaign)) {
    fmt::print(stderr, "--seeds wants two numbers like 1..300, the first not above the last\n");
    return 64;
  }
  if (seeds->count() == 0 && seed->count() == 0) {
    fmt::print(stderr, "name a seed (--seed 7) or a range of them (--seeds 1..300)\n");
    return 64;
  }
  if (!arguments.history.empty() && !std::ofstream(arguments.history)) {
    fmt::print(stderr, "the history file {} cannot be written; name another place\n", arguments.history);
    return 64;
  }
  fmt::print("seed={} commit={}\n", seeds->count() > 0 ? arguments.seeds : std::to_string(arguments.seed),
             ASSENT_COMMIT);
  std::fflush(stdout);
  return seeds->count() > 0 ? run_many(arguments, campaign) : run_one(arguments, argv[0]);
}
