// Where a service is called: host:port or, with TLS, grpcs://host:port, by gRPC; or http://host:port/path or
// https://host:port/path, by HTTP call-back (docs/SERVICES.md). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assent {

struct HttpTarget {
  std::string host;
  std::uint16_t port = 0;
  std::string path;  // "" or "/..." without a slash at its end
  bool tls = false;
  bool operator==(const HttpTarget&) const = default;

  [[nodiscard]] std::string endpoint() const;  // host:port
  [[nodiscard]] std::string origin() const;    // scheme://host:port
};

struct GrpcTarget {
  std::string endpoint;  // host:port
  bool tls = false;
  bool operator==(const GrpcTarget&) const = default;
};

// host:port, the host without a scheme.
[[nodiscard]] bool is_host_and_port(std::string_view text);
[[nodiscard]] std::optional<GrpcTarget> grpc_target(std::string_view text);
// Nothing for any other scheme, a query, a fragment, a user, or a character that has no place in an address.
[[nodiscard]] std::optional<HttpTarget> http_target(std::string_view text);
[[nodiscard]] bool is_service_target(std::string_view text);
// host:port of any of them; empty when it is none.
[[nodiscard]] std::string endpoint_of(std::string_view target);

}  // namespace assent
