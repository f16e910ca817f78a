// Latencies in microseconds, counted in buckets whose width grows with the value, as HdrHistogram does: 128 buckets for
// each doubling, so that a percentile is never more than one percent above the true one. A value; adding never
// allocates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace assent::bank {

class Histogram {
 public:
  static constexpr std::uint64_t value_max = (std::uint64_t{1} << 32U) - 1;  // larger ones are counted as this

  void add(std::uint64_t micros);
  void merge(const Histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] double mean() const;
  // The smallest bucket edge such that at least the share (0 < share <= 1) of the values is at or below it; 0 when
  // empty.
  [[nodiscard]] std::uint64_t percentile(double share) const;

 private:
  static constexpr unsigned precision_bits = 7;
  static constexpr std::size_t sub_buckets = std::size_t{1} << precision_bits;
  static constexpr std::size_t buckets = sub_buckets * (32 - precision_bits + 1);
  [[nodiscard]] static std::size_t bucket_of(std::uint64_t value);
  [[nodiscard]] static std::uint64_t upper_edge(std::size_t bucket);

  std::array<std::uint32_t, buckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace assent::bank
