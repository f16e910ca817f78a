#include "agent/sweeper.h"

#include <utility>

namespace assent::agent {

Sweeper::Sweeper(Database& database, service::Branches& branches, Fenced fenced, service::AskFate ask,
                 SweeperOptions options, std::function<void(const Swept&)> told)
    : interval_(options.interval),
      told_(std::move(told)),
      sweep_(database, branches, std::move(fenced), std::move(ask), options.patience),
      thread_([this] { serve(); }) {}

Sweeper::~Sweeper() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void Sweeper::serve() {
  for (;;) {
    const Swept found = sweep_.look(std::chrono::steady_clock::now());
    const bool quiet = found.rolled_back + found.recorded == 0 && found.orphans == last_told_.orphans &&
                       found.trouble == last_told_.trouble;
    if (told_ && !quiet) told_(found);
    last_told_ = found;
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, interval_, [this] { return stopping_; })) return;
  }
}

}  // namespace assent::agent
