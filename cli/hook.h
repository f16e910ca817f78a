// A shell command of the user's, run with one argument added.
#pragma once

#include <string>

namespace assent::cli {

// Runs `command argument` in /bin/sh and waits for it; the argument is passed, not pasted. The exit status, 128 +
// signal for one that was killed, or -1 when it could not be started. What it prints to stdout goes to stderr.
[[nodiscard]] int run_hook(const std::string& command, const std::string& argument);

}  // namespace assent::cli
