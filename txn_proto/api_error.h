// Errors as they cross the public API: a gRPC status whose trailer carries google.rpc.ErrorInfo{reason, domain
// "assent", metadata}. One table gives each ErrorCode its status code and reason; the server writes with it, the client
// reads with it.
//
// Values only; safe from any thread. Reasons are listed for users in docs/API.md.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace assent {

inline constexpr std::string_view error_domain = "assent";

// Keys of ErrorInfo.metadata.
inline constexpr const char* metadata_group = "group";        // the group that was asked for
inline constexpr const char* metadata_leader = "leader";      // name of the node that leads it, when known
inline constexpr const char* metadata_endpoint = "endpoint";  // host:port of that node's client API, when known
inline constexpr const char* metadata_txn = "txn_id";
inline constexpr const char* metadata_how = "how";  // with an unknown outcome: the command that finds out
inline constexpr const char* metadata_field = "field";
inline constexpr const char* metadata_epoch = "map_epoch";  // of the answering node's cluster map

// Of a request: the epoch of the cluster map that the caller goes by, in decimal. Without it nothing is compared.
inline constexpr const char* header_map_epoch = "assent-map-epoch";

struct ApiError {
  ErrorCode code = ErrorCode::refused;
  std::string reason;   // empty: the code's own
  std::string message;  // what, where, what next
  std::map<std::string, std::string> metadata;
  std::uint32_t retry_after_millis = 0;  // 0: no advice

  bool operator==(const ApiError&) const = default;
};

// NOT_LEADER, TXN_CONFLICT, REFUSED, OUTCOME_UNKNOWN, ...
[[nodiscard]] std::string_view reason_of(ErrorCode code);

[[nodiscard]] grpc::Status to_status(const ApiError& error);
// The same with another status code: an outcome that is unknown because the deadline passed.
[[nodiscard]] grpc::Status to_status(const ApiError& error, grpc::StatusCode code);

// Total: a status without our details (a connection lost, a proxy's error) is judged by its code. What may have reached
// a server is unknown_outcome here only when it says so; whether a lost call may have run is the caller's judgement.
[[nodiscard]] ApiError from_status(const grpc::Status& status);
// Did the status come from an assent node (rather than from the connection or a proxy)?
[[nodiscard]] bool has_details(const grpc::Status& status);
// "UNAVAILABLE"; "code 99" for one that gRPC does not have.
[[nodiscard]] std::string name_of(grpc::StatusCode code);

}  // namespace assent
