// One look at what is prepared in the database, beside the registers: rolls back what no register has promised, records
// what was committed and not recorded, and tells of what it must not touch.
//
// Branches that are promised and that nobody ends are for who asks the cluster (service/doubts.h). What no register
// knows is rolled back only while nobody prepares that branch (its fence is held), and, when the cluster can be asked,
// only if the cluster says that the transaction did not commit: a commit would mean that registers were lost.
//
// No thread, clock or sleep: the Sweeper (agent/sweeper.h) has those.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/database.h"
#include "base/result.h"
#include "service/branches.h"
#include "service/doubts.h"

namespace assent::agent {

struct SweeperOptions {
  std::chrono::milliseconds interval{2'000};
  std::chrono::milliseconds patience{2'000};  // for what no register knows, before it is rolled back
};

struct Swept {
  std::size_t rolled_back = 0;
  std::size_t recorded = 0;          // committed before, and now said so in their registers
  std::vector<std::string> orphans;  // names of ours that are not touched, each with why
  std::size_t foreign = 0;           // others' prepared transactions
  std::string trouble;               // the last one that was met
  bool operator==(const Swept&) const = default;
};

// Runs the function while it has the fence of the branch, or says why it has not.
using Fenced = std::function<Result<void>(const std::string& branch, const std::function<Result<void>()>& act)>;

template <class Connection>
[[nodiscard]] Fenced fence_with(service::Barrier<Connection>& barrier, DatabaseOn<Connection>& database) {
  return [&barrier, &database](const std::string& branch, const std::function<Result<void>()>& act) -> Result<void> {
    auto local = barrier.take();
    if (!local) return fail(local.error());
    auto done = (*local)->begin(service::Access::write);
    if (done) done = database.fence((*local)->connection(), branch);
    if (done) done = act();
    (*local)->rollback();
    return done;
  };
}

class Sweep {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // ask may be empty: the agent knows no cluster.
  Sweep(Database& database, service::Branches& branches, Fenced fenced, service::AskFate ask,
        std::chrono::milliseconds patience)
      : database_(database),
        branches_(branches),
        fenced_(std::move(fenced)),
        ask_(std::move(ask)),
        patience_(patience) {}

  [[nodiscard]] Swept look(Time now);

 private:
  void judge(const std::string& name, Time now, Swept& all);
  void forsake(const Gid& gid, Swept& all);
  void roll_back(const Gid& gid, Swept& all);
  void record(Swept& all);
  [[nodiscard]] bool seen_for(const std::string& name, Time now);

  Database& database_;
  service::Branches& branches_;
  const Fenced fenced_;
  const service::AskFate ask_;
  const std::chrono::milliseconds patience_;
  std::map<std::string, Time> first_seen_;
};

}  // namespace assent::agent
