// What is explored: the groups, the transactions, what clients ask, and how much may go wrong. A model is finite;
// within its bounds the exploration is complete.
//
// Without any bound, in every model: each message that was ever sent may arrive at any later moment, any number of
// times, in any order, or never; each leader's time may pass at any moment, alone, so that whatever it waits for is
// overdue (but for models that name whose time does not pass); each leader that was replaced goes on, hearing and
// sending, as long as it likes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/explore/sides.h"

namespace assent::explore {

inline constexpr std::uint64_t start_millis = 1'800'000'000'000;

// Something a client may ask, at any moment, of the group's leader or of one that was replaced.
struct Ask {
  std::string name;
  GroupId group;
  ClientBody body;
  unsigned times = 1;
};

struct Bounds {
  unsigned coordinator_elections = 1;
  unsigned shard_elections = 1;  // of each shard
  unsigned elections = 2;        // of all groups together
  unsigned refusals = 0;         // times that a log takes back its last uncommitted entry
  bool ageing = false;           // once, all clocks jump beyond every horizon
  unsigned rounds = 1;           // of ballots: who would open a higher one waits for ever
  unsigned openers = 0xF;        // bit p: the group at place p opens ballots; 0 is the coordinator's
  unsigned timers = 0xF;         // bit p: time passes at the leaders of the group at place p
};

[[nodiscard]] std::string describe(const Bounds& bounds);

struct Model {
  std::string name;
  std::string about;
  SideOptions options;
  unsigned shards = 2;        // GroupId(1), ...
  std::vector<Execute> txns;  // that write by KvAdd alone, so that the rows are a sum of those committed (A8)
  std::vector<Ask> asks;
  Bounds bounds;
  bool serial = false;  // also: what the committed ones read and wrote is what some serial order gives
  bool quick = true;    // explored in the test run
  bool room = true;     // for all: one after the other, every transaction commits
  bool aborts = true;   // the first transaction can also abort

  [[nodiscard]] std::vector<GroupId> groups() const;  // the coordinator's, then the shards'
  [[nodiscard]] std::uint64_t millis(bool aged) const;
};

[[nodiscard]] TxnId model_txn(std::uint64_t number);

// All there are.
[[nodiscard]] std::span<const Model> models();
[[nodiscard]] const Model* find_model(const std::string& name);

}  // namespace assent::explore
