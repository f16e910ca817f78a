// Compares what is prepared in the database with the registers, at its start and on a schedule (agent/sweep.h has the
// rules). A thread of its own, from construction to destruction.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "agent/sweep.h"

namespace assent::agent {

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

  const std::chrono::milliseconds interval_;
  const std::function<void(const Swept&)> told_;
  Sweep sweep_;       // the thread's own
  Swept last_told_;   // the thread's own
  std::mutex mutex_;  // protects stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses what stands above
};

}  // namespace assent::agent
