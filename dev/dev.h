// assentd dev: a whole cluster on this machine by one command, with dashboard and bank demo, to be broken by keys and
// buttons. Ends with q, Ctrl-C or SIGTERM, and takes its nodes along.
#pragma once

#include <cstdint>
#include <string>

namespace assent::dev {

struct DevOptions {
  std::string program;    // assentd, as it was started
  std::string directory;  // empty: a temporary one that is removed at the end
  std::uint16_t http = 7422;
  std::size_t clients = 4;  // of the bank; 0: no bank
};

// The exit status.
[[nodiscard]] int run_dev(const DevOptions& options);

}  // namespace assent::dev
