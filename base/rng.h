// A seeded random number generator (xoshiro256**, Blackman & Vigna). The only source of randomness outside the leaves:
// a value, copyable and comparable, the same on every machine.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace assent {

class Rng {
 public:
  explicit Rng(std::uint64_t seed);

  std::uint64_t next();
  // Uniform in [0, bound); 0 when bound is 0.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [low, high], both included; low <= high.
  std::uint64_t between(std::uint64_t low, std::uint64_t high);
  // True with probability p, which is clamped to [0, 1].
  bool chance(double p);
  // Uniform in [0, 1).
  double unit();
  // Exponential with the given mean.
  double exponential(double mean);
  // An independent generator for the component named by label; this one is left as it was.
  [[nodiscard]] Rng split(std::string_view label) const;

  bool operator==(const Rng&) const = default;

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace assent
