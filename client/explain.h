// Why a transaction is not over: what each group's leader sees of it, put together into one sentence for a person.
//
// explain() is a pure function; the asking is operations.h. A group that could not be asked is part of the explanation:
// often it is the reason.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/transaction.h"
#include "txn_proto/sight.h"

namespace assent::client {

// A Sight with groups by name.
struct GroupSight {
  std::string group;
  Sight sight;  // its group ids are of the names below
  std::string coordinator;
  std::vector<std::string> participants;
  std::vector<std::string> missing;
  std::vector<std::string> failing;
};

// What all groups answered.
struct Sights {
  std::vector<GroupSight> seen;
  std::map<std::string, std::string> unreachable;  // group, and why it could not be asked
};

struct Explanation {
  TxnId id;
  std::string state;  // IN_DOUBT, RUNNING, FINISHING, HEURISTIC, MIXED
  Protocol protocol = Protocol::automatic;
  std::vector<std::string> participants;  // when known
  std::string why;                        // one sentence: what it waits for
  std::string proof;                      // in doubt: why neither outcome is proven now
  std::string next;                       // one sentence: what happens by itself, and what a person can do
  std::uint64_t millis = 0;               // for how long
  std::vector<TxnId> blocks;              // transactions that wait for it
  std::uint64_t queries_blocked = 0;
  std::uint64_t locks = 0;              // that it holds
  std::vector<std::string> heuristics;  // in words, what operators forced on it, one for each shard
};

// Of one transaction that somebody sees.
[[nodiscard]] Explanation explain(const TxnId& id, const Sights& sights);
// Of all that some shard is in doubt about, that a service keeps failing to end, or that an operator forced an end on,
// oldest first.
[[nodiscard]] std::vector<Explanation> explain_in_doubt(const Sights& sights);

}  // namespace assent::client
