// Branches that nobody ends, and what came of them: one look at a time, in which those that are in doubt for longer
// than a bound are asked about, and committed or aborted accordingly.
//
// It decides nothing: the question is sealing (fate_of), and what it cannot learn stays in doubt. A few are asked about
// at a look, oldest first; a branch that could not be resolved comes again after a pause that grows, so that one whose
// coordinator is lost does not keep the others from being asked. No thread, clock or sleep: the Resolver
// (service/resolver.h) has those, and so does whoever runs it in another time.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "base/result.h"
#include "service/branches.h"
#include "service/fate.h"

namespace assent::service {

// An Error: nobody could be asked.
using AskFate = std::function<Result<Fate>(const InDoubt&)>;

struct ResolverOptions {
  std::chrono::milliseconds patience{10'000};  // in doubt for so long before it asks
  std::chrono::milliseconds interval{2'000};   // between two looks
  std::size_t questions_max = 16;              // at a look
  std::chrono::milliseconds pause_max{
      60'000};  // until a branch is asked about again; begins with the interval, doubles
};

struct Resolved {
  std::size_t committed = 0;
  std::size_t aborted = 0;
  std::size_t open = 0;  // asked, and still in doubt
  std::string trouble;   // the last one that was met; empty: none
};

class Doubts {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // The branches must outlive this.
  Doubts(Branches& branches, AskFate ask, ResolverOptions options)
      : branches_(branches), ask_(std::move(ask)), options_(options) {}

  // stopping: looked at between two questions.
  [[nodiscard]] Resolved look(Time now, const std::function<bool()>& stopping);

 private:
  struct Pause {
    Time until;
    std::chrono::milliseconds length{0};
  };

  void resolve(const InDoubt& one, Time now, Resolved& all);
  void put_off(const BranchKey& key, Time now);

  Branches& branches_;
  const AskFate ask_;
  const ResolverOptions options_;
  std::map<BranchKey, Pause> pauses_;
};

}  // namespace assent::service
