// assent-sim shrink: the smallest run that still fails by the same rule. It takes away, one after the other and as long
// as anything can go: kinds of faults, limits that were drawn down, clients, requests, time.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "sim/commands/commands.h"
#include "sim/swarm.h"

namespace assent::sim {
namespace {

constexpr std::uint64_t requests_drawn_max = 512;  // more than the clients of a seed begin

struct Arguments {
  std::uint64_t seed = 0;
  Choices choices;
  unsigned runs_max = 400;
};

class Shrinker {
 public:
  Shrinker(const Arguments& arguments, const RunResult& first)
      : seed_(arguments.seed), runs_left_(arguments.runs_max), best_(arguments.choices), failure_(first) {}

  void run() {
    spell_out();
    bool smaller = true;
    while (smaller && runs_left_ > 0) {
      smaller = drop_faults();
      smaller = drop_limits() || smaller;
      smaller = fewer_clients() || smaller;
      smaller = fewer_requests() || smaller;
      smaller = less_time() || smaller;
    }
  }
  [[nodiscard]] const Choices& best() const { return best_; }
  [[nodiscard]] const RunResult& failure() const { return failure_; }

 private:
  // Whether it still fails by the same rule; then it is the new best.
  bool try_out(const Choices& choices) {
    if (runs_left_ == 0 || choices == best_) return false;
    --runs_left_;
    const RunResult result = run_seed_guarded(RunOptions{seed_, choices, std::nullopt, {}, {}, {}});
    if (result.verdict != failure_.verdict || rule_of(result) != rule_of(failure_)) return false;
    best_ = choices;
    failure_ = result;
    fmt::print("still fails with{}\n", to_options(best_));
    std::fflush(stdout);
    return true;
  }

  // What the seed drew, as choices, so that a part of it can be taken away.
  void spell_out() {
    const Swarm drawn = draw_swarm(Rng(seed_).split("swarm"), best_);
    Choices choices = best_;
    if (!choices.faults && !drawn.faultless()) choices.faults = *parse_faults(drawn.faults);
    (void)try_out(choices);
  }

  bool drop_faults() {
    bool smaller = false;
    if (!best_.faults) return false;
    for (std::size_t i = best_.faults->size(); i-- > 0;) {
      Choices choices = best_;
      choices.faults->erase(choices.faults->begin() + static_cast<std::ptrdiff_t>(i));
      smaller = try_out(choices) || smaller;
    }
    return smaller;
  }

  bool drop_limits() {
    Choices choices = best_;
    choices.plain_snapshots = true;
    const bool smaller = try_out(choices);
    choices = best_;
    choices.plain_loops = true;
    const bool fewer_loops = try_out(choices);
    choices = best_;
    choices.plain_limits = true;
    return try_out(choices) || smaller || fewer_loops;
  }

  bool fewer_clients() {
    const unsigned now = best_.clients.value_or(draw_swarm(Rng(seed_).split("swarm"), best_).clients);
    for (unsigned clients = 1; clients < now; ++clients) {
      Choices choices = best_;
      choices.clients = clients;
      if (try_out(choices)) return true;
    }
    return false;
  }

  // By halves, then by one.
  bool fewer_requests() {
    std::uint64_t now = best_.requests.value_or(requests_drawn_max);
    bool smaller = false;
    for (std::uint64_t less = (now + 1) / 2; less > 0 && now > 0;) {
      Choices choices = best_;
      choices.requests = now - std::min(less, now);
      if (try_out(choices)) {
        now = *choices.requests;
        smaller = true;
      } else {
        less /= 2;
      }
    }
    return smaller;
  }

  bool less_time() {
    const Micros now = best_.chaos.value_or(draw_swarm(Rng(seed_).split("swarm"), best_).chaos);
    Choices choices = best_;
    choices.chaos = now / 2 / millisecond * millisecond;
    return *choices.chaos > 0 && try_out(choices);
  }

  std::uint64_t seed_;
  unsigned runs_left_;
  Choices best_;
  RunResult failure_;
};

int shrink(const Arguments& arguments, const std::string& program) {
  print_head(std::to_string(arguments.seed));
  const RunResult first = run_seed_guarded(RunOptions{arguments.seed, arguments.choices, std::nullopt, {}, {}, {}});
  if (first.verdict == Verdict::ok) {
    fmt::print("seed {} does not fail with these choices: there is nothing to shrink\n", arguments.seed);
    return 0;
  }
  fmt::print("fails by {}: {}\n", rule_of(first), first.why);
  std::fflush(stdout);
  Shrinker shrinker(arguments, first);
  shrinker.run();
  fmt::print("the smallest found: {} events in place of {}\n{}", shrinker.failure().events, first.events,
             describe_failure(shrinker.failure(), shrinker.best(), program));
  return static_cast<int>(first.verdict);
}

}  // namespace

Command add_shrink(CLI::App& main, const std::string& program) {
  auto* app = main.add_subcommand("shrink", "the smallest run of a failing seed that still fails by the same rule");
  const auto arguments = std::make_shared<Arguments>();
  app->add_option("--seed", arguments->seed, "this one")->required();
  add_choices(*app, arguments->choices);
  app->add_option("--runs", arguments->runs_max, "tried at most");
  return {app, [arguments, program] { return shrink(*arguments, program); }};
}

}  // namespace assent::sim
