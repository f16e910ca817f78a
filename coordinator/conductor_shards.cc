// Shards that are created while the cluster runs: nothing runs on one before it stands in the coordinator's log.
#include <algorithm>
#include <iterator>
#include <utility>

#include "coordinator/conductor.h"

namespace assent {

void Conductor::know_shards(std::vector<GroupId> shards) {
  known_shards_ = std::move(shards);
  if (leading_) admit_shards();
}

bool Conductor::admits(GroupId shard) const {
  const std::vector<GroupId>& admitted = decisions_->admitted();
  return std::binary_search(admitted.begin(), admitted.end(), shard) ||
         std::find(options_.shards.begin(), options_.shards.end(), shard) != options_.shards.end();
}

// Where votes or ballots decide, what a later leader does not know of may have committed: it asks every shard, and
// writes down "aborted" when all of them were found without a yes and sealed. A shard that it does not know of would
// not be sealed, and two shards that it does not know of could commit behind its back. So a leader runs nothing on a
// shard that is not in its log: whatever a leader of any epoch ran is on shards that every leader of a later epoch
// knows (L5), and a shard that is admitted after a survey is not known to any leader of before, who alone could still
// run what was surveyed.
bool Conductor::admits(const std::vector<Branch>& branches) const {
  if (options_.shards.empty()) return true;  // nobody is ever surveyed
  return std::all_of(branches.begin(), branches.end(),
                     [this](const Branch& branch) { return branch.service || admits(branch.shard); });
}

std::vector<GroupId> Conductor::shards() const {
  std::vector<GroupId> all = options_.shards;
  const std::vector<GroupId>& admitted = decisions_->admitted();
  all.insert(all.end(), admitted.begin(), admitted.end());
  return all;
}

void Conductor::admit_shards() {
  if (admit_in_log_) return;
  AdmitShards admit;
  std::copy_if(known_shards_.begin(), known_shards_.end(), std::back_inserter(admit.shards),
               [this](GroupId shard) { return !admits(shard); });
  if (admit.shards.empty()) return;
  std::sort(admit.shards.begin(), admit.shards.end());
  admit_in_log_ = true;
  output_.propose.emplace_back(std::move(admit));
}

}  // namespace assent
