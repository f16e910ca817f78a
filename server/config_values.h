// The words that values of the configuration are written in: durations, sizes, counts, switches, endpoints. Units are
// part of the value ("100ms", "4MiB"). Pure; every bad text gives a sentence that says what is wrong and what would be
// right.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace assent {

// A place to listen at or to connect to: "host:port", with an IPv6 host in brackets.
struct Endpoint {
  std::string host;  // without brackets
  std::uint16_t port = 0;

  [[nodiscard]] std::string text() const;
  bool operator==(const Endpoint&) const = default;
};

// Errors are malformed and hold the sentence without naming the key.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);  // ms s m h; at most 10 years
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);                  // B KiB MiB GiB
[[nodiscard]] Result<std::uint64_t> parse_count(std::string_view text);
[[nodiscard]] Result<std::uint64_t> parse_share(std::string_view text);  // 0 to 1, in millionths: "0.05"
[[nodiscard]] Result<bool> parse_switch(std::string_view text);          // on off true false
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

// The shortest exact form, with a unit.
[[nodiscard]] std::string duration_text(std::chrono::milliseconds duration);
[[nodiscard]] std::string size_text(std::uint64_t bytes);

// Edits (insert, delete, replace, swap neighbours) between two texts.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace assent
