// assent-sim replay: one seed again, told as it happens, with files for independent checkers.
#include <fmt/format.h>

#include <fstream>
#include <memory>

#include "sim/commands/commands.h"

namespace assent::sim {
namespace {

struct Arguments {
  RunOptions options;
  bool check_determinism = false;
  bool in_process = false;
};

// So that a name that cannot be written is found before the run and not after it.
bool writable(const std::string& path) {
  if (path.empty() || std::ofstream(path)) return true;
  fmt::print(stderr, "the file {} cannot be written; name another place\n", path);
  return false;
}

int replay(const Arguments& arguments, const std::string& program) {
  const RunOptions& options = arguments.options;
  for (const std::string& path : {options.history_path, options.raft_trace_path, options.commit_trace_path}) {
    if (!writable(path)) return exit_usage;
  }
  print_head(std::to_string(options.seed));
  RunResult result = arguments.in_process ? run_seed(options) : run_seed_guarded(options);
  if (arguments.check_determinism && result.verdict == Verdict::ok) {
    const RunResult again = run_seed_guarded(RunOptions{options.seed, options.choices, std::nullopt, {}, {}, {}});
    if (again.digest != result.digest) {
      result.verdict = Verdict::wrong;
      result.why = "L7 determinism: two runs of this seed have different digests";
    }
  }
  Report report;
  report.add(result);
  fmt::print("drawn: {}\n{}", result.shape, describe(report));
  fmt::print("{}", describe(result));
  if (result.verdict != Verdict::ok) fmt::print("{}", describe_failure(result, options.choices, program));
  return static_cast<int>(result.verdict);
}

}  // namespace

Command add_replay(CLI::App& main, const std::string& program) {
  auto* app = main.add_subcommand("replay", "runs one seed again and shows it");
  const auto arguments = std::make_shared<Arguments>();
  app->add_option("--seed", arguments->options.seed, "this one")->required();
  add_choices(*app, arguments->options.choices);
  add_narrate(*app, arguments->options.narrate);
  app->add_option("--history", arguments->options.history_path, "what clients saw, to this file, as Jepsen writes it");
  app->add_option("--raft-trace", arguments->options.raft_trace_path, "what the Raft cores do, to this file");
  app->add_option("--commit-trace", arguments->options.commit_trace_path,
                  "what becomes of each transaction, to this file");
  app->add_flag("--check-determinism", arguments->check_determinism, "run it twice; the digests must be equal");
  app->add_flag("--in-process", arguments->in_process, "no child process, for a debugger");
  return {app, [arguments, program] { return replay(*arguments, program); }};
}

}  // namespace assent::sim
