#include "sim/workload.h"

#include "base/check.h"
#include "sim/workloads/bank_workload.h"
#include "sim/workloads/items_workload.h"
#include "sim/workloads/mixed_workload.h"
#include "sim/workloads/ring_workload.h"
#include "sim/workloads/services_workload.h"
#include "sim/workloads/sql_workload.h"

namespace assent::sim {

std::vector<std::string_view> workload_names() {
  return {"bank", "append", "register", "ring", "sql", "services", "mixed"};
}

std::unique_ptr<Workload> make_workload(std::string_view name, const Scene& scene) {
  if (name == "bank") return std::make_unique<BankWorkload>(scene);
  if (name == "append") return std::make_unique<ItemsWorkload>(scene, ItemKind::list);
  if (name == "register") return std::make_unique<ItemsWorkload>(scene, ItemKind::number);
  if (name == "ring") return std::make_unique<RingWorkload>(scene);
  if (name == "sql") return std::make_unique<SqlWorkload>(scene);
  if (name == "services") return std::make_unique<ServicesWorkload>(scene);
  ASSENT_CHECK(name == "mixed", "a workload's name is one of workload_names()");
  return std::make_unique<MixedWorkload>(scene);
}

std::vector<Branch> branches_of(std::map<GroupId, Work> work) {
  std::vector<Branch> branches;
  branches.reserve(work.size());
  for (auto& [shard, operations] : work) branches.push_back(Branch{shard, std::move(operations)});
  return branches;
}

}  // namespace assent::sim
