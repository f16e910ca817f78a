#include "service/resolver.h"

#include <utility>

namespace assent::service {

Resolver::Resolver(Branches& branches, AskFate ask, ResolverOptions options, std::function<void(const Resolved&)> told)
    : branches_(branches),
      interval_(options.interval),
      told_(std::move(told)),
      doubts_(branches, std::move(ask), options),
      thread_([this] { serve(); }) {}

Resolver::~Resolver() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

bool Resolver::stopping() {
  const std::scoped_lock lock(mutex_);
  return stopping_;
}

void Resolver::serve() {
  for (;;) {
    const Resolved found = doubts_.look(std::chrono::steady_clock::now(), [this] { return stopping(); });
    if (told_ && (found.committed + found.aborted + found.open > 0 || !found.trouble.empty())) told_(found);
    static_cast<void>(branches_.forget_some());  // what could not be forgotten now is so at the next look
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, interval_, [this] { return stopping_; })) return;
  }
}

}  // namespace assent::service
