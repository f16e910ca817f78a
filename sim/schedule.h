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
    heap_.push_back(Item{std::max(when, now_), next_++, keep(std::move(action))});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(Micros delay, Action action) { at(now_ + delay, std::move(action)); }

  // Runs the next action at its time; false when there is none.
  bool run_next() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Item item = heap_.back();
    heap_.pop_back();
    now_ = item.when;
    ++executed_;
    const Action action = std::move(actions_[item.place]);
    free_.push_back(item.place);
    action();
    return true;
  }

 private:
  // What the heap moves about is small; the actions stay where they are.
  struct Item {
    Micros when;
    std::uint64_t order;
    std::size_t place;  // in actions_
  };
  static bool later(const Item& a, const Item& b) { return a.when != b.when ? a.when > b.when : a.order > b.order; }

  std::size_t keep(Action action) {
    if (free_.empty()) {
      actions_.push_back(std::move(action));
      return actions_.size() - 1;
    }
    const std::size_t place = free_.back();
    free_.pop_back();
    actions_[place] = std::move(action);
    return place;
  }

  std::vector<Item> heap_;
  std::vector<Action> actions_;
  std::vector<std::size_t> free_;  // places in actions_
  Micros now_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t executed_ = 0;
};

}  // namespace assent::sim
