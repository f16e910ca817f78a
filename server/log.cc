#include "server/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <ctime>
#include <map>
#include <mutex>

namespace assent {

namespace {

constexpr std::array<std::string_view, 5> level_names{"trace", "debug", "info", "warn", "error"};

// Everything here is guarded by mutex_, but for options, which is set before threads.
struct LogState {
  LogOptions options;
  std::shared_ptr<spdlog::logger> logger;

  struct Repeat {
    std::chrono::steady_clock::time_point last;
    std::uint64_t left_out = 0;
  };
  static constexpr std::size_t repeats_max = 1000;
  std::mutex mutex;
  std::map<std::string, Repeat, std::less<>> repeats;
};

LogState& state() {
  static LogState state;
  return state;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  constexpr std::array levels{spdlog::level::trace, spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                              spdlog::level::err};
  return levels[static_cast<std::size_t>(level)];
}

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count() % 1'000'000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, micros);
}

void append_json(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      default: byte < 0x20U || byte == 0x7FU ? out += fmt::format("\\u{:04x}", byte) : out += c;
    }
  }
  out += '"';
}

// A log line stays one line, and a terminal is not steered by what a client sent.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    byte < 0x20U || byte == 0x7FU ? out += fmt::format("\\x{:02x}", byte) : out += c;
  }
  return out;
}

bool is_written(LogLevel level) { return level >= state().options.level; }

void write_line(LogLevel level, const std::string& line) {
  LogState& log = state();
  if (log.options.sink) return log.options.sink(line);
  if (log.logger == nullptr) return static_cast<void>(fmt::print(stderr, "{}\n", line));
  log.logger->log(to_spdlog(level), "{}", line);
}

}  // namespace

void set_up_log(LogOptions options) {
  LogState& log = state();
  log.options = std::move(options);
  log.logger = std::make_shared<spdlog::logger>("assentd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log.logger->set_pattern("%v");
  log.logger->set_level(spdlog::level::trace);
  log.logger->flush_on(spdlog::level::trace);
}

LogLevel log_level_of(std::string_view name) {
  for (std::size_t i = 0; i < level_names.size(); ++i) {
    if (level_names[i] == name) return static_cast<LogLevel>(i);
  }
  return LogLevel::info;
}

LogEvent::LogEvent(LogLevel level, std::string_view logger, std::string_view message)
    : level_(level), logger_(logger), message_(message) {}

LogEvent& LogEvent::field(std::string_view name, std::string_view value) {
  fields_.push_back({.name = std::string(name), .value = std::string(value), .quoted = true});
  return *this;
}

LogEvent& LogEvent::number(std::string_view name, std::int64_t value) {
  fields_.push_back({.name = std::string(name), .value = fmt::format("{}", value), .quoted = false});
  return *this;
}

void LogEvent::write() {
  if (!is_written(level_)) return;
  write_line(level_, state().options.json ? json_line() : text_line());
}

void LogEvent::write_at_most_every(std::uint64_t seconds, std::string_view key) {
  if (!is_written(level_)) return;
  LogState& log = state();
  {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(log.mutex);
    if (log.repeats.size() > LogState::repeats_max) log.repeats.clear();
    const auto [entry, fresh] = log.repeats.try_emplace(std::string(key), LogState::Repeat{.last = now, .left_out = 0});
    if (!fresh && now - entry->second.last < std::chrono::seconds(seconds)) {
      ++entry->second.left_out;
      return;
    }
    if (entry->second.left_out > 0) field("repeats_left_out", entry->second.left_out);
    entry->second = {.last = now, .left_out = 0};
  }
  write();
}

std::string LogEvent::text_line() const {
  std::string line = fmt::format("{} {:<5} {:<6} {}", timestamp(), level_names[static_cast<std::size_t>(level_)],
                                 logger_, printable(message_));
  for (const Field& field : fields_) {
    const bool quote = field.value.empty() || field.value.find(' ') != std::string::npos;
    line += quote ? fmt::format(" {}=\"{}\"", field.name, printable(field.value))
                  : fmt::format(" {}={}", field.name, printable(field.value));
  }
  return line;
}

std::string LogEvent::json_line() const {
  std::string line = "{\"ts\":";
  append_json(line, timestamp());
  line += ",\"level\":";
  append_json(line, level_names[static_cast<std::size_t>(level_)]);
  line += ",\"logger\":";
  append_json(line, logger_);
  if (!state().options.node.empty()) {
    line += ",\"node\":";
    append_json(line, state().options.node);
  }
  line += ",\"msg\":";
  append_json(line, message_);
  for (const Field& field : fields_) {
    line += ',';
    append_json(line, field.name);
    line += ':';
    if (field.quoted) {
      append_json(line, field.value);
    } else {
      line += field.value;
    }
  }
  return line + '}';
}

}  // namespace assent
