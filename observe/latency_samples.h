// How long the newest transactions took, and their phases: little of each, so that thousands are counted in no time.
// A ring; belongs to whoever owns it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "observe/txn_record.h"

namespace assent {

struct LatencySample {
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  std::int64_t started = 0;  // unix micros
  std::uint32_t total = 0;   // micros, until the client was answered
  std::array<std::uint32_t, txn_phases> phases = [] {
    std::array<std::uint32_t, txn_phases> all{};
    all.fill(none);
    return all;
  }();
};

class LatencySamples {
 public:
  explicit LatencySamples(std::size_t most) : most_(most) {}

  // Its number, from 1; 0 when nothing is kept. The oldest goes.
  std::uint64_t add(const LatencySample& sample) {
    if (most_ == 0) return 0;
    if (ring_.size() < most_) {
      ring_.push_back(sample);
    } else {
      ring_[count_ % most_] = sample;
    }
    return ++count_;
  }
  // nullptr: it is gone.
  [[nodiscard]] LatencySample* find(std::uint64_t number) {
    const bool kept = number != 0 && number <= count_ && count_ - number < ring_.size();
    return kept ? &ring_[(number - 1) % most_] : nullptr;
  }
  // In no order.
  [[nodiscard]] const std::vector<LatencySample>& all() const { return ring_; }

 private:
  std::size_t most_;
  std::vector<LatencySample> ring_;
  std::uint64_t count_ = 0;
};

}  // namespace assent
