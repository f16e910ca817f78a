#include "base/rng.h"

#include <cmath>

#include "base/digest.h"

namespace assent {
namespace {

std::uint64_t rotate_left(std::uint64_t x, unsigned k) { return (x << k) | (x >> (64U - k)); }

std::uint64_t split_mix(std::uint64_t& state) {
  state += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

}  // namespace

Rng::Rng(std::uint64_t seed) {
  for (auto& word : state_) word = split_mix(seed);
}

std::uint64_t Rng::next() {
  const std::uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17U;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

std::uint64_t Rng::below(std::uint64_t bound) {
  if (bound == 0) return 0;
  const std::uint64_t limit = ~std::uint64_t{0} - ~std::uint64_t{0} % bound;  // rejects the biased tail
  std::uint64_t value = next();
  while (value >= limit) value = next();
  return value % bound;
}

std::uint64_t Rng::between(std::uint64_t low, std::uint64_t high) {
  if (low == 0 && high == ~std::uint64_t{0}) return next();
  return low + below(high - low + 1);
}

double Rng::unit() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }

bool Rng::chance(double p) { return unit() < p; }

double Rng::exponential(double mean) { return -mean * std::log1p(-unit()); }

Rng Rng::split(std::string_view label) const {
  Digest digest;
  for (const std::uint64_t word : state_) digest.add(word);
  digest.add(label);
  return Rng(digest.value());
}

}  // namespace assent
