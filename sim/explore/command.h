// assent-sim explore: the explorer on the command line. Exit codes as the program's: 0 complete and well, 2 a rule is
// violated, 3 stuck (not complete within the states allowed), 64 usage.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace assent::explore {

struct ExploreCommand {
  std::string model;
  std::string bug;  // planted; only in the planted preset
  bool list = false;
  bool doubt_digests = false;
  std::uint64_t states_max = 100'000'000;
};

// Adds the subcommand; when it was chosen (subcommand->parsed()), run_explore does it and returns the exit code.
CLI::App* add_explore_command(CLI::App& app, ExploreCommand& command);
[[nodiscard]] int run_explore(const ExploreCommand& command);

}  // namespace assent::explore
