// assent-sim matrix: the crash matrix of one protocol, as the test run plays it, with its figures; and the story of a
// plan that breaks a rule (sim/explore/crash_matrix.h).
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/commands/commands.h"
#include "sim/explore/crash_matrix.h"
#include "sim/services/service_matrix.h"

namespace assent::sim {
namespace {

using Clock = std::chrono::steady_clock;
using explore::CrashMatrix;
using explore::Model;
using explore::PairsResult;
using explore::Strike;

constexpr double progress_gap_seconds = 5;

struct Arguments {
  std::string protocol = "three-phase";
  unsigned shards = 3;
  std::string services;  // the name of a case; all of them: "all"
  std::uint64_t stride = 1;
};

std::optional<Protocol> protocol_named(const std::string& name) {
  for (const Protocol one : {Protocol::one_phase, Protocol::two_phase, Protocol::three_phase, Protocol::paxos_commit}) {
    if (to_string(one) == name) return one;
  }
  return std::nullopt;
}

int wrong(const Model& model, const std::vector<Strike>& plan, const std::string& broken) {
  for (const Strike& strike : plan) fmt::print("plan: {}\n", describe(strike));
  std::vector<std::string> lines;
  static_cast<void>(CrashMatrix(model).run(plan, &lines));
  for (const std::string& line : lines) fmt::print("{}\n", line);
  fmt::print("verdict=wrong: {}\n", broken);
  return static_cast<int>(Verdict::wrong);
}

int singles(const Model& model, const std::vector<Strike>& all) {
  CrashMatrix matrix(model);
  std::size_t committed = 0;
  for (const Strike& one : all) {
    const std::vector<Strike> plan = {one};
    const explore::DrillResult result = matrix.run(plan);
    if (!result.broken.empty()) return wrong(model, plan, result.broken);
    committed += result.committed ? 1 : 0;
  }
  fmt::print("each of {} faults: {} committed\n", all.size(), committed);
  return 0;
}

int pairs(const Model& model, std::string_view what, const std::vector<Strike>& first,
          const std::vector<Strike>& second) {
  const auto begun = Clock::now();
  const auto seconds = [begun] { return std::chrono::duration<double>(Clock::now() - begun).count(); };
  double said = 0;
  const PairsResult result = explore::run_pairs(model, first, second, [&](const PairsResult& so_far) {
    if (seconds() < said + progress_gap_seconds) return;
    said = seconds();
    fmt::print(stderr, "{}: {} of {}, {:.0f} s\n", what, so_far.plans, first.size() * second.size(), seconds());
  });
  if (!result.broken.empty()) return wrong(model, result.plan, result.broken);
  fmt::print("{}: {} plans, both struck in {}, {} committed; {:.0f} s\n", what, result.plans, result.both_struck,
             result.committed, seconds());
  std::fflush(stdout);
  return 0;
}

int services(const DrillCase& which, std::uint64_t stride) {
  const auto begun = Clock::now();
  const auto seconds = [begun] { return std::chrono::duration<double>(Clock::now() - begun).count(); };
  double said = 0;
  const ServiceMatrixResult result = run_service_matrix(which, stride, [&](const ServiceMatrixResult& so_far) {
    if (seconds() < said + progress_gap_seconds) return;
    said = seconds();
    fmt::print(stderr, "{}: {} faults, {} pairs, {:.0f} s\n", which.name, so_far.singles, so_far.pairs, seconds());
  });
  if (!result.broken.empty()) {
    fmt::print("{}: {}\n", which.name, result.broken);
    static_cast<void>(run_drill(which, result.plan, true));
    fmt::print("plan:\n{}verdict=wrong: {}\n", describe_plan(which, result.plan), result.broken);
    return static_cast<int>(Verdict::wrong);
  }
  fmt::print("{}: {} points, {} faults, {} pairs, {} committed; {:.0f} s\n", which.name, result.points, result.singles,
             result.pairs, result.committed, seconds());
  std::fflush(stdout);
  return 0;
}

int services(const Arguments& arguments) {
  bool known = false;
  for (const DrillCase& one : drill_cases()) {
    if (arguments.services != "all" && arguments.services != one.name) continue;
    known = true;
    if (const int code = services(one, arguments.stride); code != 0) return code;
  }
  if (!known) {
    fmt::print(stderr, "there is no such case; all, or one of:");
    for (const DrillCase& one : drill_cases()) fmt::print(stderr, " {}", one.name);
    fmt::print(stderr, "\n");
    return exit_usage;
  }
  fmt::print("verdict=ok: no rule is broken\n");
  return 0;
}

int run(const Arguments& arguments) {
  if (!arguments.services.empty()) return services(arguments);
  const auto protocol = protocol_named(arguments.protocol);
  const bool alone = protocol == Protocol::one_phase;
  if (!protocol || alone != (arguments.shards == 1)) {
    fmt::print(stderr, "one-phase has one shard; two-phase, three-phase and paxos-commit have two or three\n");
    return exit_usage;
  }
  const Model model = explore::crash_matrix_model(*protocol, arguments.shards);
  const CrashMatrix matrix(model);
  const std::vector<Strike> all = explore::every_strike(matrix);
  fmt::print("{}: {} points, {} faults\n", model.name, matrix.points().size(), all.size());
  std::fflush(stdout);
  if (const int code = singles(model, all); code != 0) return code;
  if (const int code = pairs(model, "pairs", all, all); code != 0) return code;
  // Whoever may be lost for good, the others go on; under two-phase and one-phase nobody may.
  std::vector<std::size_t> losable;
  if (*protocol == Protocol::paxos_commit) losable = {0};
  if (*protocol == Protocol::three_phase) losable = {0, 1};
  for (const std::size_t place : losable) {
    const std::vector<Strike> lost = explore::every_loss(matrix, place);
    const std::string who = place == 0 ? "the coordinator group" : "a shard";
    if (const int code = singles(model, lost); code != 0) return code;
    if (const int code = pairs(model, who + " lost for good, then a fault", lost, all); code != 0) return code;
    if (const int code = pairs(model, "a fault, then " + who + " lost for good", all, lost); code != 0) return code;
  }
  fmt::print("verdict=ok: no rule is broken\n");
  return 0;
}

}  // namespace

Command add_matrix(CLI::App& main) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = main.add_subcommand("matrix", "every fault at every point of a transaction, and every pair");
  command->add_option("--protocol", arguments->protocol, "one-phase, two-phase, three-phase, paxos-commit");
  command->add_option("--shards", arguments->shards, "1 to 3")->check(CLI::Range(1U, 3U));
  command->add_option("--services", arguments->services,
                      "with services and databases instead: all, or one case (shard-service, tcc, saga, ...)");
  command->add_option("--stride", arguments->stride, "with services: of the pairs each so manieth; 0: none");
  return Command{command, [arguments] { return run(*arguments); }};
}

}  // namespace assent::sim
