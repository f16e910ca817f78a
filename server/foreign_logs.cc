#include "server/foreign_logs.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <string>

#include "server/log.h"

namespace assent {

namespace {

constexpr std::uint64_t repeat_seconds = 10;

void from_grpc(gpr_log_func_args* line) {
  LogEvent(line->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::warn : LogLevel::debug, "grpc", line->message)
      .write_at_most_every(repeat_seconds, fmt::format("{}:{}", line->file, line->line));
}

void from_protobuf(google::protobuf::LogLevel level, const char* file, int line, const std::string& message) {
  LogEvent(level >= google::protobuf::LOGLEVEL_ERROR ? LogLevel::warn : LogLevel::debug, "proto", message)
      .write_at_most_every(repeat_seconds, fmt::format("{}:{}", file, line));
}

}  // namespace

void route_foreign_logs() {
  gpr_set_log_function(from_grpc);
  google::protobuf::SetLogHandler(from_protobuf);
}

}  // namespace assent
