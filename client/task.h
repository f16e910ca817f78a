// A lazy coroutine that gives one value: co_await starts it and resumes the awaiter with what it returns. Internal to
// the client: an operation that asks, waits, follows hints and asks again reads as the loop that it is.
//
// Not for cores. No exception leaves a task (one that did would end the process). A task must be awaited or started; it
// resumes on whatever thread completes what it waits for, which is the client's own (runtime.h).
#pragma once

#include <coroutine>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace assent::client {

template <class T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> awaiter;

    struct Finish {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        return self.promise().awaiter;
      }
      void await_resume() const noexcept {}
    };

    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    Finish final_suspend() const noexcept { return {}; }
    template <class U>
    void return_value(U&& result) {
      value.emplace(std::forward<U>(result));
    }
    void unhandled_exception() const noexcept { std::terminate(); }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    handle_.promise().awaiter = awaiter;
    return handle_;
  }
  T await_resume() { return std::move(*handle_.promise().value); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

// A coroutine that nobody awaits: it starts at once and frees itself at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

// Set once; everybody who waits is resumed on the thread that sets it.
class Event {
 public:
  struct Awaiter {
    Event& event;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) { return event.enlist(waiter); }
    void await_resume() const noexcept {}
  };

  [[nodiscard]] Awaiter wait() { return Awaiter{*this}; }
  void set() {
    std::vector<std::coroutine_handle<>> waiters;
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(set_, true)) return;
      waiters.swap(waiters_);
    }
    for (const std::coroutine_handle<> waiter : waiters) waiter.resume();
  }

 private:
  bool enlist(std::coroutine_handle<> waiter) {
    const std::lock_guard lock(mutex_);
    if (set_) return false;
    waiters_.push_back(waiter);
    return true;
  }

  std::mutex mutex_;  // protects the two below
  bool set_ = false;
  std::vector<std::coroutine_handle<>> waiters_;
};

}  // namespace assent::client
