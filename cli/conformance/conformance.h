// Proves a participant of any language by driving it: what participant.proto promises, check by check.
//
// The checks use transactions of their own, with fresh ids, and abort what they leave prepared; a payload that the
// participant says yes to is the caller's to give, and its effects come and go as often as the checks need.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace assent::conformance {

struct Plan {
  std::string target;                         // host:port, grpcs://host:port, http:// or https://host:port/path
  std::string branch = "conformance";         // what the names of its branches begin with
  std::string participant = {};               // its name; empty: not told
  Bytes payload = {};                         // that it says yes to
  std::optional<Bytes> refused = {};          // a payload that it says no to
  std::chrono::milliseconds patience{5'000};  // for a definite answer
  std::string ca_file = {};                   // with TLS; empty: whoever the machine trusts
  // Kills the participant and starts it again; false when that failed. Empty: its checks are skipped.
  std::function<bool()> restart = {};
};

enum class Verdict : std::uint8_t { passed, failed, skipped };
[[nodiscard]] std::string_view to_string(Verdict verdict);

struct Finding {
  std::string check;  // commit-of-another-attempt
  Verdict verdict = Verdict::passed;
  std::string seen;  // of a failure: what was answered, and what should have been. Of a skipped one: why
  std::string cost;  // of a failure: what it would cost a user
};

struct Report {
  std::vector<Finding> findings;
  [[nodiscard]] bool conforms() const;  // none failed
  [[nodiscard]] std::size_t count(Verdict verdict) const;
};

// Each finding is told as soon as it is there. Blocks.
[[nodiscard]] Report prove(const Plan& plan, const std::function<void(const Finding&)>& told = {});

}  // namespace assent::conformance
