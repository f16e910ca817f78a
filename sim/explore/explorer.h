// Breadth-first search through all that can happen in a model, with the rules of PROTOCOL.md judged after every step.
// The first counterexample found is a shortest one.
//
// A state is one number a group, the set of messages ever sent, what clients were told, and what of the bounds is used
// up. Two kinds of states are not entered: those that were there, and those that an earlier one covers, which has the
// same groups, no fewer messages, no more used up. Whatever a covered state leads to its cover leads to as well, no
// later; so neither a violation nor its shortest way is missed.
//
// When nothing is left, from each distinct combination of groups the world is let go on without faults, with all that
// was in flight lost: it must come to rest (A5, A7), in agreement with what was told (A1).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/explore/groups.h"
#include "sim/explore/networks.h"

namespace assent::explore {

struct ExploreOptions {
  std::uint64_t states_max = 100'000'000;
  bool doubt_digests = false;
  bool converge = true;
  // What changes nothing but that more was sent is done at once, and is no step. Fewer states, and nothing is missed;
  // when something is found it is looked for again without, for a shortest way in true steps.
  bool eager = true;
  bool converge_at_once = false;  // from each state as it is entered
  void (*progress)(std::uint64_t states, std::uint64_t left, unsigned depth) = nullptr;  // at times
};

struct Findings {
  bool complete = false;                    // all within the bounds was seen, and all is well
  std::string violated;                     // the rule; empty: none
  std::vector<std::string> counterexample;  // narrated
  unsigned steps = 0;                       // of the counterexample
  bool at_convergence = false;
  std::uint64_t states = 0;
  std::uint64_t covered = 0;  // reached and not entered
  std::uint64_t transitions = 0;
  std::uint64_t combinations = 0;  // of groups, from which convergence was tried
  std::uint64_t sides = 0;         // distinct states of one replica's machine and driver
  std::uint64_t code_steps = 0;    // of the real code; every other transition was remembered
  std::uint64_t messages = 0;      // distinct
  bool can_commit = false;         // the first transaction, in some state
  bool can_abort = false;
  unsigned depth = 0;
  double seconds = 0;
};

[[nodiscard]] Findings explore(const Model& model, const ExploreOptions& options = {});

}  // namespace assent::explore
