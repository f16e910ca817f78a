// How many transactions of clients a node begins at a time. Beginning more than the node can work at makes all of them
// slower: they hold locks while they wait for processors, and collide. What has begun wants to finish first.
//
// A transaction counts from its beginning until it is answered, but no longer than working_max: one that has run for so
// long does not work, it waits (for a shard that is down, for a lock), and must not hold up those that could run.
// Beyond running_max they wait in the order of arrival, beyond waiting_max they are refused. Everything but an Execute
// passes: questions about outcomes and messages of peers are what finishing is made of.
//
// A fixed number because what it guards is fixed: processors. With long ways between nodes a transaction spends its
// time on the road, and running_max has to be the rate wanted times the time that one takes.
//
// From one thread. No clock inside: the caller says what time it is.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <unordered_set>

#include "node/loop.h"

namespace assent {

struct AdmissionLimits {
  std::size_t running_max = 128;
  std::size_t waiting_max = 1024;
  std::chrono::milliseconds working_max{250};
};

class Admission {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  enum class Verdict { begin, wait, refuse };

  explicit Admission(AdmissionLimits limits) : limits_(limits) {}

  // Takes the request when it says wait; else the request is as it was.
  [[nodiscard]] Verdict ask(ClientRequest& request, TimePoint now);
  // It was answered, or never began after all.
  void ended(RequestId id);
  // The next one of those that wait, if one may begin now. It counts from here on.
  [[nodiscard]] std::optional<ClientRequest> next(TimePoint now);

  // next() has one.
  [[nodiscard]] bool ready(TimePoint now) { return !waiting_.empty() && room(now); }

  [[nodiscard]] std::size_t running() const { return running_.size(); }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Began {
    TimePoint at;
    RequestId id;
  };
  [[nodiscard]] bool room(TimePoint now);
  void begin(RequestId id, TimePoint now);

  const AdmissionLimits limits_;
  std::unordered_set<std::uint64_t> running_;  // that count, by request
  std::deque<Began> order_;                    // oldest first; some have ended
  std::deque<ClientRequest> waiting_;
};

}  // namespace assent
