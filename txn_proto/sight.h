// What one group's leader sees of a transaction that is not over there: what it waits for, since when, whom it blocks,
// what happens next by itself. The answers of all groups together explain a transaction (client/explain.h).
//
// Values, made by pure functions over machines and drivers; nothing is changed by looking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

enum class Stage : std::uint8_t {
  // at a shard
  waiting = 0,    // for locks that others hold
  settling = 1,   // refused by a rule; waits for those that were prepared before it, and runs again
  logging = 2,    // its vote is on its way into the log
  in_doubt = 3,   // voted yes; waits for the outcome
  resolving = 4,  // voted yes; asks the other registers, because no coordinator attends to it
  // at a coordinator group
  collecting = 5,  // waits for votes
  deciding = 6,    // its decision, or its seal, is on its way into the log
  asking = 7,      // asks the registers what they say
  finishing = 8,   // decided; somebody has not applied it yet
  // at a shard
  forced = 9,  // over, but an operator forced an end on it before
};
inline constexpr Stage stage_last = Stage::forced;

inline constexpr std::size_t sight_keys_max = 8;        // that one sight names of each kind
inline constexpr std::size_t sight_key_bytes_max = 96;  // of each
[[nodiscard]] std::string_view to_string(Stage stage);

struct Sight {
  TxnId txn;
  Stage stage = Stage::in_doubt;
  Protocol protocol = Protocol::automatic;
  bool commit = false;                        // with finishing and forced: what it came to
  GroupId coordinator;                        // at a shard, when known
  std::vector<GroupId> participants;          // when known
  std::vector<GroupId> missing;               // whose word it waits for
  std::vector<TxnId> waits_for;               // with waiting and settling: transactions
  std::vector<TxnId> blocks;                  // transactions that wait for it here
  std::uint64_t queries_blocked = 0;          // and queries
  std::uint64_t locks = 0;                    // that it holds here
  std::uint64_t millis = 0;                   // since it voted; at others, since its id was made
  std::optional<std::uint64_t> left_millis;   // until something happens whatever others do: it gives up, it resolves
  std::optional<Heuristic> heuristic;         // what an operator forced on it here
  std::vector<ServiceAddress> services = {};  // of the participants that are services, in the order of their numbers
  std::vector<std::string> troubles = {};     // what services said last that was neither a vote nor an end
  // What the locks are on, as people call it, some of it: with waiting what it waits for, and of what it holds here
  // what others wait for.
  std::vector<std::string> wanted_keys = {};
  std::vector<std::string> contested_keys = {};
  std::vector<GroupId> failing = {};  // of missing: services that failed too often, and are called rarely now
  bool operator==(const Sight&) const = default;
};

struct SightQuestion {
  TxnId txn;          // none: all that are in doubt, or run
  ClusterMillis now;  // ages count up to here
  std::size_t most = 1'000;
};

}  // namespace assent
