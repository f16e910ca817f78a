// What a service hears of a transaction that it takes part in, and what it answers: plain values.
//
// The words are those of txn_proto/assent/v1/participant.proto. No I/O, no gRPC; safe from any thread.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"

namespace assent::service {

// One run of a transaction by one leader of its coordinator group. Only equality means something.
struct Attempt {
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
  constexpr auto operator<=>(const Attempt&) const = default;
};

// A service's part in a transaction. txn and name together are unique, for ever.
struct Branch {
  TxnId txn;
  std::string name;
  Attempt attempt;
  std::string coordinator;                 // the group that decides
  std::chrono::milliseconds time_left{0};  // of a Prepare: a later yes is not counted. 0: not told
  bool operator==(const Branch&) const = default;
};

// The answer to a Prepare. A yes is a promise: whatever happens, the commit will not fail for want of anything.
struct Vote {
  enum class Kind : std::uint8_t { yes, read_only, no, later };

  Kind kind = Kind::no;
  Bytes result;         // of a yes or read only: for whoever runs the transaction
  std::string refusal;  // of a no: a word for programs, as INSUFFICIENT_FUNDS
  std::string message;  // of a no, and of later: a sentence for people

  bool operator==(const Vote&) const = default;

  [[nodiscard]] static Vote yes(Bytes result = {}) { return {Kind::yes, std::move(result), {}, {}}; }
  // Nothing is to be committed or undone, nothing is held. Only when what was read cannot come to matter by what others
  // do until the transaction ends; say yes when in doubt.
  [[nodiscard]] static Vote read_only(Bytes result = {}) { return {Kind::read_only, std::move(result), {}, {}}; }
  [[nodiscard]] static Vote no(std::string refusal, std::string message) {
    return {Kind::no, {}, std::move(refusal), std::move(message)};
  }
  // No vote yet: what was done is rolled back, nothing is recorded, and the call comes again. For what is in the way
  // for a while, and for retriable steps of a saga, which must not say no: a no is for good.
  [[nodiscard]] static Vote later(std::string message) { return {Kind::later, {}, {}, std::move(message)}; }
};

// Names of branches, coordinators and participants.
inline constexpr std::size_t name_bytes_max = 200;
inline constexpr std::size_t refusal_bytes_max = 100;
inline constexpr std::size_t message_bytes_max = 1'000;

// At most name_bytes_max bytes of UTF-8 without control characters. The empty text is one: who may not be empty says
// so.
[[nodiscard]] bool valid_name(std::string_view text);
// The text as it may stand in a table, a log and an error: what is no UTF-8 and control characters become '?', and what
// is longer than the maximum is cut, not inside a character.
[[nodiscard]] std::string tidy_text(std::string_view text, std::size_t bytes_max);

}  // namespace assent::service
