// What a failed gRPC call means to a client: whether the request may have been carried out, and what to do next. Pure.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "client/directory.h"
#include "client/error.h"
#include "client/map.h"

namespace assent::client {

enum class Verdict : std::uint8_t {
  answered,   // OK
  elsewhere,  // this node does not lead: nothing was done; ask whom the hint names
  busy,       // nothing was done; ask again later
  unsent,     // nothing left this machine
  lost,       // it may have been done
  invalid,    // nothing was done, and the same request fails again
  not_found,  // nothing was done: no such group
  refused,    // nothing was done: a rule says no
};

struct ServiceError {
  Verdict verdict = Verdict::answered;
  std::string reason;           // the service's word, empty when the connection failed
  std::string message;          // for a person
  LeaderHint hint;              // with elsewhere
  std::uint64_t map_epoch = 0;  // of the cluster map that the node goes by, when it told

  // The request went by a map that is older than the node's.
  [[nodiscard]] bool stale_map() const { return reason == stale_map_reason; }
};

[[nodiscard]] ServiceError judge(const grpc::Status& status);

// For the verdicts invalid, not_found and refused.
[[nodiscard]] Error to_error(const ServiceError& error);

}  // namespace assent::client
