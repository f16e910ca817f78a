#include "client/service_error.h"

#include <charconv>

#include "txn_proto/api_error.h"

namespace assent::client {

namespace {

Verdict of_service(assent::ErrorCode code) {
  using assent::ErrorCode;
  switch (code) {
    case ErrorCode::not_leader: return Verdict::elsewhere;
    case ErrorCode::busy:
    case ErrorCode::conflict:
    case ErrorCode::too_stale:
    case ErrorCode::cancelled: return Verdict::busy;
    case ErrorCode::unknown_outcome:
    case ErrorCode::io:
    case ErrorCode::corruption: return Verdict::lost;
    case ErrorCode::malformed: return Verdict::invalid;
    case ErrorCode::not_found: return Verdict::not_found;
    case ErrorCode::refused:
    case ErrorCode::unsupported:
    case ErrorCode::compacted:
    case ErrorCode::too_old: return Verdict::refused;
  }
  return Verdict::lost;
}

// A call fails so while its channel has no connection, before anything is sent. gRPC has no code for it, only these
// words; should they ever change, such a call counts as lost, which is the safe side. (The address of the call's peer
// is no sign: it is not known yet when a connection is cut under a call that has just been sent.)
bool never_left(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         (status.error_message().starts_with("failed to connect to all addresses") ||
          status.error_message().starts_with("DNS resolution failed"));
}

// A status that no assent node wrote: gRPC's own, or a proxy's.
Verdict of_connection(const grpc::Status& status) {
  if (never_left(status)) return Verdict::unsent;
  switch (status.error_code()) {
    case grpc::StatusCode::UNIMPLEMENTED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED: return Verdict::refused;
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return Verdict::invalid;  // a message over a limit, and so again
    default: return Verdict::lost;
  }
}

// gRPC wraps the cause in layers of its own words; a person wants the cause.
std::string tidy(const grpc::Status& status) {
  const std::string& text = status.error_message();
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (says("Connection refused")) return "connection refused";
  if (says("Connection reset") || says("Socket closed") || says("GOAWAY")) return "the connection was lost";
  if (says("DNS resolution failed")) return "the host name cannot be resolved";
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return "no answer in time";
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) return "does not speak assent.v1";
  constexpr std::string_view cause = "last error: ";
  const std::size_t at = text.find(cause);
  return at == std::string::npos ? text : text.substr(at + cause.size());
}

std::string metadata(const ApiError& error, const char* key) {
  const auto found = error.metadata.find(key);
  return found == error.metadata.end() ? std::string() : found->second;
}

std::uint64_t number_of(const std::string& text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

ServiceError judge(const grpc::Status& status) {
  if (status.ok()) return {};
  if (!has_details(status)) return {of_connection(status), {}, tidy(status), {}, 0};
  const ApiError error = from_status(status);
  const Verdict verdict = of_service(error.code);
  const std::string group = metadata(error, metadata_group);
  const std::string epoch = metadata(error, metadata_epoch);
  return {verdict,
          error.reason,
          error.message,
          {group, metadata(error, metadata_leader), metadata(error, metadata_endpoint)},
          number_of(epoch)};
}

Error to_error(const ServiceError& error) {
  ErrorCode code = ErrorCode::refused;
  if (error.verdict == Verdict::invalid) code = ErrorCode::invalid;
  if (error.verdict == Verdict::not_found) code = ErrorCode::not_found;
  return Error{code, error.message, error.reason, {}};
}

}  // namespace assent::client
