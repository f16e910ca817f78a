// Judges transactions from the logs and from what anybody was told: A1 agreement, A2 stability, A3 validity, A6 honest
// answers, A8 at most once (TESTING.md section 2). It is a second, much simpler reading of PROTOCOL.md: it follows the
// entries of every group in the order in which the cluster first applied them, and trusts the machines for one thing
// only, whether a prepare found its locks free, which it cross-checks against everything else.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/log_entry.h"
#include "sim/recorder.h"
#include "txn_proto/acceptor.h"
#include "txn_proto/commands.h"
#include "txn_proto/limits.h"
#include "txn_proto/types.h"

namespace assent::sim {

//     empty --prepare, locks free--> prepared --finish commit--> committed
//       |                               '------finish abort----> aborted
//       |--one-phase, fits------------------------------------> committed
//       '--refused, sealed, finish abort, does not fit--------> aborted
struct Register {
  enum class State : std::uint8_t { empty, prepared, committed, aborted };
  State state = State::empty;
  Attempt attempt;  // of the vote, when there was one
  Protocol protocol = Protocol::two_phase;
  std::uint64_t fingerprint = 0;
  Acceptor acceptor = {};  // where ballots decide, while it is prepared
  bool operator==(const Register&) const = default;
};

// All that the logs say of one transaction.
struct Fate {
  std::vector<GroupId> participants;  // from the first content that a client sent
  std::uint64_t fingerprint = 0;
  std::optional<TxnId> age;     // that wait-die goes by; none: its client sent it with several
  std::set<GroupId> retriable;  // of the participants: services that have no vote
  bool recorded = false;        // its coordinator keeps its end until everybody has heard it
  std::map<GroupId, Register> registers;
  std::optional<Attempt> decided;  // a valid decision, or {} attempt for one-phase and where votes or ballots decide
  bool by_votes = false;           // decided by its participants' votes, or by ballots
  bool noted = false;              // its coordinator's log says that it committed
  std::uint64_t decided_at = 0;    // stamp, milliseconds
  bool ended = false;              // every participant has finished; where the coordinator decides, it knows
  std::optional<std::string> no;   // the first logged thing that forbids the commit
  std::optional<Outcome> told;
  std::string told_by;

  // Where ballots decide.
  std::set<GroupId> voted_yes;
  std::map<GroupId, Acceptor> acceptors;
  std::map<Ballot, Outcome> proposals;
  std::map<Ballot, std::set<GroupId>> accepted;

  [[nodiscard]] bool committed() const { return decided.has_value(); }
};

class TxnChecker {
 public:
  TxnChecker(Recorder& recorder, GroupId coordinator, TimeWindow window)
      : recorder_(recorder), coordinator_(coordinator), window_(window) {}

  // A client sends this content for the first time. Content under a reused id is not reported here.
  void invoked(const Execute& execute);
  // Entries, each once, in the order of its log. after: what the machine says of the transaction once it has applied
  // it.
  // acceptor: of the ballot's content, if the command is about one and the group takes part in it. forgotten: up to
  // when transactions were made of which the group's history may have lost the outcome.
  void coordinator_applied(const Entry& entry, const CoordinatorCommand& command,
                           const std::optional<Acceptor>& acceptor = std::nullopt,
                           std::optional<ClusterMillis> forgotten = std::nullopt);
  void shard_applied(GroupId shard, const Entry& entry, const ShardCommand& command, const Register& after);
  // A service's register became this, durably. It may have been forgotten since.
  void service_moved(GroupId service, const TxnId& txn, const Register& after);
  // What was prepared together with its register is gone, and nothing is recorded yet.
  void service_rolled_back(GroupId service, const TxnId& txn);
  // A node answered. reused: the question carried other content under this id. Judged when it leaves the node, whether
  // or not it arrives.
  void told(GroupId by, const TxnAnswer& answer, bool reused);

  [[nodiscard]] const Fate* find(const TxnId& txn) const;
  [[nodiscard]] const std::map<TxnId, Fate>& fates() const { return fates_; }
  // Committed transactions of which the coordinator does not know yet that everybody finished.
  [[nodiscard]] std::size_t undelivered() const;
  // At quiescence: nothing is prepared, nothing undelivered, and the participants agree.
  void judge_settled();

 private:
  void wrong(const TxnId& txn, std::string_view rule, const std::string& what);
  void judge_age(const TxnId& txn, const Refusal& refusal);
  void commits(const TxnId& txn, Fate& fate, const Attempt& attempt, const Entry& entry);
  void forbids(const TxnId& txn, Fate& fate, const std::string& what);
  void decides(const Entry& entry, const Decide& decide);
  void seals(const SealOutcome& seal);
  void ends(const EndTxns& end);
  void notes(const OutcomeNote& note);
  void prepares(GroupId shard, const PrepareWork& prepare, const Register& after, const Entry& entry);
  void judge_votes(const PrepareWork& prepare, Fate& fate, const Entry& entry);
  void ballots(GroupId group, const BallotWork& work, const Acceptor& now, const Entry& entry);
  void judge_acceptor(GroupId group, const BallotWork& work, const Acceptor& before, const Acceptor& now);
  void forgets(GroupId shard, const ForgetTxns& forget);
  void executes(GroupId shard, const ExecuteWork& execute, const Register& after, const Entry& entry);
  void moves(GroupId shard, const TxnId& txn, const Register& after, const Entry& entry);
  void finishes(GroupId shard, const FinishWork& finish, const Register& before, const Register& after,
                const Entry& entry);

  Recorder& recorder_;
  GroupId coordinator_;
  TimeWindow window_;
  ClusterMillis coordinator_stamp_;  // of the newest command in its log
  std::optional<ClusterMillis> coordinator_forgot_;
  std::map<TxnId, Fate> fates_;
};

[[nodiscard]] std::string_view to_string(Register::State state);

}  // namespace assent::sim
