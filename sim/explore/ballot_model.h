// Three-phase commit as a model: one transaction, its shards' registers, the acceptors, and the ways of all leaders
// through the ballots. The rules of acceptors and of those who bring T to its end are the real ones
// (txn_proto/acceptor.h, txn_proto/termination.h); registers, logs and the network are a few lines here. Searched
// breadth-first, so that the first counterexample is a shortest one.
//
// Without any bound: every message may arrive at any later moment, in any order, any number of times, or never; each
// leader's time may be up at any moment. Bounded, by the model: rounds of ballots that are opened, and leader changes.
//
// Judged after every step: A1 agreement between shards and with what was told, A2 an outcome is final, A3 a commit has
// every yes, A6 what is told was decided. From every state, with any minority of the groups lost for ever, the others
// must come to rest with one outcome (A5, A7).
//
// With `plain` it is the textbook protocol instead: no quorum, time-outs decide. It splits (PROTOCOL.md prints how).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace assent::explore {

struct BallotModel {
  std::string name;
  std::string about;
  unsigned shards = 2;
  unsigned rounds = 1;   // the highest that is opened
  unsigned changes = 1;  // of leaders, all groups together
  unsigned openers = 0;  // bit p: the group at place p opens ballots; the coordinator's is place 0
  bool plain = false;
  bool quick = true;  // explored in the test run
};

struct BallotFindings {
  bool complete = false;
  std::string violated;
  std::vector<std::string> counterexample;
  unsigned steps = 0;
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  unsigned depth = 0;
  bool can_commit = false;
  bool can_abort = false;
  double seconds = 0;
};

[[nodiscard]] std::span<const BallotModel> ballot_models();
[[nodiscard]] const BallotModel* find_ballot_model(const std::string& name);
[[nodiscard]] BallotFindings explore(const BallotModel& model, std::uint64_t states_max = 50'000'000);

}  // namespace assent::explore
