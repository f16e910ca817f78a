// The one door of the checkers: a history in, a verdict out. Lists (keys that are appended to) and registers (keys that
// are written) are judged together, as one database, for strict serializability: the rules of each key by itself
// (list_keys.h, register_keys.h), then the cycles of all dependencies and real time (cycles.h). A key whose writes
// cannot be told apart, as balances that are written more than once, is judged alone, by search (search.h).
//
// Memory and time are near-linear in the history's size but for the search, which is bounded. Pure; called by the
// simulator, by assentctl and by tests.
#pragma once

#include <istream>

#include "check/history.h"
#include "check/search.h"
#include "check/verdict.h"

namespace assent::check {

struct JudgeOptions {
  std::uint64_t states_per_key_max = 200'000;  // of the search
  std::uint64_t states_max = 5'000'000;        // of all searches together
};

[[nodiscard]] Verdict judge(const History& history, const JudgeOptions& options = {});

// Lines of a file, judged or not: malformed with the number of the first bad line; busy when it is over the limits.
[[nodiscard]] Result<History> read_history(std::istream& in, const HistoryLimits& limits = {});

// For people: the anomalies, then one sentence.
[[nodiscard]] std::string to_text(const Verdict& verdict);

}  // namespace assent::check
