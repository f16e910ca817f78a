// That a node belonged to a group and was removed from it: what stays when all that its replica kept is gone. The place
// up to which it must never help a log to win that ends before (node/leaving.h), and how often it left so far.
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace assent {

struct LeftGroup {
  Position place;
  std::uint64_t times = 0;  // 0: never

  bool operator==(const LeftGroup&) const = default;
};

}  // namespace assent
