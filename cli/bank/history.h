// What every client of a run did and heard, one JSON object a line, as Jepsen writes it, so that independent checkers
// can judge the run:
//
//   {"type":"invoke","process":3,"time":12345,"f":"txn","value":[["r","acct/000007",null],["w","acct/000007",null]]}
//
// type: invoke, then ok (it happened; values as far as they are known), fail (it certainly did not happen) or info
// (nobody knows; the process is dead after it, and its client goes on under a new number). time: nanoseconds since the
// history began. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/error.h"

namespace assent::bank {

struct Micro {
  bool write = false;
  std::string key;
  std::optional<std::int64_t> value;
};

enum class EventType : std::uint8_t { invoke, ok, fail, info };
[[nodiscard]] std::string_view to_string(EventType type);

// One line, without its end.
[[nodiscard]] std::string history_line(EventType type, std::uint64_t process, std::uint64_t nanos,
                                       const std::vector<Micro>& value);

class History {
 public:
  [[nodiscard]] static client::Result<History> create(const std::string& path);

  void write(EventType type, std::uint64_t process, const std::vector<Micro>& value);
  // Flushes; an Error when any line did not reach the file.
  [[nodiscard]] client::Result<bool> close();

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  History(std::string path, std::FILE* file);

  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::chrono::steady_clock::time_point start_;
  bool failed_ = false;
};

}  // namespace assent::bank
