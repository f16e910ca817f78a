// Which planted bug (base/planted.h) the explorer refutes in which model, and in how many steps. tests/explore
// runs them all, and `assent-sim-planted explore --refute` prints them with their figures.
#pragma once

#include <span>

#include "base/planted.h"

namespace assent::explore {

struct Refutation {
  Bug bug = Bug::none;
  const char* model = "";
  unsigned steps = 0;     // of a shortest counterexample
  const char* rule = "";  // how the sentence that names it begins
};

[[nodiscard]] std::span<const Refutation> refutations();
[[nodiscard]] std::span<const Refutation> ballot_refutations();  // in the models of ballot_model.h

}  // namespace assent::explore
