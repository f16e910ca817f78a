#include "observe/trace_context.h"

#include <algorithm>

namespace assent {
namespace {

constexpr std::size_t header_size = 55;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;  // upper case is not allowed
}

template <std::size_t Size>
bool read_hex(std::string_view text, std::array<std::uint8_t, Size>& out) {
  for (std::size_t i = 0; i < Size; ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

template <std::size_t Size>
std::string hex_of(const std::array<std::uint8_t, Size>& bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : bytes) {
    out += digits[byte >> 4U];
    out += digits[byte & 0xFU];
  }
  return out;
}

template <std::size_t Size>
bool is_zero(const std::array<std::uint8_t, Size>& bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool is_state(std::string_view text) {
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return printable && text.size() <= tracestate_bytes_max;
}

}  // namespace

// 00-<32 hex>-<16 hex>-<2 hex>
std::optional<TraceContext> parse_traceparent(std::string_view header) {
  if (header.size() < header_size || header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  TraceContext context;
  const bool readable = read_hex(header.substr(0, 2), version) && read_hex(header.substr(3, 32), context.trace_id) &&
                        read_hex(header.substr(36, 16), context.span_id) && read_hex(header.substr(53, 2), flags);
  if (!readable || version[0] == 0xFFU || is_zero(context.trace_id) || is_zero(context.span_id)) return std::nullopt;
  if (header.size() > header_size && (version[0] == 0 || header[header_size] != '-')) return std::nullopt;
  context.flags = flags[0];
  return context;
}

std::optional<TraceContext> parse_trace(std::string_view traceparent, std::string_view tracestate) {
  std::optional<TraceContext> context = parse_traceparent(traceparent);
  if (context && is_state(tracestate)) context->state = tracestate;
  return context;
}

Bytes to_bytes(const TraceContext& context) {
  Bytes bytes(context.trace_id.begin(), context.trace_id.end());
  bytes.append(context.span_id.begin(), context.span_id.end());
  bytes += static_cast<char>(context.flags);
  return bytes + context.state;
}

std::optional<TraceContext> trace_from_bytes(ByteView bytes) {
  TraceContext context;
  const std::size_t ids = context.trace_id.size() + context.span_id.size();
  if (bytes.size() <= ids || !is_state(bytes.substr(ids + 1))) return std::nullopt;
  const ByteView span = bytes.substr(context.trace_id.size());
  std::copy_n(bytes.begin(), context.trace_id.size(), context.trace_id.begin());
  std::copy_n(span.begin(), context.span_id.size(), context.span_id.begin());
  context.flags = static_cast<std::uint8_t>(bytes[ids]);
  context.state = bytes.substr(ids + 1);
  if (is_zero(context.trace_id) || is_zero(context.span_id)) return std::nullopt;
  return context;
}

std::string to_traceparent(const TraceContext& context) {
  return "00-" + trace_id_of(context) + "-" + span_id_of(context) + "-" +
         hex_of(std::array<std::uint8_t, 1>{context.flags});
}
std::string trace_id_of(const TraceContext& context) { return hex_of(context.trace_id); }
std::string span_id_of(const TraceContext& context) { return hex_of(context.span_id); }

}  // namespace assent
