// Frees a service from branches that nobody ends: finds those that are in doubt for longer than a bound, asks the
// coordinator what came of them, and commits or aborts them accordingly (service/doubts.h has the rules).
//
// Why: a coordinator does not remember what it aborted (presumed abort), and whoever began the transaction may be gone.
// The question is sealing: after it an undecided transaction that nobody runs is aborted for good.
//
// A thread of its own, from construction to destruction, which waits for the question that is under way. It also
// forgets ended branches when no calls come.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "service/doubts.h"

namespace assent::service {

class Resolver {
 public:
  // told: after each look that found something, on the resolver's thread; for a log. The branches must outlive this.
  Resolver(Branches& branches, AskFate ask, ResolverOptions options = {},
           std::function<void(const Resolved&)> told = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

 private:
  void serve();
  [[nodiscard]] bool stopping();

  Branches& branches_;
  const std::chrono::milliseconds interval_;
  const std::function<void(const Resolved&)> told_;
  Doubts doubts_;     // the thread's own
  std::mutex mutex_;  // protects stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses what stands above
};

}  // namespace assent::service
