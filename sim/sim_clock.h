// The clock of one simulated node: drifts from the world's time and is stepped, also backward. Only leaders' stamps are
// made of it, so nothing but time windows may depend on it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "node/transport.h"
#include "sim/schedule.h"

namespace assent::sim {

// When the world begins: 2023-11-14, so that ids and stamps look as they do in life.
inline constexpr std::uint64_t epoch_millis = 1'700'000'000'000;

class SimClock final : public Clock {
 public:
  SimClock(const Schedule& schedule, double drift, std::int64_t offset_millis, double lease_drift)
      : schedule_(schedule), drift_(drift), offset_millis_(offset_millis), lease_drift_(lease_drift) {}

  [[nodiscard]] ClusterMillis wall() const override {
    const double drifted = static_cast<double>(schedule_.now()) * (1.0 + drift_) / 1000.0;
    return ClusterMillis(epoch_millis + static_cast<std::uint64_t>(std::max<std::int64_t>(
                                            0, static_cast<std::int64_t>(drifted) + offset_millis_)));
  }
  [[nodiscard]] std::uint64_t monotonic_micros() const override { return schedule_.now(); }
  // Is neither stepped nor repaired: it drifts to the end, by as much as leases allow for.
  [[nodiscard]] std::uint64_t alive_micros() const override {
    return static_cast<std::uint64_t>(static_cast<double>(schedule_.now()) * (1.0 + lease_drift_));
  }

  void step(std::int64_t millis) { offset_millis_ += millis; }
  void repair() {
    drift_ = 0;
    offset_millis_ = 0;
  }
  [[nodiscard]] std::int64_t offset_millis() const { return offset_millis_; }

 private:
  const Schedule& schedule_;
  double drift_;
  std::int64_t offset_millis_;
  double lease_drift_;
};

}  // namespace assent::sim
