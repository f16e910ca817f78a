// Virtual time: a queue of actions ordered by when they are due, and among equals by when they were asked for. The only
// source of "later" in the simulator; nothing here reads a real clock. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace assent::sim {

using Micros = std::uint64_t;  // since the world began, or a length of time
inline constexpr Micros millisecond = 1'000;
inline constexpr Micros second = 1'000'000;

class Schedule {
 public:
  using Action = std::function<void()>;

  [[nodiscard]] Micros now() const { return now_; }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::uint64_t executed() const { return executed_; }

  // A time in the past means now, after what is already due.
  void at(Micros when, Action action) {
    heap_.push_back(Item{std::max(when, now_), next_++, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(Micros delay, Action action) { at(now_ + delay, std::move(action)); }

  // Runs the next action at its time; false when there is none.
  bool run_next() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Item item = std::move(heap_.back());
    heap_.pop_back();
    now_ = item.when;
    ++executed_;
    item.action();
    return true;
  }

 private:
  struct Item {
    Micros when;
    std::uint64_t order;
    Action action;
  };
  static bool later(const Item& a, const Item& b) { return a.when != b.when ? a.when > b.when : a.order > b.order; }

  std::vector<Item> heap_;
  Micros now_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t executed_ = 0;
};

}  // namespace assent::sim
