// Which protocol level has taken effect in each group on this node's disk: what was applied there may be what a program
// of a lower level does not know, also when its log does not show it any more. Such a program halts the group
// (node/group.h) instead of going on from data that it would misread.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/result.h"

namespace assent {

class GroupLevels {
 public:
  virtual ~GroupLevels() = default;
  // 0: none that was noted.
  [[nodiscard]] virtual std::uint32_t level(GroupId group) const = 0;
  // Durable when it returns; called before anything of the level is applied. io: the node ends.
  [[nodiscard]] virtual Result<void> raise(GroupId group, std::uint32_t level) = 0;
};

}  // namespace assent
