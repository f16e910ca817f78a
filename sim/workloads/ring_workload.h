// A ring: every node names the next one, and a transaction swaps two neighbours by rewriting three of them, on as many
// shards. Any serial order leaves one cycle through all nodes; a lost, torn or doubled swap breaks it (FoundationDB's
// Cycle). A swap is made from what was last seen, under the condition that the three are still so.
#pragma once

#include <optional>
#include <vector>

#include "sim/workload.h"

namespace assent::sim {

class RingWorkload final : public Workload {
 public:
  explicit RingWorkload(const Scene& scene);

  [[nodiscard]] std::vector<Work> opening(GroupId shard) override;
  [[nodiscard]] Deed next(unsigned client, Rng& rng) override;
  [[nodiscard]] std::optional<Deed> last(std::size_t step) override;
  void audit() override {}

 private:
  using Spot = unsigned;  // spot s lives on shard s % shards

  [[nodiscard]] bool sql() const { return scene_.swarm.backend == Backend::sql; }
  [[nodiscard]] std::size_t place_of(Spot spot) const { return spot % scene_.shards.size(); }
  [[nodiscard]] GroupId shard_of(Spot spot) const { return scene_.shards[place_of(spot)]; }
  void add_change(Work& work, Spot spot, Spot from, Spot to) const;
  [[nodiscard]] Transaction swap(Rng& rng);
  [[nodiscard]] Transaction read_all();
  [[nodiscard]] std::vector<Branch> branches_of_read() const;
  void saw(const TxnId& txn, const Ended& ended);
  [[nodiscard]] std::optional<std::vector<Spot>> ring_in(const std::vector<BranchResult>& results) const;
  void judge(const TxnId& txn, const std::vector<Spot>& ring);

  Scene scene_;
  unsigned size_;
  std::vector<Spot> next_;  // as last seen
  bool stale_ = false;
};

}  // namespace assent::sim
