#include "cluster/map_epoch.h"

#include "base/planted.h"

namespace assent {

MapVerdict judge_epoch(std::uint64_t theirs, std::uint64_t ours, bool knows) {
  if (theirs > ours && !knows) return MapVerdict::behind;
  if (planted(Bug::stale_map_obeyed)) return MapVerdict::fits;
  return theirs >= ours ? MapVerdict::fits : MapVerdict::stale;
}

}  // namespace assent
