// `assentd verify DIR`: reads every byte of a data directory that means something, and says what is damaged and what to
// do about it. For whoever wants to know before the node is needed: after a crash of the machine, of a copy, by cron on
// a stopped node.
#pragma once

#include <string>

#include "base/result.h"

namespace assent {

struct Verification {
  std::string text;
  bool sound = false;
};

// Reads only. Errors: not_found when there is no such folder, io.
[[nodiscard]] Result<Verification> verify_directory(const std::string& path);

}  // namespace assent
