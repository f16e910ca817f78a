#include "server/config_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

namespace assent {

namespace {

constexpr std::uint64_t duration_millis_max = 10ULL * 365 * 24 * 3'600'000;

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array time_units{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}};
constexpr std::array size_units{Unit{"B", 1}, Unit{"KiB", 1ULL << 10U}, Unit{"MiB", 1ULL << 20U},
                                Unit{"GiB", 1ULL << 30U}};

// A whole number and what follows it.
struct NumberAndRest {
  std::uint64_t number = 0;
  std::string_view rest;
};

Result<NumberAndRest> parse_number(std::string_view text, std::string_view example) {
  if (text.empty()) return fail(ErrorCode::malformed, fmt::format("is empty; write for example {}", example));
  if (text.front() == '-') return fail(ErrorCode::malformed, fmt::format("\"{:.60}\" is negative", text));
  NumberAndRest parsed;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed.number);
  if (error == std::errc::result_out_of_range) {
    return fail(ErrorCode::malformed, fmt::format("\"{:.60}\" is too large", text));
  }
  if (error != std::errc{}) {
    return fail(ErrorCode::malformed, fmt::format("\"{:.60}\" is not a number; write for example {}", text, example));
  }
  parsed.rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return parsed;
}

template <std::size_t n>
Result<std::uint64_t> parse_with_unit(std::string_view text, const std::array<Unit, n>& units,
                                      std::string_view example) {
  const Result<NumberAndRest> parsed = parse_number(text, example);
  if (!parsed) return fail(parsed.error());
  std::string known;
  for (const Unit& unit : units) {
    if (unit.name == parsed->rest) {
      if (parsed->number > std::numeric_limits<std::uint64_t>::max() / unit.factor) {
        return fail(ErrorCode::malformed, fmt::format("\"{:.60}\" is too large", text));
      }
      return parsed->number * unit.factor;
    }
    known += (known.empty() ? "" : " ") + std::string(unit.name);
  }
  const std::string_view what = parsed->rest.empty() ? "has no unit" : "has a unit that is not known";
  return fail(ErrorCode::malformed,
              fmt::format("\"{:.60}\" {}; units are {}, for example {}", text, what, known, example));
}

template <std::size_t n>
std::string text_with_unit(std::uint64_t value, const std::array<Unit, n>& units) {
  for (auto unit = units.rbegin(); unit != units.rend(); ++unit) {
    if (value != 0 && value % unit->factor == 0) return fmt::format("{}{}", value / unit->factor, unit->name);
  }
  return fmt::format("{}{}", value, units.front().name);
}

}  // namespace

std::string Endpoint::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const Result<std::uint64_t> millis = parse_with_unit(text, time_units, "100ms");
  if (!millis) return fail(millis.error());
  if (*millis > duration_millis_max) return fail(ErrorCode::malformed, fmt::format("\"{:.60}\" is too large", text));
  return std::chrono::milliseconds(*millis);
}

Result<std::uint64_t> parse_size(std::string_view text) { return parse_with_unit(text, size_units, "4MiB"); }

Result<std::uint64_t> parse_count(std::string_view text) {
  const Result<NumberAndRest> parsed = parse_number(text, "1000");
  if (!parsed) return fail(parsed.error());
  if (!parsed->rest.empty()) {
    return fail(ErrorCode::malformed, fmt::format("\"{:.60}\" is not a whole number; write for example 1000", text));
  }
  return parsed->number;
}

Result<std::uint64_t> parse_share(std::string_view text) {
  double share = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), share);
  if (error != std::errc{} || end != text.data() + text.size() || !(share >= 0 && share <= 1)) {
    return fail(ErrorCode::malformed,
                fmt::format("\"{:.60}\" is not a share from 0 to 1; write for example 0.05", text));
  }
  constexpr double million = 1e6;
  return static_cast<std::uint64_t>(std::lround(share * million));
}

Result<bool> parse_switch(std::string_view text) {
  if (text == "on" || text == "true") return true;
  if (text == "off" || text == "false") return false;
  return fail(ErrorCode::malformed, fmt::format("\"{:.60}\" is neither on nor off", text));
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view shape = "write host:port, for example 127.0.0.1:7420 or [::1]:7420";
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return fail(ErrorCode::malformed,
                fmt::format("\"{:.100}\" has no {}; {}", text, colon == 0 ? "host" : "port", shape));
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if ((!bracketed && host.find_first_of(":[]") != std::string_view::npos) || host.find_first_of(" \t/") != host.npos) {
    return fail(ErrorCode::malformed, fmt::format("\"{:.100}\" has no readable host; {}", text, shape));
  }
  const std::string_view port_text = text.substr(colon + 1);
  std::uint32_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc{} || end != port_text.data() + port_text.size() || port == 0 || port > 65535) {
    return fail(ErrorCode::malformed,
                fmt::format("\"{:.100}\" has the port \"{:.20}\"; ports are 1 to 65535", text, port_text));
  }
  return Endpoint{.host = std::string(host), .port = static_cast<std::uint16_t>(port)};
}

std::string duration_text(std::chrono::milliseconds duration) {
  return text_with_unit(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)), time_units);
}

std::string size_text(std::uint64_t bytes) { return text_with_unit(bytes, size_units); }

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({replace, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace assent
