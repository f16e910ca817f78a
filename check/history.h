// What clients did and heard, as Jepsen writes it: one JSON object a line,
//
//   {"type":"invoke","process":3,"time":12345,"f":"txn","value":[["append","x",7],["r","y",null]]}
//   {"type":"ok","process":3,"time":12999,"f":"txn","value":[["append","x",7],["r","y",[1,2]]]}
//
// type: invoke, then ok (it happened; what was read is filled in), fail (it certainly did not happen) or info (nobody
// knows; the process is dead after it, and its client goes on under a new number). time: nanoseconds. Operations: "r"
// of a number, a list or null, "w" of a number (null: not known), "append" of a number to a list, "add" of a number to
// a number. "id" is optional: what the system under test calls the transaction.
//
// Here are the events and their lines, and the history that the checkers read: transactions with a beginning and an
// end in the order of the events. Times of the file are not used for judging: the order of its lines is what the
// clients' own clock saw. Values only; no files, not thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"

namespace assent::check {

using Number = std::int64_t;
using List = std::vector<Number>;
// Nothing: not read, not known, or read and absent.
using Value = std::variant<std::monostate, Number, List>;

enum class OpKind : std::uint8_t { read, write, append, add };

struct Micro {
  OpKind kind = OpKind::read;
  std::string key;
  Value value;
  bool operator==(const Micro&) const = default;
};

enum class EventType : std::uint8_t { invoke, ok, fail, info };
[[nodiscard]] std::string_view to_string(EventType type);

struct Event {
  EventType type = EventType::invoke;
  std::uint64_t process = 0;
  std::uint64_t nanos = 0;
  std::string id;  // may be empty
  std::vector<Micro> value;
  bool operator==(const Event&) const = default;
};

// One line, without its end.
[[nodiscard]] std::string to_line(const Event& event);
// malformed when the line is no event; fields that are not named above are passed over.
[[nodiscard]] Result<Event> parse_line(std::string_view line);

// ---- what the checkers read ----

using KeyId = std::uint32_t;     // of a History
using TxnIndex = std::uint32_t;  // of a History

struct Op {
  OpKind kind = OpKind::read;
  KeyId key = 0;
  Value value;
};

struct Transaction {
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

  EventType end = EventType::info;  // ok, fail or info
  std::uint64_t process = 0;
  std::uint64_t invoked = 0;    // number of its event, from 1 on; each event has its own
  std::uint64_t ended = never;  // the same; never for info: it may happen at any later time
  std::string id;
  std::vector<Op> ops;  // of the completion; of the invocation when it did not end with ok
};

struct History {
  std::vector<std::string> keys;
  std::vector<Transaction> transactions;  // in the order of their invocations
};

struct HistoryLimits {
  std::size_t transactions_max = 1'000'000;
  std::size_t elements_max = 50'000'000;  // operations, and elements of lists read
};

// Puts a History together, event by event.
class HistoryBuilder {
 public:
  explicit HistoryBuilder(HistoryLimits limits = {}) : limits_(limits) {}

  // malformed: an end without a beginning, two transactions of one process at a time, a process used after its info, an
  // end that is not of what was begun. busy: over a limit. The event is not taken then.
  [[nodiscard]] Result<void> add(const Event& event);
  [[nodiscard]] const History& history() const { return history_; }
  // What has not ended counts as info.
  [[nodiscard]] History take() { return std::move(history_); }

 private:
  [[nodiscard]] Result<void> begin(const Event& event);
  [[nodiscard]] Result<void> end(const Event& event, TxnIndex txn);
  [[nodiscard]] KeyId key_of(const std::string& name);

  HistoryLimits limits_;
  History history_;
  std::unordered_map<std::string, KeyId> key_ids_;
  std::map<std::uint64_t, TxnIndex> open_;  // by process
  std::map<std::uint64_t, bool> dead_;      // processes after their info
  std::uint64_t events_ = 0;
  std::size_t elements_ = 0;
};

// "T12 (process 3, events 45-48): append x 7, r y [1 2]", for people. Long lists are shortened.
[[nodiscard]] std::string describe(const History& history, TxnIndex txn);
[[nodiscard]] std::string describe(const Value& value);

}  // namespace assent::check
