// The client's one thread: it takes finished calls and expired pauses from a gRPC completion queue and resumes the
// operations that wait for them. A leaf: threads and clocks live here.
//
// Invariants: an operation is touched by one thread at a time (the caller's until its first wait, this thread after
// it); close() returns only when no operation is left.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "client/task.h"

namespace assent::client {

using SteadyTime = std::chrono::steady_clock::time_point;

class Runtime;

// Something under way on the completion queue. Linked into the runtime's list so that close() can cut it short.
class Pending {
 public:
  explicit Pending(Runtime& runtime) : runtime_(runtime) {}
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  virtual ~Pending() = default;

  virtual void cancel() = 0;  // called with the runtime's lock held; must not resume anything
  void complete(bool ok);     // called by the runtime's thread

 protected:
  Runtime& runtime_;
  std::coroutine_handle<> waiter_;
  bool ok_ = false;

 private:
  friend class Runtime;
  Pending* previous_ = nullptr;
  Pending* next_ = nullptr;
};

class Runtime {
 public:
  Runtime();
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Runs the task and hands its value to done, on the runtime's thread, or on this one when the task never waits.
  template <class T>
  void start(Task<T> task, std::function<void(T)> done) {
    enter();
    run(std::move(task), std::move(done));
  }

  // A pause, cut short by close(). co_await runtime.sleep(...)
  class Sleep;
  [[nodiscard]] Sleep sleep(std::chrono::microseconds pause);

  // Cancels what is under way and waits until every operation has ended. Not from the runtime's own thread.
  void close();
  [[nodiscard]] bool closing() const;
  [[nodiscard]] bool on_own_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

  [[nodiscard]] grpc::CompletionQueue& queue() { return queue_; }
  // Runs begin() with the lock held once the pending thing is in the list; tells whether close() has begun.
  void track(Pending& pending, const std::function<void(bool closing)>& begin);
  void untrack(Pending& pending);
  // An operation that is not started by start() counts itself.
  void enter();
  void leave();

 private:
  template <class T>
  Detached run(Task<T> task, std::function<void(T)> done) {
    T value = co_await task;
    done(std::move(value));
    leave();
  }
  void serve();

  grpc::CompletionQueue queue_;
  mutable std::mutex mutex_;  // protects all below
  std::condition_variable idle_;
  Pending* first_ = nullptr;
  std::uint64_t operations_ = 0;
  bool closing_ = false;
  std::thread thread_;  // last: it uses what stands above
};

class Runtime::Sleep final : public Pending {
 public:
  Sleep(Runtime& runtime, std::chrono::microseconds pause) : Pending(runtime), pause_(pause) {}
  bool await_ready() const noexcept { return pause_.count() <= 0; }
  void await_suspend(std::coroutine_handle<> waiter);
  void await_resume() const noexcept {}
  void cancel() override { alarm_.Cancel(); }

 private:
  std::chrono::microseconds pause_;
  grpc::Alarm alarm_;
};

inline Runtime::Sleep Runtime::sleep(std::chrono::microseconds pause) { return Sleep(*this, pause); }

}  // namespace assent::client
