#include "storage/wal_recent.h"

#include <utility>

namespace assent {

void WalRecent::begin(std::uint64_t batch) {
  if (current_.batches == batches_max || current_.changes.size() > groups_max) before_ = std::exchange(current_, {});
  if (current_.batches++ == 0) current_.since = batch;
}

void WalRecent::note(Changes& into, GroupId group, const Change& change) {
  Change& known = into[group];
  if (known.from.none() || (!change.from.none() && change.from < known.from)) known.from = change.from;
  known.whole = known.whole || change.whole;
}

WalRecent::Window WalRecent::window() const {
  Window window{current_.since, current_.changes};
  if (before_.batches == 0 || before_.changes.size() + current_.changes.size() > groups_max) return window;
  window.since = before_.since;
  for (const auto& [group, change] : before_.changes) note(window.changes, group, change);
  return window;
}

}  // namespace assent
