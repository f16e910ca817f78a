#include "observe/histogram.h"

#include <algorithm>

namespace assent {
namespace {

constexpr std::size_t latency_bounds = 17;
constexpr std::array<std::uint64_t, latency_bounds> micros_bounds = [] {
  std::array<std::uint64_t, latency_bounds> bounds{};
  std::uint64_t next = 250;
  for (std::uint64_t& bound : bounds) {
    bound = next;
    next *= 2;
  }
  return bounds;
}();
constexpr std::array<std::uint64_t, 10> participants_bounds{1, 2, 3, 4, 6, 8, 12, 16, 32, 64};
static_assert(micros_bounds.size() <= Histogram::bounds_max);

}  // namespace

Histogram Histogram::of_micros() { return Histogram(micros_bounds); }
Histogram Histogram::of_participants() { return Histogram(participants_bounds); }

void Histogram::add(std::uint64_t value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  if (bound != bounds_.end()) ++buckets_[static_cast<std::size_t>(bound - bounds_.begin())];
  ++count_;
  sum_ += value;
}

}  // namespace assent
