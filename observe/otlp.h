// Spans as OpenTelemetry's OTLP writes them in JSON (opentelemetry-proto 1.11): what Jaeger and Tempo open, and what
// exporters send. Pure.
//
// The JSON differs from protobuf's own: ids are lower-case hex, enums are numbers, 64-bit integers are strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "assent/v1/observe.pb.h"

namespace assent {

using OtlpValue = std::variant<std::string, std::int64_t, bool>;
using OtlpAttributes = std::vector<std::pair<std::string, OtlpValue>>;

enum class OtlpKind : std::uint8_t { internal = 1, server = 2, client = 3 };

struct OtlpEvent {
  std::uint64_t unix_nanos = 0;
  std::string name;
};

struct OtlpSpan {
  std::string trace_id;        // 32 hex digits
  std::string span_id;         // 16
  std::string parent_span_id;  // empty: a root
  std::string name;
  OtlpKind kind = OtlpKind::internal;
  std::uint64_t start_unix_nanos = 0;
  std::uint64_t end_unix_nanos = 0;
  OtlpAttributes attributes;
  std::vector<OtlpEvent> events;
  bool error = false;  // else the status is left unset
  std::string status_message;
  std::uint32_t flags = 0;
};

struct OtlpBatch {
  OtlpAttributes resource;
  std::string scope_name;
  std::string scope_version;
  std::vector<OtlpSpan> spans;
};

// One request of several resources: one line, without an end of line; what has no value is left out.
[[nodiscard]] std::string otlp_json(const std::vector<OtlpBatch>& batches);

// What is said of whoever makes spans; the node is added for each.
struct OtlpResource {
  std::string service_name = "assent";
  std::string service_version;
  OtlpAttributes more = {};  // told by an operator: they stand first, and are stronger
};
// One batch for each node that recorded spans. A span that is still open ends at the trace's as_of.
[[nodiscard]] std::vector<OtlpBatch> otlp_of(const v1::TxnTrace& trace, const OtlpResource& resource);

}  // namespace assent
