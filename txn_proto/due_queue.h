// When to act on what again: keys ordered by the tick at which they are due. A value; no clock, no callbacks.
// Drivers use it to repeat what was not acknowledged and to end what took too long, without walking over all they hold.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace assent {

template <class Key>
class DueQueue {
 public:
  // Replaces the key's earlier tick.
  void set(const Key& key, std::uint64_t tick) {
    erase(key);
    ticks_.emplace(key, tick);
    order_.emplace(tick, key);
  }
  void erase(const Key& key) {
    const auto found = ticks_.find(key);
    if (found == ticks_.end()) return;
    order_.erase({found->second, key});
    ticks_.erase(found);
  }
  // Takes out one key that is due at or before now, earliest first.
  [[nodiscard]] std::optional<Key> pop(std::uint64_t now) {
    if (order_.empty() || order_.begin()->first > now) return std::nullopt;
    const Key key = order_.begin()->second;
    erase(key);
    return key;
  }
  void clear() {
    ticks_.clear();
    order_.clear();
  }
  [[nodiscard]] std::size_t size() const { return ticks_.size(); }
  [[nodiscard]] bool contains(const Key& key) const { return ticks_.contains(key); }
  // By tick, then key.
  [[nodiscard]] const std::set<std::pair<std::uint64_t, Key>>& in_order() const { return order_; }

 private:
  std::map<Key, std::uint64_t> ticks_;
  std::set<std::pair<std::uint64_t, Key>> order_;
};

// The pause before a message is sent again: doubles from first up to most.
struct Backoff {
  std::uint64_t pause = 0;
  [[nodiscard]] std::uint64_t next(std::uint64_t first, std::uint64_t most) {
    pause = pause == 0 ? first : (pause * 2 < most ? pause * 2 : most);
    return pause;
  }
};

}  // namespace assent
