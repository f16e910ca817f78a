#include "sim/workload.h"

#include "base/check.h"
#include "sim/workloads/bank_workload.h"

namespace assent::sim {

std::vector<std::string_view> workload_names() { return {"bank"}; }

std::unique_ptr<Workload> make_workload(std::string_view name, const Scene& scene) {
  ASSENT_CHECK(name == "bank", "a workload's name is one of workload_names()");
  return std::make_unique<BankWorkload>(scene);
}

}  // namespace assent::sim
