// Carries a command out: asks the cluster, prints the answer, gives the exit code. Reports go to out, what went wrong
// and progress to err; with -o json, out gets exactly one JSON document, also for an error.
#pragma once

#include <istream>
#include <ostream>

#include "cli/command.h"
#include "cli/exit_code.h"

namespace assent::cli {

struct Console {
  std::ostream& out;
  std::ostream& err;
  std::istream& in;  // of one who is asked to confirm
};

[[nodiscard]] ExitCode run(const Invocation& invocation, Console console);
// parse() and run(): all of assentctl but the process.
[[nodiscard]] int assentctl(int argc, const char* const* argv, Console console);

}  // namespace assent::cli
