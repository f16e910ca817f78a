#include "client/runtime.h"

#include <grpc/support/time.h>
#include <pthread.h>

#include <algorithm>

#include "base/check.h"

namespace assent::client {

void Pending::complete(bool ok) {
  ok_ = ok;
  runtime_.untrack(*this);
  waiter_.resume();  // may destroy this
}

Runtime::Runtime() : thread_([this] { serve(); }) { pthread_setname_np(thread_.native_handle(), "assent-client"); }

Runtime::~Runtime() {
  close();
  queue_.Shutdown();
  thread_.join();
}

void Runtime::serve() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) static_cast<Pending*>(tag)->complete(ok);
}

void Runtime::close() {
  ASSENT_CHECK(!on_own_thread(), "a Client must not be destroyed from one of its own callbacks");
  std::unique_lock lock(mutex_);
  closing_ = true;
  for (Pending* pending = first_; pending != nullptr; pending = pending->next_) pending->cancel();
  idle_.wait(lock, [this] { return operations_ == 0; });
}

bool Runtime::closing() const {
  const std::lock_guard lock(mutex_);
  return closing_;
}

void Runtime::track(Pending& pending, const std::function<void(bool)>& begin) {
  const std::lock_guard lock(mutex_);
  pending.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &pending;
  first_ = &pending;
  begin(closing_);
}

void Runtime::untrack(Pending& pending) {
  const std::lock_guard lock(mutex_);
  if (pending.previous_ != nullptr) pending.previous_->next_ = pending.next_;
  if (pending.next_ != nullptr) pending.next_->previous_ = pending.previous_;
  if (first_ == &pending) first_ = pending.next_;
}

void Runtime::enter() {
  const std::lock_guard lock(mutex_);
  ++operations_;
}

void Runtime::leave() {
  const std::lock_guard lock(mutex_);
  if (--operations_ == 0) idle_.notify_all();
}

void Runtime::Sleep::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  // Under the lock, so that close() cannot cancel an alarm that is just being set. The queue's thread may complete the
  // pause before this returns, but not before the lock is free: nothing here is touched after that.
  runtime_.track(*this, [this](bool closing) {
    const std::int64_t micros = closing ? 0 : pause_.count();
    const gpr_timespec when = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(micros, GPR_TIMESPAN));
    alarm_.Set(&runtime_.queue(), when, static_cast<Pending*>(this));
  });
}

}  // namespace assent::client
