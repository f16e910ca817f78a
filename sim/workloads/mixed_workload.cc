#include "sim/workloads/mixed_workload.h"

namespace assent::sim {

MixedWorkload::MixedWorkload(const Scene& scene) {
  Rng rng = scene.rng.split("parts");
  const auto add = [&](std::string_view name) {
    Scene own = scene;
    own.rng = scene.rng.split(name);
    parts_.push_back(make_workload(name, own));
  };
  add("bank");
  for (const std::string_view name : {"append", "register", "ring"}) {
    if (rng.chance(0.6)) add(name);
  }
  if (scene.swarm.backend == Backend::sql && rng.chance(0.6)) add("sql");
  if (!scene.swarm.services.empty()) add("services");
}

std::vector<Work> MixedWorkload::opening(GroupId shard) {
  std::vector<Work> all;
  for (const auto& part : parts_) {
    for (Work& work : part->opening(shard)) all.push_back(std::move(work));
  }
  return all;
}

Deed MixedWorkload::next(unsigned client, Rng& rng) { return parts_[rng.below(parts_.size())]->next(client, rng); }

std::optional<Deed> MixedWorkload::last(std::size_t step) {
  while (ending_ < parts_.size()) {
    if (auto deed = parts_[ending_]->last(step - ended_steps_)) return deed;
    ++ending_;
    ended_steps_ = step;
  }
  return std::nullopt;
}

void MixedWorkload::audit() {
  for (const auto& part : parts_) part->audit();
}

}  // namespace assent::sim
