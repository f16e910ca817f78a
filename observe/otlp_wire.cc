#include "observe/otlp_wire.h"

#include <google/protobuf/io/coded_stream.h>

#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace assent {
namespace {

// ---- writing: fields of protobuf's wire format; what has its default value is left out ----

constexpr unsigned varint_type = 0;
constexpr unsigned fixed64_type = 1;
constexpr unsigned bytes_type = 2;
constexpr unsigned fixed32_type = 5;

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80U; value >>= 7U) out += static_cast<char>((value & 0x7FU) | 0x80U);
  out += static_cast<char>(value);
}
void put_key(std::string& out, unsigned field, unsigned type) { put_varint(out, (field << 3U) | type); }
template <class Number>
void put_fixed(std::string& out, Number value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out += static_cast<char>((value >> (8U * i)) & 0xFFU);
}

void number(std::string& out, unsigned field, std::uint64_t value) {
  if (value == 0) return;
  put_key(out, field, varint_type);
  put_varint(out, value);
}
void fixed64(std::string& out, unsigned field, std::uint64_t value) {
  if (value == 0) return;
  put_key(out, field, fixed64_type);
  put_fixed(out, value);
}
void fixed32(std::string& out, unsigned field, std::uint32_t value) {
  if (value == 0) return;
  put_key(out, field, fixed32_type);
  put_fixed(out, value);
}
void bytes(std::string& out, unsigned field, std::string_view value) {
  put_key(out, field, bytes_type);
  put_varint(out, value.size());
  out += value;
}
void text(std::string& out, unsigned field, std::string_view value) {
  if (!value.empty()) bytes(out, field, as_utf8(value));
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
void hex(std::string& out, unsigned field, std::string_view value, std::size_t size) {
  if (value.size() != 2 * size) return;
  std::string raw;
  for (std::size_t i = 0; i < value.size(); i += 2) {
    const int high = digit(value[i]);
    const int low = digit(value[i + 1]);
    if (high < 0 || low < 0) return;
    raw += static_cast<char>(high * 16 + low);
  }
  bytes(out, field, raw);
}

// ---- the messages ----

constexpr std::size_t trace_id_bytes = 16;
constexpr std::size_t span_id_bytes = 8;

// A value that is 0 or empty is written all the same: it is one of several that there may be.
std::string any_value(const OtlpValue& value) {
  std::string out;
  if (const auto* words = std::get_if<std::string>(&value)) {
    bytes(out, 1, as_utf8(*words));
  } else if (const auto* flag = std::get_if<bool>(&value)) {
    put_key(out, 2, varint_type);
    put_varint(out, *flag ? 1 : 0);
  } else {
    put_key(out, 3, varint_type);
    put_varint(out, static_cast<std::uint64_t>(std::get<std::int64_t>(value)));
  }
  return out;
}

void add_attributes(std::string& out, unsigned field, const OtlpAttributes& attributes) {
  for (const auto& [key, value] : attributes) {
    std::string one;
    text(one, 1, key);
    bytes(one, 2, any_value(value));
    bytes(out, field, one);
  }
}

std::string event_of(const OtlpEvent& event) {
  std::string out;
  fixed64(out, 1, event.unix_nanos);
  text(out, 2, event.name);
  return out;
}

std::string span_of(const OtlpSpan& span) {
  std::string out;
  hex(out, 1, span.trace_id, trace_id_bytes);
  hex(out, 2, span.span_id, span_id_bytes);
  hex(out, 4, span.parent_span_id, span_id_bytes);
  text(out, 5, span.name);
  number(out, 6, static_cast<std::uint64_t>(span.kind));
  fixed64(out, 7, span.start_unix_nanos);
  fixed64(out, 8, span.end_unix_nanos);
  add_attributes(out, 9, span.attributes);
  for (const OtlpEvent& event : span.events) bytes(out, 11, event_of(event));
  if (span.error) {
    std::string status;
    text(status, 2, span.status_message);
    number(status, 3, 2);
    bytes(out, 15, status);
  }
  fixed32(out, 16, span.flags);
  return out;
}

// ---- reading ----

using google::protobuf::io::CodedInputStream;

// Calls field(number, varint) and field(number, bytes) for each; stops at what cannot be read.
template <class Number, class Bytes>
void read_fields(std::string_view body, const Number& on_number, const Bytes& on_bytes) {
  constexpr std::size_t body_max = 64UL << 20U;
  if (body.size() > body_max) return;
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(body.data()), static_cast<int>(body.size()));
  while (const std::uint32_t key = in.ReadTag()) {
    std::uint64_t value = 0;
    std::uint32_t length = 0;
    std::string part;
    switch (key & 7U) {
      case varint_type:
        if (!in.ReadVarint64(&value)) return;
        on_number(key >> 3U, value);
        break;
      case bytes_type:
        if (!in.ReadVarint32(&length) || length > body.size()) return;
        if (!in.ReadString(&part, static_cast<int>(length))) return;
        on_bytes(key >> 3U, part);
        break;
      case fixed64_type:
        if (!in.Skip(8)) return;
        break;
      case fixed32_type:
        if (!in.Skip(4)) return;
        break;
      default: return;
    }
  }
}

