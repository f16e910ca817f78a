// How often a value fell into each of a few fixed ranges, as Prometheus counts: for durations in microseconds and for
// small numbers. A plain value; copying it is a snapshot.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace assent {

class Histogram {
 public:
  static constexpr std::size_t bounds_max = 20;

  // 250 us, doubled sixteen times: up to 16.4 s.
  [[nodiscard]] static Histogram of_micros();
  // 1 2 3 4 6 8 12 16 32 64
  [[nodiscard]] static Histogram of_participants();

  void add(std::uint64_t value);

  // Upper bounds, each included in its range; what lies above the last is in no bucket but in count().
  [[nodiscard]] std::span<const std::uint64_t> bounds() const { return bounds_; }
  // Not cumulative; one for each bound.
  [[nodiscard]] std::span<const std::uint64_t> buckets() const { return std::span(buckets_).first(bounds_.size()); }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t sum() const { return sum_; }

 private:
  explicit Histogram(std::span<const std::uint64_t> bounds) : bounds_(bounds) {}

  std::span<const std::uint64_t> bounds_;  // of static tables
  std::array<std::uint64_t, bounds_max> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
};

}  // namespace assent
