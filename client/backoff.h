// How long to wait before the next try: bounded exponential growth with jitter, so that many clients that failed
// together do not come back together. A value; the seed is the only source of chance.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/rng.h"

namespace assent::client {

struct BackoffPolicy {
  std::chrono::microseconds initial{10'000};
  std::chrono::microseconds max{250'000};
  double multiplier = 2.0;
};

class Backoff {
 public:
  Backoff(BackoffPolicy policy, std::uint64_t seed);

  // Between half of the current pause and all of it; the current one then grows up to the policy's maximum.
  std::chrono::microseconds next();
  void reset() { current_ = policy_.initial; }

 private:
  BackoffPolicy policy_;
  std::chrono::microseconds current_;
  Rng rng_;
};

}  // namespace assent::client
