// The one span whose bytes are published with OTLP's field numbers, and bytes as a person compares them.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "observe/otlp.h"

namespace assent::test {

[[nodiscard]] inline OtlpSpan golden_span() {
  OtlpSpan span;
  span.trace_id = "5b8efff798038103d269b633813fc60c";
  span.span_id = "eee19b7ec3c1b174";
  span.parent_span_id = "eee19b7ec3c1b173";
  span.name = "assent.prepare";
  span.kind = OtlpKind::client;
  span.start_unix_nanos = 1544712660000000000U;
  span.end_unix_nanos = 1544712661000000000U;
  span.attributes.emplace_back("assent.participants", std::int64_t{2});
  span.error = true;
  span.status_message = "vote no";
  span.flags = 257;
  return span;
}

[[nodiscard]] inline OtlpBatch batch_of(OtlpSpan span) {
  return {.resource = {{"service.name", "assentd"}},
          .scope_name = "assent",
          .scope_version = "0.1.0",
          .spans = {std::move(span)}};
}

[[nodiscard]] inline std::string hex_of(std::string_view bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += digits[byte >> 4U];
    out += digits[byte & 0xFU];
  }
  return out;
}

}  // namespace assent::test
