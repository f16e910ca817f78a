// How much of something may pass in a second, with a burst that may pass at once. Pure: the caller brings the time.
//
// Kept as one number, the moment at which all that has passed is paid for (the "virtual scheduling" form of the generic
// cell rate algorithm, ITU-T I.371): nothing passes while that lies more than a burst ahead.
#pragma once

#include <algorithm>
#include <cstdint>

namespace assent {

class TokenBucket {
 public:
  // Tokens a second, and how many of them may pass at once after a pause. per_second 0: no bound.
  TokenBucket(std::uint64_t per_second, std::uint64_t burst) : per_second_(per_second), burst_(burst) {}

  // 0: so many pass now. Otherwise none does, and it is worth asking again after so many microseconds. One demand may
  // be larger than the burst: it passes when nothing is owed, and who comes next pays for it. now_micros never goes
  // back.
  [[nodiscard]] std::uint64_t take(std::uint64_t tokens, std::uint64_t now_micros) {
    if (per_second_ == 0) return 0;
    const std::uint64_t credit = micros_for(burst_);
    const std::uint64_t paid = std::max(paid_at_, now_micros);
    const std::uint64_t cost = micros_for(tokens);
    const std::uint64_t ahead = paid - now_micros;
    if (ahead != 0 && ahead + cost > credit) return std::max<std::uint64_t>(1, std::min(ahead, ahead + cost - credit));
    paid_at_ = paid + cost;
    return 0;
  }

 private:
  // Rounded up, so that many small demands pass no quicker than a large one.
  [[nodiscard]] std::uint64_t micros_for(std::uint64_t tokens) const {
    const std::uint64_t seconds = tokens / per_second_;
    const std::uint64_t rest = tokens % per_second_;
    return seconds * 1'000'000 +
           static_cast<std::uint64_t>((static_cast<double>(rest) * 1'000'000.0) / static_cast<double>(per_second_) + 1);
  }

  std::uint64_t per_second_;
  std::uint64_t burst_;
  std::uint64_t paid_at_ = 0;  // microseconds
};

}  // namespace assent
