// Of a group's log on one node: entries that were acknowledged and cannot be read any more.
#pragma once

#include "base/ids.h"

namespace assent {

struct LostEntries {
  Index first;   // none from here on is kept, although later ones may have been whole
  Position end;  // where the log ended

  bool operator==(const LostEntries&) const = default;
};

}  // namespace assent
