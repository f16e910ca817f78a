// What a client call says when it did not get an answer. An aborted transaction is an answer and never an Error.
//
// An Error from execute() means that the transaction was certainly not begun by this call; when that is not certain,
// the call returns an outcome whose state is not definite instead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace assent::client {

enum class ErrorCode : std::uint8_t {
  invalid,      // the request makes no sense, or the service says so; the same request fails again
  not_found,    // no such group or node
  unreachable,  // no endpoint answered
  no_leader,    // nodes answered, but the group had no leader in time
  timed_out,    // a leader was asked and did not answer in time
  busy,         // the service turned the request away for lack of room until the time was up
  refused,      // the service understood and says no
  cancelled,    // this Client was destroyed meanwhile
  internal,     // the service or the connection misbehaved
};
[[nodiscard]] std::string_view to_string(ErrorCode code);

// What one endpoint said when it was last asked.
struct EndpointReport {
  std::string endpoint;
  std::string node;  // its name, when it ever told
  std::string said;  // "connection refused", "follows n2", "ok"
  bool operator==(const EndpointReport&) const = default;
};

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;                // one sentence
  std::string reason;                 // the service's own word (google.rpc.ErrorInfo), when there was one
  std::vector<EndpointReport> tried;  // when nodes or a leader could not be found

  // The message, then one line for each endpoint tried.
  [[nodiscard]] std::string text() const;
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] tl::unexpected<Error> fail(ErrorCode code, std::string message);

}  // namespace assent::client
