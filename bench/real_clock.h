// The clock of a node's loop in a benchmark that has no server around it.
#pragma once

#include <chrono>
#include <cstdint>

#include "node/transport.h"

namespace assent {

class RealClock final : public Clock {
 public:
  [[nodiscard]] ClusterMillis wall() const override {
    return ClusterMillis(1'800'000'000'000 + monotonic_micros() / 1'000);
  }
  [[nodiscard]] std::uint64_t monotonic_micros() const override {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(since).count());
  }
};

}  // namespace assent
