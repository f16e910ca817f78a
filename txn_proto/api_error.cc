#include "txn_proto/api_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace assent {

namespace {

struct Row {
  ErrorCode code;
  std::string_view reason;
  grpc::StatusCode status;
};

constexpr std::array rows{
    Row{ErrorCode::not_leader, "NOT_LEADER", grpc::StatusCode::UNAVAILABLE},
    Row{ErrorCode::conflict, "TXN_CONFLICT", grpc::StatusCode::ABORTED},
    Row{ErrorCode::refused, "REFUSED", grpc::StatusCode::FAILED_PRECONDITION},
    Row{ErrorCode::unknown_outcome, "OUTCOME_UNKNOWN", grpc::StatusCode::UNAVAILABLE},
    Row{ErrorCode::compacted, "COMPACTED", grpc::StatusCode::OUT_OF_RANGE},
    Row{ErrorCode::busy, "OVERLOADED", grpc::StatusCode::RESOURCE_EXHAUSTED},
    Row{ErrorCode::unsupported, "UNSUPPORTED", grpc::StatusCode::UNIMPLEMENTED},
    Row{ErrorCode::malformed, "INVALID_ARGUMENT", grpc::StatusCode::INVALID_ARGUMENT},
    Row{ErrorCode::not_found, "NOT_FOUND", grpc::StatusCode::NOT_FOUND},
    Row{ErrorCode::io, "IO_ERROR", grpc::StatusCode::INTERNAL},
    Row{ErrorCode::corruption, "CORRUPTION", grpc::StatusCode::DATA_LOSS},
    Row{ErrorCode::cancelled, "CANCELLED", grpc::StatusCode::CANCELLED},
    Row{ErrorCode::too_stale, "TOO_STALE", grpc::StatusCode::UNAVAILABLE},
    Row{ErrorCode::too_old, "TXN_TOO_OLD", grpc::StatusCode::OUT_OF_RANGE},
};

const Row& row_of(ErrorCode code) {
  const auto* found = std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.code == code; });
  return found == rows.end() ? rows[2] : *found;
}

struct ReasonRow {
  std::string_view reason;
  ErrorCode code;
};

// Reasons that say more than their code's own.
constexpr std::array special_reasons{
    ReasonRow{"GROUP_NOT_FOUND", ErrorCode::not_found}, ReasonRow{"TXN_NOT_FOUND", ErrorCode::not_found},
    ReasonRow{"TOO_LARGE", ErrorCode::malformed},       ReasonRow{"DEADLINE_PASSED", ErrorCode::cancelled},
    ReasonRow{"SHUTTING_DOWN", ErrorCode::not_leader},  ReasonRow{"INVALID_SQL", ErrorCode::malformed},
};

std::optional<ErrorCode> code_of_reason(std::string_view reason) {
  for (const Row& row : rows) {
    if (row.reason == reason) return row.code;
  }
  for (const ReasonRow& row : special_reasons) {
    if (row.reason == reason) return row.code;
  }
  return std::nullopt;
}

ErrorCode code_of_status(grpc::StatusCode status) {
  switch (status) {
    case grpc::StatusCode::CANCELLED: return ErrorCode::cancelled;
    case grpc::StatusCode::INVALID_ARGUMENT: return ErrorCode::malformed;
    case grpc::StatusCode::NOT_FOUND: return ErrorCode::not_found;
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return ErrorCode::busy;
    case grpc::StatusCode::ABORTED: return ErrorCode::conflict;
    case grpc::StatusCode::UNIMPLEMENTED: return ErrorCode::unsupported;
    case grpc::StatusCode::DATA_LOSS: return ErrorCode::corruption;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED: return ErrorCode::cancelled;
    default: return ErrorCode::refused;
  }
}

// gRPC carries at most 8 KiB of trailers by default, and ours holds the message twice.
std::string shortened(const std::string& message) {
  constexpr std::size_t message_bytes_max = 1500;
  if (message.size() <= message_bytes_max) return message;
  std::size_t end = message_bytes_max;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0U) == 0x80U) --end;  // not inside a character
  return message.substr(0, end) + "...";
}

bool parse_details(const grpc::Status& status, google::rpc::ErrorInfo& info, google::rpc::RetryInfo& retry) {
  google::rpc::Status details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details())) return false;
  bool found = false;
  for (const auto& any : details.details()) {
    if (any.Is<google::rpc::ErrorInfo>()) found = any.UnpackTo(&info) && info.domain() == error_domain;
    if (any.Is<google::rpc::RetryInfo>()) any.UnpackTo(&retry);
  }
  return found;
}

}  // namespace

std::string_view reason_of(ErrorCode code) { return row_of(code).reason; }

grpc::Status to_status(const ApiError& error) { return to_status(error, row_of(error.code).status); }

grpc::Status to_status(const ApiError& error, grpc::StatusCode code) {
  const std::string message = shortened(error.message);
  google::rpc::ErrorInfo info;
  info.set_reason(error.reason.empty() ? std::string(reason_of(error.code)) : error.reason);
  info.set_domain(std::string(error_domain));
  for (const auto& [key, value] : error.metadata) (*info.mutable_metadata())[key] = value;
  google::rpc::Status details;
  details.set_code(static_cast<int>(code));
  details.set_message(message);
  details.add_details()->PackFrom(info);
  if (error.retry_after_millis > 0) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(error.retry_after_millis / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<std::int32_t>(error.retry_after_millis % 1000) * 1'000'000);
    details.add_details()->PackFrom(retry);
  }
  return {code, message, details.SerializeAsString()};
}

ApiError from_status(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  ApiError error;
  error.message = status.error_message();
  if (!parse_details(status, info, retry)) {
    error.code = code_of_status(status.error_code());
    return error;
  }
  error.code = code_of_reason(info.reason()).value_or(code_of_status(status.error_code()));
  error.reason = info.reason();
  for (const auto& [key, value] : info.metadata()) error.metadata.emplace(key, value);
  const std::int64_t seconds = std::clamp<std::int64_t>(retry.retry_delay().seconds(), 0, 3600);
  const std::int32_t nanos = std::clamp(retry.retry_delay().nanos(), 0, 999'999'999);
  error.retry_after_millis = static_cast<std::uint32_t>(seconds * 1000 + nanos / 1'000'000);
  return error;
}

bool has_details(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  return parse_details(status, info, retry);
}

std::string name_of(grpc::StatusCode code) {
  constexpr std::array names{
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto index = static_cast<std::size_t>(code);
  return index < names.size() ? names[index] : fmt::format("code {}", static_cast<int>(code));
}

}  // namespace assent
