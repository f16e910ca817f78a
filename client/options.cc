#include "client/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace assent::client {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool is_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (host.find(':') != std::string_view::npos && !bracketed) return false;  // an IPv6 address wants brackets
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc() && end == port.data() + port.size() && number > 0 && number <= 65535;
}

}  // namespace

Result<std::vector<std::string>> parse_endpoints(std::string_view text) {
  std::vector<std::string> endpoints;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = trim(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (part.empty()) continue;
    if (!is_endpoint(part)) {
      return fail(ErrorCode::invalid,
                  fmt::format("'{}' is not an endpoint; write host:port, several with commas", part));
    }
    if (std::find(endpoints.begin(), endpoints.end(), part) == endpoints.end()) endpoints.emplace_back(part);
  }
  if (endpoints.empty()) return fail(ErrorCode::invalid, "no endpoint is given; write host:port, several with commas");
  return endpoints;
}

}  // namespace assent::client
