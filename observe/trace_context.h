// W3C trace context: the header traceparent, in which a caller names the trace and the span that its call belongs to,
// and tracestate, in which the systems on its way keep what is theirs: it is passed on unread.
// Values and pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "txn_proto/types.h"

namespace assent {

inline constexpr const char* traceparent_header = "traceparent";
inline constexpr const char* tracestate_header = "tracestate";
inline constexpr std::size_t tracestate_bytes_max = trace_bytes_max - 25;

struct TraceContext {
  std::array<std::uint8_t, 16> trace_id{};  // never all zero, nor is the next
  std::array<std::uint8_t, 8> span_id{};
  std::uint8_t flags = 0;
  std::string state = {};  // of printable characters

  [[nodiscard]] bool sampled() const { return (flags & 1U) != 0; }
  bool operator==(const TraceContext&) const = default;
};

// nullopt for whatever is not one: then the header is ignored as a whole. Of a later version than 00 the first 55
// characters are read.
[[nodiscard]] std::optional<TraceContext> parse_traceparent(std::string_view header);
// Of both headers. A state that is too long, or no header's text, is left out as a whole.
[[nodiscard]] std::optional<TraceContext> parse_trace(std::string_view traceparent, std::string_view tracestate);

// What goes with a call to somebody else; empty: no such header.
struct TraceHeaders {
  std::string traceparent;
  std::string tracestate;
};

// What logs, records and messages keep of it (docs/FORMATS.md): trace id, span id, flags, and the state behind them.
[[nodiscard]] Bytes to_bytes(const TraceContext& context);
[[nodiscard]] std::optional<TraceContext> trace_from_bytes(ByteView bytes);  // nullopt for whatever is not that

// As version 00.
[[nodiscard]] std::string to_traceparent(const TraceContext& context);
[[nodiscard]] std::string trace_id_of(const TraceContext& context);  // 32 hex digits
[[nodiscard]] std::string span_id_of(const TraceContext& context);   // 16

}  // namespace assent
