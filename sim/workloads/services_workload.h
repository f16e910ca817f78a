// Transactions over services and databases (sim/services/), alone and beside shards, in every mode: each promises,
// tries, or does its step, and some cannot be refused any more. What came of them is judged by the services' own
// checker and, as everything, from the logs; this keeps nothing but a tally at the shards.
#pragma once

#include <string>
#include <vector>

#include "sim/workload.h"

namespace assent::sim {

class ServicesWorkload final : public Workload {
 public:
  explicit ServicesWorkload(const Scene& scene) : scene_(scene) {}

  [[nodiscard]] std::vector<Work> opening(GroupId shard) override;
  [[nodiscard]] Deed next(unsigned client, Rng& rng) override;
  [[nodiscard]] std::optional<Deed> last(std::size_t step) override;
  void audit() override {}

 private:
  struct Part {
    std::size_t site = 0;  // its place in swarm.services
    std::string account;
    bool retriable = false;
    bool fails = false;
  };
  struct Plan {
    Mode mode = Mode::atomic;
    std::vector<Part> parts;
    std::vector<GroupId> shards;
    unsigned spot = 0;
  };

  [[nodiscard]] Transaction transaction(Plan plan) const;
  [[nodiscard]] Plan draw(Rng& rng) const;
  [[nodiscard]] bool is_ledger(const Part& part) const {
    return scene_.swarm.services[part.site].kind == ServiceKind::ledger;
  }
  [[nodiscard]] Work shard_work(unsigned spot) const;

  Scene scene_;
};

}  // namespace assent::sim
