// Sets of messages that were sent, by number. A network only grows: what was sent once may come at any time, again and
// again, or never; so a network with more messages can do whatever one with fewer can.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/digest.h"

namespace assent::explore {

struct MessageSet {
  static constexpr std::size_t words = 8;
  std::array<std::uint64_t, words> bits{};

  [[nodiscard]] bool has(std::uint16_t message) const { return ((bits[message / 64U] >> (message % 64U)) & 1U) != 0; }
  // True when it was not in it.
  bool add(std::uint16_t message) {
    ASSENT_CHECK(message < words * 64, "a model sends few distinct messages");
    const std::uint64_t bit = 1ULL << (message % 64U);
    const bool fresh = (bits[message / 64U] & bit) == 0;
    bits[message / 64U] |= bit;
    return fresh;
  }
  // Calls f with each message of this set that is in `also` and not in `except`.
  template <class F>
  void for_each(const MessageSet& also, const MessageSet& except, F f) const {
    for (std::size_t word = 0; word < words; ++word) {
      for (std::uint64_t left = bits[word] & also.bits[word] & ~except.bits[word]; left != 0; left &= left - 1) {
        f(static_cast<std::uint16_t>(word * 64 + static_cast<unsigned>(std::countr_zero(left))));
      }
    }
  }
  [[nodiscard]] bool contains(const MessageSet& other) const {
    std::uint64_t missing = 0;
    for (std::size_t word = 0; word < words; ++word) missing |= other.bits[word] & ~bits[word];
    return missing == 0;
  }
  bool operator==(const MessageSet&) const = default;
};

class Networks {
 public:
  Networks() { number(MessageSet{}); }

  [[nodiscard]] const MessageSet& at(std::uint32_t network) const { return sets_[network]; }
  [[nodiscard]] std::size_t size() const { return sets_.size(); }

  [[nodiscard]] std::uint32_t with(std::uint32_t network, std::span<const std::uint16_t> sent) {
    MessageSet set = sets_[network];
    bool more = false;
    for (const std::uint16_t message : sent) more |= set.add(message);
    return more ? number(set) : network;
  }

  [[nodiscard]] bool covers(std::uint32_t larger, std::uint32_t smaller) const {
    return larger == smaller || sets_[larger].contains(sets_[smaller]);
  }

 private:
  struct Hash {
    std::size_t operator()(const MessageSet& set) const {
      return xxh3(std::string_view(reinterpret_cast<const char*>(set.bits.data()), sizeof(set.bits)));
    }
  };
  std::uint32_t number(const MessageSet& set) {
    const auto [found, fresh] = numbers_.emplace(set, static_cast<std::uint32_t>(sets_.size()));
    if (fresh) sets_.push_back(set);
    return found->second;
  }

  std::vector<MessageSet> sets_;
  std::unordered_map<MessageSet, std::uint32_t, Hash> numbers_;
};

}  // namespace assent::explore
