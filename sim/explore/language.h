// What the explored groups say to each other, by number: each distinct message, command and answer is kept once, and
// states hold their numbers. Numbers are given in order of first appearance; a table only grows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "sim/explore/describe.h"
#include "txn_proto/commands.h"
#include "txn_proto/types.h"

namespace assent::explore {

template <class Value>
class Numbered {
 public:
  std::uint16_t number(const Value& value) {
    const auto found = std::find(values_.begin(), values_.end(), value);
    if (found != values_.end()) return static_cast<std::uint16_t>(found - values_.begin());
    ASSENT_CHECK(values_.size() < 0xFFFF, "a model has few distinct messages and commands");
    values_.push_back(value);
    return static_cast<std::uint16_t>(values_.size() - 1);
  }
  [[nodiscard]] const Value& at(std::uint16_t number) const { return values_[number]; }
  [[nodiscard]] std::size_t size() const { return values_.size(); }

 private:
  std::vector<Value> values_;
};

struct Language {
  Names names;
  Numbered<Envelope> messages;
  Numbered<CoordinatorCommand> coordinator_commands;
  Numbered<ShardCommand> shard_commands;
  Numbered<std::pair<Ballot, Outcome>> accepted;  // by acceptors
  Numbered<std::string> results;                  // what a transaction read and wrote at one shard
};

}  // namespace assent::explore
