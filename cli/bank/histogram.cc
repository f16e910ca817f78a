#include "cli/bank/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace assent::bank {

std::size_t Histogram::bucket_of(std::uint64_t value) {
  if (value < sub_buckets) return value;
  // Keep the leading bit and the seven after it.
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - precision_bits;
  const std::uint64_t mantissa = (value >> shift) - sub_buckets;
  return sub_buckets * (shift + 1) + mantissa;
}

std::uint64_t Histogram::upper_edge(std::size_t bucket) {
  if (bucket < sub_buckets) return bucket;
  const std::size_t shift = bucket / sub_buckets - 1;
  const std::uint64_t mantissa = bucket % sub_buckets + sub_buckets;
  return ((mantissa + 1) << shift) - 1;
}

void Histogram::add(std::uint64_t micros) {
  const std::uint64_t value = std::min(micros, value_max);
  counts_[bucket_of(value)] += 1;
  count_ += 1;
  sum_ += value;
  max_ = std::max(max_, value);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

double Histogram::mean() const { return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_); }

std::uint64_t Histogram::percentile(double share) const {
  if (count_ == 0) return 0;
  const auto rank =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min(upper_edge(i), max_);
  }
  return max_;
}

}  // namespace assent::bank
