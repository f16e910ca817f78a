// Lines of the node's log: one event each, with named fields, as text for a terminal or as JSON for a collector.
//
//     LogEvent(LogLevel::info, "raft", "leader changed").field("group", "c0").field("leader", "n2").write();
//
// Goes to standard error. Safe from any thread. Not for cores or the loop: they narrate, the leaves write.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace assent {

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error };

struct LogOptions {
  LogLevel level = LogLevel::info;
  bool json = false;
  std::string node;                              // a field of every line
  std::function<void(const std::string&)> sink;  // unset: standard error; for tests
};

// Once at start, before threads; again in tests. Until then: text, info.
void set_up_log(LogOptions options);
[[nodiscard]] LogLevel log_level_of(std::string_view name);  // info for an unknown one

class LogEvent {
 public:
  LogEvent(LogLevel level, std::string_view logger, std::string_view message);

  LogEvent& field(std::string_view name, std::string_view value);
  LogEvent& field(std::string_view name, const char* value) { return field(name, std::string_view(value)); }
  LogEvent& field(std::string_view name, const std::string& value) { return field(name, std::string_view(value)); }
  LogEvent& field(std::string_view name, std::integral auto value) {
    return number(name, static_cast<std::int64_t>(value));
  }
  template <class Tag>
  LogEvent& field(std::string_view name, Id<Tag> id) {
    return number(name, static_cast<std::int64_t>(id.value));
  }

  // Of the trace that it belongs to, under OpenTelemetry's names: trace_id, span_id; empty ones are left out.
  LogEvent& trace(std::string_view trace_id, std::string_view span_id = {}) {
    if (!trace_id.empty()) field("trace_id", trace_id);
    return span_id.empty() ? *this : field("span_id", span_id);
  }

  void write();
  // Writes only the first of equal keys in that many seconds; the next one written says how many were left out.
  void write_at_most_every(std::uint64_t seconds, std::string_view key);

 private:
  struct Field {
    std::string name;
    std::string value;
    bool quoted = true;
  };
  LogEvent& number(std::string_view name, std::int64_t value);
  [[nodiscard]] std::string text_line() const;
  [[nodiscard]] std::string json_line() const;

  LogLevel level_;
  std::string logger_;
  std::string message_;
  std::vector<Field> fields_;
};

}  // namespace assent
