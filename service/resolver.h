// Frees a service from branches that nobody ends: finds those that are in doubt for longer than a bound, asks the
// coordinator what came of them, and commits or aborts them accordingly.
//
// Why: a coordinator does not remember what it aborted (presumed abort), and whoever began the transaction may be gone.
// The question is sealing: after it an undecided transaction that nobody runs is aborted for good. So the resolver
// never decides anything; what it cannot learn stays in doubt.
//
// A thread of its own, from construction to destruction, which waits for the question that is under way. It asks a few
// at a time, oldest first; a branch that could not be resolved comes again after a pause that grows, so that one whose
// coordinator is lost does not keep the others from being asked. It also forgets ended branches when no calls come.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "service/branches.h"

namespace assent::service {

// What came of a transaction, as far as whoever was asked knows.
enum class Fate : std::uint8_t { open, committed, aborted };
// Called on the resolver's thread. An Error: nobody could be asked.
using AskFate = std::function<Result<Fate>(const InDoubt&)>;

struct ResolverOptions {
  std::chrono::milliseconds patience{10'000};  // in doubt for so long before it asks
  std::chrono::milliseconds interval{2'000};   // between two looks
  std::size_t questions_max = 16;              // at a look
  std::chrono::milliseconds pause_max{
      60'000};  // until a branch is asked about again; begins with the interval, doubles
};

struct Resolved {
  std::size_t committed = 0;
  std::size_t aborted = 0;
  std::size_t open = 0;  // asked, and still in doubt
  std::string trouble;   // the last one that was met; empty: none
};

class Resolver {
 public:
  // told: after each look that found something, on the resolver's thread; for a log. The branches must outlive this.
  Resolver(Branches& branches, AskFate ask, ResolverOptions options = {},
           std::function<void(const Resolved&)> told = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

 private:
  struct Pause {
    std::chrono::steady_clock::time_point until;
    std::chrono::milliseconds length{0};
  };

  void serve();
  [[nodiscard]] Resolved look();
  void resolve(const InDoubt& one, Resolved& all);
  void put_off(const BranchKey& key);
  [[nodiscard]] bool stopping();

  Branches& branches_;
  const AskFate ask_;
  const ResolverOptions options_;
  const std::function<void(const Resolved&)> told_;
  std::map<BranchKey, Pause> pauses_;  // the thread's own
  std::mutex mutex_;                   // protects stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses what stands above
};

}  // namespace assent::service
