#include "client/error.h"

#include <fmt/format.h>

#include <utility>

namespace assent::client {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid: return "invalid";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::unreachable: return "unreachable";
    case ErrorCode::no_leader: return "no_leader";
    case ErrorCode::timed_out: return "timed_out";
    case ErrorCode::busy: return "busy";
    case ErrorCode::refused: return "refused";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::internal: return "internal";
  }
  return "internal";
}

std::string Error::text() const {
  std::string out = message;
  for (const EndpointReport& report : tried) {
    out += report.node.empty() ? fmt::format("\n  {}: {}", report.endpoint, report.said)
                               : fmt::format("\n  {} ({}): {}", report.endpoint, report.node, report.said);
  }
  return out;
}

tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message), {}, {}});
}

}  // namespace assent::client
