#include "txn_proto/service_target.h"

#include <algorithm>
#include <charconv>

namespace assent {
namespace {

constexpr std::string_view http_scheme = "http://";
constexpr std::string_view https_scheme = "https://";
constexpr std::string_view grpcs_scheme = "grpcs://";

std::optional<std::uint16_t> port_from(std::string_view digits) {
  unsigned value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [read, trouble] = std::from_chars(digits.data(), end, value);
  if (trouble != std::errc() || read != end || value == 0 || value > 65'535) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

bool path_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("/-._~%!$&'()*+,;=:").find(c) != std::string_view::npos;
}

}  // namespace

std::string HttpTarget::endpoint() const { return host + ":" + std::to_string(port); }

std::string HttpTarget::origin() const { return std::string(tls ? https_scheme : http_scheme) + endpoint(); }

bool is_host_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || text.find('/') != std::string_view::npos) return false;
  return port_from(text.substr(colon + 1)).has_value();
}

std::optional<HttpTarget> http_target(std::string_view text) {
  const bool tls = text.starts_with(https_scheme);
  if (!tls && !text.starts_with(http_scheme)) return std::nullopt;
  text.remove_prefix((tls ? https_scheme : http_scheme).size());
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string_view place = text.substr(0, slash);
  std::string_view path = text.substr(slash);
  if (!is_host_and_port(place) || !std::all_of(path.begin(), path.end(), path_byte)) return std::nullopt;
  const std::size_t colon = place.rfind(':');
  const std::string_view host = place.substr(0, colon);
  const auto host_byte = [](char c) { return path_byte(c) || c == '[' || c == ']'; };
  if (!std::all_of(host.begin(), host.end(), host_byte)) return std::nullopt;
  while (path.ends_with('/')) path.remove_suffix(1);
  return HttpTarget{std::string(host), *port_from(place.substr(colon + 1)), std::string(path), tls};
}

std::optional<GrpcTarget> grpc_target(std::string_view text) {
  const bool tls = text.starts_with(grpcs_scheme);
  if (tls) text.remove_prefix(grpcs_scheme.size());
  if (!is_host_and_port(text)) return std::nullopt;
  return GrpcTarget{std::string(text), tls};
}

bool is_service_target(std::string_view text) { return grpc_target(text) || http_target(text); }

std::string endpoint_of(std::string_view target) {
  if (const auto http = http_target(target)) return http->endpoint();
  const auto grpc = grpc_target(target);
  return grpc ? grpc->endpoint : std::string();
}

}  // namespace assent
