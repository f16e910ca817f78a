// What a run leaves behind: the trace digest, the narration, the counters, and the verdict. Every part of the world has
// a reference to the one Recorder; the first failure that anybody reports is the run's verdict and ends it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "sim/schedule.h"

namespace assent::sim {

enum class Verdict : std::uint8_t { ok = 0, crash = 1, wrong = 2, stuck = 3 };  // also the exit code
[[nodiscard]] std::string_view to_string(Verdict verdict);

using Counters = std::map<std::string, std::uint64_t>;
void merge(Counters& into, const Counters& from);

// The states that a long run must have reached; the report names those that it did not.
[[nodiscard]] const std::vector<std::string_view>& rare_states();

struct TimeSpan {
  Micros from = 0;
  Micros to = std::numeric_limits<Micros>::max();  // included
  bool operator==(const TimeSpan&) const = default;
};

class Recorder {
 public:
  // narrate: the time of which is told what happens; none: nothing is.
  explicit Recorder(const Schedule& schedule, std::optional<TimeSpan> narrate = std::nullopt);

  // ---- trace: equal for two runs of a seed ----
  template <class... Values>
  void trace(const Values&... values) {
    (digest_.add(values), ...);
  }
  [[nodiscard]] std::uint64_t digest() const { return digest_.value(); }

  // ---- narration: to standard output, one line an event, with the virtual time ----
  [[nodiscard]] bool narrating() const {
    return narrate_ && schedule_.now() >= narrate_->from && schedule_.now() <= narrate_->to;
  }
  template <class... Arguments>
  void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    if (narrating()) line(fmt::format(format, std::forward<Arguments>(arguments)...));
  }

  // ---- counters ----
  void fault(std::string_view kind) { ++faults_[std::string(kind)]; }
  void outcome(std::string_view kind) { ++outcomes_[std::string(kind)]; }
  // The name must be one of rare_states().
  void rare(std::string_view name);
  [[nodiscard]] const Counters& faults() const { return faults_; }
  [[nodiscard]] const Counters& outcomes() const { return outcomes_; }
  [[nodiscard]] const Counters& rare_reached() const { return rare_; }

  // ---- verdict ----
  // One sentence that names the thing and the rule. Only the first report counts.
  void wrong(std::string why) { fail(Verdict::wrong, std::move(why)); }
  void stuck(std::string why) { fail(Verdict::stuck, std::move(why)); }
  [[nodiscard]] bool failed() const { return verdict_ != Verdict::ok; }
  [[nodiscard]] Verdict verdict() const { return verdict_; }
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  void line(const std::string& text) const;
  void fail(Verdict verdict, std::string why);

  const Schedule& schedule_;
  std::optional<TimeSpan> narrate_;
  Digest digest_;
  Counters faults_;
  Counters outcomes_;
  Counters rare_;
  Verdict verdict_ = Verdict::ok;
  std::string why_;
};

}  // namespace assent::sim
