// Compares what is prepared in the database with the registers, at its start and on a schedule: rolls back what no
// register has promised, records what was committed and not recorded, and tells of what it must not touch.
//
// Branches that are promised and that nobody ends are the Resolver's (service/resolver.h), which asks the cluster. What
// no register knows is rolled back only while nobody prepares that branch (its fence is held), and, when the cluster
// can be asked, only if the cluster says that the transaction did not commit: a commit would mean that registers were
// lost.
//
// A thread of its own, from construction to destruction.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/database.h"
#include "base/result.h"
#include "service/branches.h"
#include "service/resolver.h"

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

class Sweeper {
 public:
  // ask may be empty: the agent knows no cluster. told: after each look at which something was done or has changed.
  Sweeper(Database& database, service::Branches& branches, Fenced fenced, service::AskFate ask,
          SweeperOptions options = {}, std::function<void(const Swept&)> told = {});
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

 private:
  void serve();
  [[nodiscard]] Swept look();
  void judge(const std::string& name, Swept& all);
  void forsake(const Gid& gid, Swept& all);
  void roll_back(const Gid& gid, Swept& all);
  void record(Swept& all);
  [[nodiscard]] bool seen_for(const std::string& name, std::chrono::milliseconds time);

  Database& database_;
  service::Branches& branches_;
  const Fenced fenced_;
  const service::AskFate ask_;
  const SweeperOptions options_;
  const std::function<void(const Swept&)> told_;
  std::map<std::string, std::chrono::steady_clock::time_point> first_seen_;  // the thread's own
  Swept last_told_;                                                          // the thread's own
  std::mutex mutex_;                                                         // protects stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses what stands above
};

}  // namespace assent::agent