nlohmann::json parsed(std::string_view body) { return nlohmann::json::parse(body, nullptr, false); }

std::string text_at(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string otlp_protobuf(const std::vector<OtlpBatch>& batches) {
  std::string out;
  for (const OtlpBatch& batch : batches) {
    std::string scope;
    text(scope, 1, batch.scope_name);
    text(scope, 2, batch.scope_version);
    std::string spans;
    bytes(spans, 1, scope);
    for (const OtlpSpan& span : batch.spans) bytes(spans, 2, span_of(span));
    std::string resource;
    add_attributes(resource, 1, batch.resource);
    std::string one;
    bytes(one, 1, resource);
    bytes(one, 2, spans);
    bytes(out, 1, one);
  }
  return out;
}

OtlpAnswer otlp_answer_of_json(std::string_view body) {
  const nlohmann::json document = parsed(body);
  if (!document.is_object() || !document.contains("partialSuccess")) return {};
  const nlohmann::json& partial = document["partialSuccess"];
  OtlpAnswer answer{.rejected = 0, .message = text_at(partial, "errorMessage")};
  if (!partial.is_object() || !partial.contains("rejectedSpans")) return answer;
  const nlohmann::json& rejected = partial["rejectedSpans"];  // a string, as 64-bit integers are; a number is taken
  if (rejected.is_number_unsigned()) answer.rejected = rejected.get<std::uint64_t>();
  if (rejected.is_string()) {
    for (const char c : rejected.get<std::string>().substr(0, 18)) {
      if (c < '0' || c > '9') break;
      answer.rejected = answer.rejected * 10 + static_cast<std::uint64_t>(c - '0');
    }
  }
  return answer;
}

OtlpAnswer otlp_answer_of_protobuf(std::string_view body) {
  OtlpAnswer answer;
  const auto in_partial = [&](std::uint32_t field, std::uint64_t value) {
    if (field == 1) answer.rejected = value;
  };
  const auto words = [&](std::uint32_t field, const std::string& value) {
    if (field == 2) answer.message = value;
  };
  read_fields(
      body, [](std::uint32_t, std::uint64_t) {},
      [&](std::uint32_t field, const std::string& value) {
        if (field == 1) read_fields(value, in_partial, words);
      });
  return answer;
}

std::string status_message_of_json(std::string_view body) { return text_at(parsed(body), "message"); }

std::string status_message_of_protobuf(std::string_view body) {
  std::string message;
  read_fields(
      body, [](std::uint32_t, std::uint64_t) {},
      [&](std::uint32_t field, const std::string& value) {
        if (field == 2) message = value;
      });
  return message;
}

}  // namespace assent
