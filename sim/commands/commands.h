// The subcommands of assent-sim, one file each. A subcommand adds itself to the application and gives what to do when
// it was chosen; main.cc knows the list and nothing else.
//
// Exit codes of all: 0 all well, 1 a run crashed, 2 wrong, 3 stuck, 64 usage. The first line of output is
// `seed=... commit=...` where seeds are run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>

#include "sim/choices.h"
#include "sim/recorder.h"
#include "sim/runner.h"

namespace assent::sim {

inline constexpr int exit_usage = 64;

struct Command {
  CLI::App* app = nullptr;   // chosen when it was parsed
  std::function<int()> run;  // the exit code
};

// program: how the user called us, for the commands that we print.
[[nodiscard]] Command add_run(CLI::App& main, const std::string& program);
[[nodiscard]] Command add_replay(CLI::App& main, const std::string& program);
[[nodiscard]] Command add_shrink(CLI::App& main, const std::string& program);
[[nodiscard]] Command add_canaries(CLI::App& main, const std::string& program);
[[nodiscard]] Command add_report(CLI::App& main, const std::string& program);
[[nodiscard]] Command add_explore(CLI::App& main);
[[nodiscard]] Command add_matrix(CLI::App& main);
[[nodiscard]] Command add_walk(CLI::App& main, const std::string& program);
[[nodiscard]] Command add_grow(CLI::App& main, const std::string& program);

// ---- what they share ----

struct SeedRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;  // included
};
// Options that fill what they are given, which must outlive the parsing; a bad value is a usage error.
CLI::Option* add_seeds(CLI::App& command, SeedRange& seeds);
void add_choices(CLI::App& command, Choices& choices);
void add_jobs(CLI::App& command, unsigned& jobs);
// "2.5..3" in simulated seconds, either end may be left out; alone: all of it.
void add_narrate(CLI::App& command, std::optional<TimeSpan>& narrate);

// What a long run of default choices never reached fails it: the exit code, 0 when nothing is amiss.
[[nodiscard]] int judge_rare_states(const Report& report, const Choices& choices);

// In a build with planted bugs: --plant NAME, for every subcommand.
void add_plant(CLI::App& main);

void print_head(const std::string& seeds);
[[nodiscard]] std::string to_string(const SeedRange& seeds);

}  // namespace assent::sim
