#include "server/rpc_queue.h"

#include <grpc/support/time.h>

#include <thread>

namespace assent {

namespace {

// What one wait() takes at most: replies and heartbeats are not to stand behind an endless stream of requests.
constexpr std::size_t taken_max = 256;

gpr_timespec gpr_time(std::chrono::steady_clock::time_point until) {
  const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(until - std::chrono::steady_clock::now());
  if (left.count() <= 0) return gpr_inf_past(GPR_CLOCK_MONOTONIC);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left.count(), GPR_TIMESPAN));
}

}  // namespace

void RpcQueue::wait(std::chrono::steady_clock::time_point until, std::vector<Ended>& ended) {
  ended.clear();
  void* tag = nullptr;
  bool ok = false;
  gpr_timespec deadline = gpr_time(until);
  while (ended.size() < taken_max && queue_->AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT) {
    ended.push_back({static_cast<RpcTag*>(tag), ok});
    deadline = gpr_inf_past(GPR_CLOCK_MONOTONIC);
  }
}

void RpcQueue::wake() {
  const std::lock_guard lock(mutex_);
  if (waking_ || draining_) return;
  waking_ = true;
  alarm_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), static_cast<RpcTag*>(&woken_));
}

void RpcQueue::Woken::end(bool /*ok*/) {
  const std::lock_guard lock(queue_.mutex_);
  queue_.waking_ = false;
}

void RpcQueue::serve_while(const std::function<void()>& blocking) {
  std::atomic<bool> over = false;
  std::thread server([this, &over] {
    std::vector<Ended> ended;
    while (!over) {
      wait(std::chrono::steady_clock::now() + std::chrono::seconds(1), ended);
      for (const Ended& one : ended) one.tag->end(one.ok);
    }
  });
  blocking();
  over = true;
  wake();
  server.join();
}

void RpcQueue::drain() {
  {
    const std::lock_guard lock(mutex_);
    if (draining_.exchange(true)) return;
  }
  queue_->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) static_cast<RpcTag*>(tag)->end(ok);
}

}  // namespace assent
