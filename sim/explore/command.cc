#include "sim/explore/command.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/planted.h"
#include "sim/explore/explorer.h"

namespace assent::explore {
namespace {

constexpr int well = 0;
constexpr int wrong = 2;
constexpr int stuck = 3;
constexpr int usage = 64;

int list_models() {
  for (const Model& model : models()) {
    const Bounds& bounds = model.bounds;
    fmt::print("{:<16} {}; elections: coordinator {}, each shard {}, in all {}{}{}\n", model.name, model.about,
               bounds.coordinator_elections, bounds.shard_elections, bounds.elections,
               bounds.refusals > 0 ? fmt::format("; refused entries {}", bounds.refusals) : "",
               bounds.ageing ? "; time beyond every horizon" : "");
  }
  return well;
}

bool plant_bug(const std::string& name) {
#ifdef ASSENT_PLANTED_BUGS
  const auto bug = planted_bug(name);
  if (bug) {
    plant(*bug);
    return true;
  }
  fmt::print(stderr, "there is no planted bug '{}'; base/planted.h lists them\n", name);
#else
  fmt::print(stderr, "this build has no planted bug '{}' or any other; use one of the preset 'planted'\n", name);
#endif
  return false;
}

void show_progress(std::uint64_t states, std::uint64_t left, unsigned depth) {
  fmt::print(stderr, "{} states, {} of them not gone on from, depth {}\n", states, left, depth);
}

}  // namespace

CLI::App* add_explore_command(CLI::App& app, ExploreCommand& command) {
  CLI::App* explore = app.add_subcommand("explore", "every interleaving of a small history, over the real machines");
  explore->add_option("model", command.model, "which; --list names them");
  explore->add_flag("--list", command.list, "name the models and their bounds");
  explore->add_option("--bug", command.bug, "with this planted bug (preset 'planted' only)");
  explore->add_option("--states-max", command.states_max, "give up beyond so many states");
  explore->add_flag("--doubt-digests", command.doubt_digests,
                    "whenever two states are taken for one, test that they act alike (slow)");
  return explore;
}

int run_explore(const ExploreCommand& command) {
  if (command.list) return list_models();
  const Model* model = find_model(command.model);
  if (model == nullptr) {
    fmt::print(stderr, "there is no model '{}'; assent-sim explore --list names them\n", command.model);
    return usage;
  }
  if (!command.bug.empty() && !plant_bug(command.bug)) return usage;
  ExploreOptions options;
  options.states_max = command.states_max;
  options.doubt_digests = command.doubt_digests;
  options.progress = show_progress;
  const Findings found = explore(*model, options);
  for (const std::string& line : found.counterexample) fmt::print("{}\n", line);
  fmt::print(
      "model={} states={} transitions={} depth={} covered={} combinations={} messages={} sides={} code_steps={}\n",
      model->name, found.states, found.transitions, found.depth, found.covered, found.combinations, found.messages,
      found.sides, found.code_steps);
  fmt::print("seconds={:.1f} states_per_second={:.0f} transitions_per_second={:.0f}\n", found.seconds,
             static_cast<double>(found.states) / found.seconds, static_cast<double>(found.transitions) / found.seconds);
  if (!found.violated.empty()) {
    fmt::print("verdict: wrong after {} steps: {}\n", found.steps, found.violated);
    return wrong;
  }
  fmt::print("verdict: {}\n", found.complete ? "complete; no rule is violated" : "not complete: too many states");
  return found.complete ? well : stuck;
}

}  // namespace assent::explore
