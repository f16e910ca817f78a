#include <fmt/format.h>

#include "client/operations.h"

namespace assent::client {

namespace {
constexpr int hints_followed_at_once_max = 3;
}  // namespace

Pace::Pace(Courier& courier, SteadyTime deadline)
    : deadline_(deadline),
      attempt_timeout_(courier.options().attempt_timeout),
      backoff_(courier.options().discovery, courier.seed()) {}

SteadyTime Pace::attempt_deadline() {
  const SteadyTime own = std::chrono::steady_clock::now() + attempt_timeout_;
  attempt_timeout_ *= 2;
  return std::min(own, deadline_);
}

std::chrono::microseconds Pace::pause(bool follow_now) {
  if (follow_now && ++followed_ % (hints_followed_at_once_max + 1) != 0) return std::chrono::microseconds(0);
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline_ - std::chrono::steady_clock::now());
  return std::min(backoff_.next(), std::max(left, std::chrono::microseconds(0)));
}

Error time_is_up(Courier& courier, const Target& target, const ServiceError& error) {
  Error last = courier.directory().nobody(target.group);
  if (error.verdict == Verdict::busy) last.code = ErrorCode::busy;
  if (error.verdict == Verdict::lost) last.code = ErrorCode::timed_out;
  last.message = fmt::format("{} ({}), asked as the leader of {}, said until the time was up: {}", target.node,
                             target.endpoint, target.group, error.message);
  last.reason = error.reason;
  return last;
}

bool Pace::over() const { return std::chrono::steady_clock::now() >= deadline_; }

}  // namespace assent::client
