#include "storage/wal_recent.h"

#include <algorithm>
#include <iterator>

namespace assent {
namespace {

void merge(std::map<GroupId, WalRecent::Change>& into, GroupId group, const WalRecent::Change& change) {
  WalRecent::Change& known = into[group];
  if (known.from.none() || (!change.from.none() && change.from < known.from)) known.from = change.from;
  known.whole = known.whole || change.whole;
}

}  // namespace

void WalRecent::begin(std::uint64_t batch) {
  batches_.push_back({batch, {}});
  if (batches_.size() > batches_max) batches_.pop_front();
}

WalRecent::Window WalRecent::window() const {
  Window window;
  for (auto batch = batches_.rbegin(); batch != batches_.rend(); ++batch) {
    const bool newest = batch == batches_.rbegin();
    if (!newest && window.changes.size() + batch->changes.size() > groups_max) break;
    for (const auto& [group, change] : batch->changes) merge(window.changes, group, change);
    window.since = batch->number;
  }
  return window;
}

}  // namespace assent
