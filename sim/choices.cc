#include "sim/choices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/swarm.h"

namespace assent::sim {
namespace {

std::string words(const std::vector<std::string>& names) {
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ","));
}

}  // namespace

std::string to_options(const Choices& choices) {
  std::string text;
  if (choices.workload != Choices{}.workload) text += " --workload " + choices.workload;
  if (choices.faults) text += " --faults " + words(*choices.faults);
  if (choices.protocol) text += fmt::format(" --protocol {}", to_string(*choices.protocol));
  if (choices.clients) text += fmt::format(" --clients {}", *choices.clients);
  if (choices.requests) text += fmt::format(" --requests {}", *choices.requests);
  if (choices.chaos) text += fmt::format(" --chaos {}", *choices.chaos / millisecond);
  if (choices.plain_limits) text += " --plain-limits";
  if (choices.plain_raft) text += " --plain-raft";
  if (choices.plain_snapshots) text += " --plain-snapshots";
  if (choices.plain_leaving) text += " --plain-leaving";
  if (choices.plain_loops) text += " --plain-loops";
  if (choices.plain_disks) text += " --plain-disks";
  if (choices.yardstick) text += " --yardstick";
  return text;
}

Result<std::optional<std::vector<std::string>>> parse_faults(const std::string& text) {
  if (text == "all") return std::nullopt;
  std::vector<std::string> names;
  if (text == "none") return std::optional(names);
  const std::vector<std::string_view> known = fault_kind_names();
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t to = std::min(text.find(',', from), text.size());
    names.push_back(text.substr(from, to - from));
    if (std::find(known.begin(), known.end(), names.back()) == known.end()) {
      return fail(ErrorCode::malformed, fmt::format("--faults: there is no kind of fault named '{}'; all, none, or "
                                                    "some of {}",
                                                    names.back(), fmt::join(known, ",")));
    }
    from = to + 1;
  }
  return std::optional(names);
}

Result<std::optional<Protocol>> parse_protocol(const std::string& text) {
  if (text == "drawn") return std::nullopt;
  for (const Protocol protocol :
       {Protocol::automatic, Protocol::one_phase, Protocol::two_phase, Protocol::three_phase, Protocol::paxos_commit}) {
    if (text == to_string(protocol)) return std::optional(protocol);
  }
  return fail(ErrorCode::malformed,
              fmt::format("--protocol: '{}' is none; drawn, {}, {}, {}, {} or {}", text, to_string(Protocol::automatic),
                          to_string(Protocol::one_phase), to_string(Protocol::two_phase),
                          to_string(Protocol::three_phase), to_string(Protocol::paxos_commit)));
}

}  // namespace assent::sim
