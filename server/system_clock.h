// The machine's clocks behind the node's Clock seam. Stateless; from any thread.
#pragma once

#include <time.h>

#include <chrono>

#include "node/transport.h"

namespace assent {

class SystemClock final : public Clock {
 public:
  [[nodiscard]] ClusterMillis wall() const override {
    return ClusterMillis(count<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()));
  }
  [[nodiscard]] std::uint64_t monotonic_micros() const override {
    return count<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch());
  }
  // Unlike the monotonic clock it counts while the machine is suspended.
  [[nodiscard]] std::uint64_t alive_micros() const override {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
  }
  [[nodiscard]] static std::uint64_t wall_micros() {
    return count<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch());
  }

 private:
  template <class Unit, class Duration>
  static std::uint64_t count(Duration duration) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<Unit>(duration).count());
  }
};

}  // namespace assent
