// Expected outcomes are values. Result<T> is a T or an Error; an Error says what happened, to which thing, and what to
// do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "base/ids.h"

namespace assent {

enum class ErrorCode : std::uint8_t {
  not_leader,       // ask the node in leader_hint, or any other when there is none
  conflict,         // somebody else holds what this needs; a retry of the whole transaction may succeed
  refused,          // a rule says no; the same request will be refused again
  unknown_outcome,  // it may or may not have happened; ask before doing anything else
  compacted,        // that part of the log is gone
  busy,             // a queue or window is full; retry later
  unsupported,      // asked for something that this build or participant cannot do
  malformed,        // the request or the bytes cannot be read
  not_found,        // no such thing
  io,               // the operating system said no
  corruption,       // bytes on disk are not what was written
  cancelled,        // the caller went away or the time was up before anything was started
  too_stale,        // this replica cannot prove that what it holds is as young as the read wants; ask another
  too_old,          // the transaction id is older than the retention or further ahead than the clock skew allows
};

[[nodiscard]] std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::refused;
  std::string message;
  NodeId leader_hint;  // set with not_leader when the leader is known

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message, NodeId leader_hint = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), leader_hint});
}

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace assent
