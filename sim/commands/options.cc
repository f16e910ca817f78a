// Options that several subcommands have.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <cstdio>

#include "sim/commands/commands.h"
#include "sim/workload.h"

namespace assent::sim {
namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Micros> parse_seconds(const std::string& text, Micros absent) {
  if (text.empty()) return absent;
  double seconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || !(seconds >= 0) || seconds > 1e9) {
    return std::nullopt;
  }
  return static_cast<Micros>(std::llround(seconds * static_cast<double>(second)));
}

SeedRange parse_seeds(const std::string& text) {
  const std::size_t dots = text.find("..");
  const auto first = parse_number(text.substr(0, dots));
  const auto last = dots == std::string::npos ? first : parse_number(text.substr(dots + 2));
  if (!first || !last || *first > *last) {
    throw CLI::ValidationError("--seeds", "wants one number, or two like 1..300, the first not above the last");
  }
  return SeedRange{*first, *last};
}

TimeSpan parse_span(const std::string& text) {
  const std::size_t dots = text.find("..");
  const auto from = parse_seconds(text.substr(0, dots), 0);
  const auto to = dots == std::string::npos ? from : parse_seconds(text.substr(dots + 2), TimeSpan{}.to);
  if (!from || !to || *from > *to || dots == std::string::npos) {
    throw CLI::ValidationError("--narrate", "wants simulated seconds like 2.5..3, or nothing for all of them");
  }
  return TimeSpan{*from, *to};
}

template <class T>
T value_or_usage(Result<T> parsed) {
  if (!parsed) throw CLI::ValidationError(parsed.error().message);
  return std::move(*parsed);
}

template <class T>
auto set(std::optional<T>& target) {
  return [&target](const T& value) { target = value; };
}

}  // namespace

CLI::Option* add_seeds(CLI::App& command, SeedRange& seeds) {
  return command.add_option_function<std::string>(
      "--seeds", [&seeds](const std::string& text) { seeds = parse_seeds(text); },
      "FIRST..LAST, both included; or one");
}

void add_choices(CLI::App& command, Choices& choices) {
  const std::vector<std::string_view> workloads = workload_names();
  command.add_option("--workload", choices.workload, fmt::format("{}", fmt::join(workloads, ", ")))
      ->check(CLI::IsMember(std::vector<std::string>(workloads.begin(), workloads.end())));
  command.add_option_function<std::string>(
      "--faults", [&choices](const std::string& text) { choices.faults = value_or_usage(parse_faults(text)); },
      fmt::format("all (what the seed draws), none, or exactly these, with commas: {}",
                  fmt::join(fault_kind_names(), " ")));
  command.add_option_function<std::string>(
      "--protocol", [&choices](const std::string& text) { choices.protocol = value_or_usage(parse_protocol(text)); },
      "of every transaction for which it is sound: drawn, auto, one-phase, two-phase");
  command.add_option_function<unsigned>("--clients", set(choices.clients), "so many")->check(CLI::Range(1U, 100U));
  command.add_option_function<std::uint64_t>("--requests", set(choices.requests), "clients begin no more in all");
  command.add_option_function<std::uint64_t>(
      "--chaos", [&choices](const std::uint64_t& millis) { choices.chaos = millis * millisecond; },
      "how long clients and faults run, in simulated milliseconds");
  command.add_flag("--plain-limits", choices.plain_limits, "every limit at its usual value");
  command.add_flag("--plain-raft", choices.plain_raft,
                   "groups never sleep, no read is answered by a lease, and none is stale");
  command.add_flag("--plain-snapshots", choices.plain_snapshots, "snapshots are made, and travel, all at once");
  command.add_flag("--plain-leaving", choices.plain_leaving, "a replica that was removed keeps what it had");
  command.add_flag("--plain-loops", choices.plain_loops, "each node has one loop");
  command.add_flag("--plain-disks", choices.plain_disks, "nothing at rest is damaged");
  command.add_flag("--yardstick", choices.yardstick, "the shape by which speed is measured");
}

void add_jobs(CLI::App& command, unsigned& jobs) {
  command.add_option("--jobs", jobs, "seeds at a time, each in a process of its own")->check(CLI::Range(1U, 1'000U));
}

void add_narrate(CLI::App& command, std::optional<TimeSpan>& narrate) {
  command
      .add_option_function<std::string>(
          "--narrate", [&narrate](const std::string& text) { narrate = text.empty() ? TimeSpan{} : parse_span(text); },
          "say what happens, and when; FROM..TO: between these simulated seconds only")
      ->expected(0, 1);
}

void print_head(const std::string& seeds) {
  fmt::print("seed={} commit={}\n", seeds, ASSENT_COMMIT);
  std::fflush(stdout);
}

std::string to_string(const SeedRange& seeds) {
  return seeds.first == seeds.last ? std::to_string(seeds.first) : fmt::format("{}..{}", seeds.first, seeds.last);
}

}  // namespace assent::sim
