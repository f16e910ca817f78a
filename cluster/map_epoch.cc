#include "cluster/map_epoch.h"

namespace assent {

MapVerdict judge_epoch(std::uint64_t theirs, std::uint64_t ours, bool knows) {
  if (theirs > ours && !knows) return MapVerdict::behind;
  return theirs >= ours ? MapVerdict::fits : MapVerdict::stale;
}

}  // namespace assent
