// Several workloads side by side on the same cluster, each with data of its own: what one of them does to the logs,
// locks and queues, the others feel. Which there are is drawn; the bank always is.
#pragma once

#include <memory>
#include <vector>

#include "sim/workload.h"

namespace assent::sim {

class MixedWorkload final : public Workload {
 public:
  explicit MixedWorkload(const Scene& scene);

  [[nodiscard]] std::vector<Work> opening(GroupId shard) override;
  [[nodiscard]] Deed next(unsigned client, Rng& rng) override;
  [[nodiscard]] std::optional<Deed> last(std::size_t step) override;
  void audit() override;
  [[nodiscard]] bool judged_by_history() const override { return true; }

 private:
  std::vector<std::unique_ptr<Workload>> parts_;
  std::size_t ending_ = 0;       // the part whose last deeds are being done
  std::size_t ended_steps_ = 0;  // of the parts before it
};

}  // namespace assent::sim
