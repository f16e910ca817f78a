#include "client/backoff.h"

#include <algorithm>

namespace assent::client {

Backoff::Backoff(BackoffPolicy policy, std::uint64_t seed) : policy_(policy), current_(policy.initial), rng_(seed) {}

std::chrono::microseconds Backoff::next() {
  const double full = static_cast<double>(current_.count());
  const std::chrono::microseconds pause(static_cast<std::int64_t>(full * (0.5 + 0.5 * rng_.unit())));
  const double grown = std::min(full * policy_.multiplier, static_cast<double>(policy_.max.count()));
  current_ = std::chrono::microseconds(static_cast<std::int64_t>(grown));
  return pause;
}

}  // namespace assent::client
