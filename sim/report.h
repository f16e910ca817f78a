// What many runs were together, and how it is told to a person. Knows no processes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/choices.h"
#include "sim/recorder.h"
#include "sim/world.h"

namespace assent::sim {

// A run of so many seeds must have reached every rare state.
inline constexpr std::uint64_t long_run_seeds = 2'000;

struct Report {
  std::uint64_t seeds = 0;
  std::vector<RunResult> failures;
  Counters faults;
  Counters outcomes;
  Counters rare;
  std::uint64_t events = 0;
  Micros virtual_time = 0;
  double seconds = 0;            // of the clock on the wall
  double processor_seconds = 0;  // of all jobs together

  void add(const RunResult& result);
  void add(const Report& more);
  [[nodiscard]] Verdict worst() const;
  // In the order of rare_states().
  [[nodiscard]] std::vector<std::string_view> never_reached() const;
};

// One line: seeds, failures, simulated hours, speed.
[[nodiscard]] std::string summary(const Report& report);
// The faults that fired by kind, what clients heard, and which rare states were reached.
[[nodiscard]] std::string describe(const Report& report);

[[nodiscard]] std::string describe(const RunResult& result);
// The rule that a failed run broke: what stands before the first colon of its verdict; all of a crash.
[[nodiscard]] std::string rule_of(const RunResult& result);
// " --plant NAME" when a bug is planted: without it the command would show nothing.
[[nodiscard]] std::string plant_option();
[[nodiscard]] std::string replay_command(const std::string& program, std::uint64_t seed, const Choices& choices);
// The seed, the verdict in one sentence, what was drawn, and the command that replays it.
[[nodiscard]] std::string describe_failure(const RunResult& result, const Choices& choices, const std::string& program);

}  // namespace assent::sim
