// A bounded number of connections, made when they are needed and given back when they are fit for use. Internal to
// service/. Safe from any thread; waits on a condition variable.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/result.h"

namespace assent::service {

// Handle: a unique_ptr to a connection, closing it at its end.
template <class Handle>
class ConnectionPool {
 public:
  ConnectionPool(std::size_t most, std::chrono::milliseconds patience, std::function<Result<Handle>()> make)
      : most_(most), patience_(patience), make_(std::move(make)) {}

  [[nodiscard]] Result<Handle> take() {
    {
      std::unique_lock lock(mutex_);
      const auto free = [this] { return taken_ < most_; };
      if (!freed_.wait_for(lock, patience_, free)) {
        return fail(ErrorCode::busy, "all connections to the database were in use by other branches all the time");
      }
      ++taken_;
      if (!idle_.empty()) {
        Handle out = std::move(idle_.back());
        idle_.pop_back();
        return out;
      }
    }
    Result<Handle> made = make_();
    if (!made) give_back(nullptr);
    return made;
  }

  // In the place of one that is taken and was found to be lost.
  [[nodiscard]] Result<Handle> make() { return make_(); }

  [[nodiscard]] std::chrono::milliseconds patience() const { return patience_; }

  // Null: it was not fit for use any more.
  void give_back(Handle handle) {
    {
      const std::scoped_lock lock(mutex_);
      --taken_;
      if (handle) idle_.push_back(std::move(handle));
    }
    freed_.notify_one();
  }

 private:
  const std::size_t most_;
  const std::chrono::milliseconds patience_;
  const std::function<Result<Handle>()> make_;
  std::mutex mutex_;  // protects all below
  std::condition_variable freed_;
  std::vector<Handle> idle_;
  std::size_t taken_ = 0;
};

}  // namespace assent::service
