#include "sim/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/planted.h"

namespace assent::sim {
namespace {

std::string list(std::string_view title, const Counters& counters) {
  std::string text = fmt::format("{}\n", title);
  for (const auto& [name, count] : counters) text += fmt::format("  {:>10}  {}\n", count, name);
  return text;
}

}  // namespace

void Report::add(const RunResult& result) {
  ++seeds;
  events += result.events;
  virtual_time += result.virtual_time;
  merge(faults, result.faults);
  merge(outcomes, result.outcomes);
  merge(rare, result.rare);
  if (result.verdict != Verdict::ok) failures.push_back(result);
}

void Report::add(const Report& more) {
  seeds += more.seeds;
  failures.insert(failures.end(), more.failures.begin(), more.failures.end());
  merge(faults, more.faults);
  merge(outcomes, more.outcomes);
  merge(rare, more.rare);
  events += more.events;
  virtual_time += more.virtual_time;
  seconds += more.seconds;
  processor_seconds += more.processor_seconds;
}

// The exit code: the lowest that occurred, because a crash is worse than a wrong answer, and that worse than a stuck
// run.
Verdict Report::worst() const {
  Verdict worst = Verdict::ok;
  for (const RunResult& failure : failures) {
    if (worst == Verdict::ok || failure.verdict < worst) worst = failure.verdict;
  }
  return worst;
}

std::vector<std::string_view> Report::never_reached() const {
  std::vector<std::string_view> never;
  for (const std::string_view name : rare_states()) {
    if (!rare.contains(std::string(name))) never.push_back(name);
  }
  return never;
}

std::string summary(const Report& report) {
  const double simulated = static_cast<double>(report.virtual_time) / second;
  const double real = std::max(report.seconds, 0.001);
  const double processor = std::max(report.processor_seconds, 0.001);
  return fmt::format(
      "{} seeds, {} failed; {} events, {:.2f} simulated hours in {:.1f} s: {:.1f} seeds a second; {:.1f} seeds and "
      "{:.0f} "
      "simulated seconds for each second of a processor\n",
      report.seeds, report.failures.size(), report.events, simulated / 3600, report.seconds,
      static_cast<double>(report.seeds) / real, static_cast<double>(report.seeds) / processor, simulated / processor);
}

std::string describe(const Report& report) {
  std::string text = list("faults fired", report.faults) + list("outcomes", report.outcomes) + "rare states\n";
  for (const std::string_view name : rare_states()) {
    const auto found = report.rare.find(std::string(name));
    text += fmt::format("  {:>10}  {}\n", found == report.rare.end() ? "NEVER" : std::to_string(found->second), name);
  }
  return text;
}

std::string describe(const RunResult& result) {
  return fmt::format("seed={} verdict={} digest={:016x} events={} virtual_ms={}\n", result.seed,
                     to_string(result.verdict), result.digest, result.events, result.virtual_time / millisecond);
}

std::string rule_of(const RunResult& result) {
  if (result.verdict == Verdict::crash) return "crash: " + result.why;
  return fmt::format("{}: {}", to_string(result.verdict), result.why.substr(0, result.why.find(':')));
}

std::string plant_option() {
  const auto bugs = planted_bugs();
  const auto found = std::ranges::find_if(bugs, [](const PlantedBug& one) { return planted(one.bug); });
  return found == bugs.end() ? std::string() : fmt::format(" --plant {}", found->name);
}

std::string replay_command(const std::string& program, std::uint64_t seed, const Choices& choices) {
  return fmt::format("{}{} replay --seed {}{}", program, plant_option(), seed, to_options(choices));
}

std::string describe_failure(const RunResult& result, const Choices& choices, const std::string& program) {
  return fmt::format("FAILED seed={} {}: {}\n  drawn: {}\n  replay: {} --narrate\n", result.seed,
                     to_string(result.verdict), result.why, result.shape,
                     replay_command(program, result.seed, choices));
}

}  // namespace assent::sim
