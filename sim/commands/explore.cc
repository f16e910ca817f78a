// assent-sim explore: every interleaving of a small history, over the real machines (sim/explore/).
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/planted.h"
#include "sim/commands/commands.h"
#include "sim/explore/ballot_model.h"
#include "sim/explore/explorer.h"
#include "sim/explore/refutations.h"

namespace assent::sim {
namespace {

struct Arguments {
  std::string model;
  std::string bug;
  bool list = false;
  bool refute = false;
  explore::ExploreOptions options;
};

int list_models() {
  for (const explore::Model& model : explore::models()) {
    fmt::print("{:<18} {}\n{:<18} {}\n", model.name, model.about, "", explore::describe(model.bounds));
  }
  for (const explore::BallotModel& model : explore::ballot_models()) fmt::print("{:<18} {}\n", model.name, model.about);
  return 0;
}

bool plant_bug(const std::string& name) {
#ifdef ASSENT_PLANTED_BUGS
  if (const auto bug = planted_bug(name)) {
    plant(*bug);
    return true;
  }
  fmt::print(stderr, "there is no planted bug '{}'; base/planted.h lists them\n", name);
#else
  fmt::print(stderr, "this program has no planted bug '{}' nor any other; use assent-sim-planted\n", name);
#endif
  return false;
}

int refute_bugs() {
#ifdef ASSENT_PLANTED_BUGS
  bool all = true;
  fmt::print("{:<28} {:<17} {:>5} {:>8} {:>7}  {}\n", "bug", "model", "steps", "states", "seconds", "by");
  for (const explore::Refutation& one : explore::refutations()) {
    plant(one.bug);
    const explore::Findings found = explore::explore(*explore::find_model(one.model));
    const auto name = std::ranges::find(planted_bugs(), one.bug, &PlantedBug::bug)->name;
    fmt::print("{:<28} {:<17} {:>5} {:>8} {:>7.1f}  {}\n", name, one.model, found.steps, found.states, found.seconds,
               found.violated.empty() ? "NOT REFUTED" : found.violated);
    std::fflush(stdout);
    all &= !found.violated.empty();
  }
  for (const explore::Refutation& one : explore::ballot_refutations()) {
    plant(one.bug);
    const explore::BallotFindings found = explore::explore(*explore::find_ballot_model(one.model));
    const auto name = std::ranges::find(planted_bugs(), one.bug, &PlantedBug::bug)->name;
    fmt::print("{:<28} {:<17} {:>5} {:>8} {:>7.1f}  {}\n", name, one.model, found.steps, found.states, found.seconds,
               found.violated.empty() ? "NOT REFUTED" : found.violated);
    all &= !found.violated.empty();
  }
  plant(Bug::none);
  return all ? 0 : static_cast<int>(Verdict::wrong);
#else
  fmt::print(stderr, "this program has no planted bugs; use assent-sim-planted\n");
  return exit_usage;
#endif
}

void show_progress(std::uint64_t states, std::uint64_t left, unsigned depth) {
  fmt::print(stderr, "{} states, {} of them not gone on from, depth {}\n", states, left, depth);
}

void print_figures(const explore::Findings& found) {
  const double seconds = std::max(found.seconds, 0.001);
  fmt::print("states={} transitions={} depth={} covered={} combinations={} messages={} sides={} code_steps={}\n",
             found.states, found.transitions, found.depth, found.covered, found.combinations, found.messages,
             found.sides, found.code_steps);
  fmt::print("seconds={:.1f} states_per_second={:.0f} transitions_per_second={:.0f}\n", found.seconds,
             static_cast<double>(found.states) / seconds, static_cast<double>(found.transitions) / seconds);
}

int run_ballots(const explore::BallotModel& model, const Arguments& arguments) {
  if (!arguments.bug.empty() && !plant_bug(arguments.bug)) return exit_usage;
  fmt::print("model={} {}\n", model.name, model.about);
  std::fflush(stdout);
  const explore::BallotFindings found = explore::explore(model, arguments.options.states_max);
  for (const std::string& line : found.counterexample) fmt::print("{}\n", line);
  fmt::print("states={} transitions={} depth={} seconds={:.1f}\n", found.states, found.transitions, found.depth,
             found.seconds);
  if (!found.violated.empty()) {
    fmt::print("verdict=wrong after {} steps: {}\n", found.steps, found.violated);
    return static_cast<int>(Verdict::wrong);
  }
  if (!found.complete) {
    fmt::print("verdict=stuck: more than {} states; --states-max allows more\n", arguments.options.states_max);
    return static_cast<int>(Verdict::stuck);
  }
  fmt::print("verdict=ok: complete within its bounds, no rule is violated\n");
  return 0;
}

int run(const Arguments& arguments) {
  if (arguments.list) return list_models();
  if (arguments.refute) return refute_bugs();
  const explore::Model* model = explore::find_model(arguments.model);
  const explore::BallotModel* ballots = explore::find_ballot_model(arguments.model);
  if (ballots != nullptr) return run_ballots(*ballots, arguments);
  if (model == nullptr) {
    fmt::print(stderr, "there is no model '{}'; assent-sim explore --list names them\n", arguments.model);
    return exit_usage;
  }
  if (!arguments.bug.empty() && !plant_bug(arguments.bug)) return exit_usage;
  fmt::print("model={} {}\n", model->name, explore::describe(model->bounds));
  std::fflush(stdout);
  const explore::Findings found = explore::explore(*model, arguments.options);
  for (const std::string& line : found.counterexample) fmt::print("{}\n", line);
  print_figures(found);
  if (!found.violated.empty()) {
    fmt::print("verdict=wrong after {} steps: {}\n", found.steps, found.violated);
    return static_cast<int>(Verdict::wrong);
  }
  if (!found.complete) {
    fmt::print("verdict=stuck: more than {} states; --states-max allows more\n", arguments.options.states_max);
    return static_cast<int>(Verdict::stuck);
  }
  fmt::print("verdict=ok: complete within its bounds, no rule is violated\n");
  return 0;
}

}  // namespace

Command add_explore(CLI::App& main) {
  const auto arguments = std::make_shared<Arguments>();
  arguments->options.progress = show_progress;
  CLI::App* command = main.add_subcommand("explore", "every interleaving of a small history, over the real machines");
  command->add_option("model", arguments->model, "which; --list names them");
  command->add_flag("--list", arguments->list, "name the models and their bounds");
  command->add_flag("--refute", arguments->refute, "all planted bugs that it refutes (assent-sim-planted only)");
  command->add_option("--bug", arguments->bug, "with this planted bug (assent-sim-planted only)");
  command->add_option("--states-max", arguments->options.states_max, "give up beyond so many states");
  command->add_flag("--doubt-digests", arguments->options.doubt_digests,
                    "whenever two states of a replica are taken for one, test that they act alike (slow)");
  return Command{command, [arguments] { return run(*arguments); }};
}

}  // namespace assent::sim
