// Says whether a commit trace (sim/commit_trace.h) is one that two-phase commit may leave, as Gray and Lamport specify
// it (Consensus on Transaction Commit, module TwoPhase, with TCommit's rule of when an outcome is final). One-phase,
// Paxos Commit and three-phase refine the same specification: what decides there is a transaction manager, too, made of
// several logs. Written from the specification alone; of the machines it knows nothing.
//
// Read as: a participant is a resource manager, a prepare with yes RMPrepare, with no RMChooseToAbort; a vote received
// TMRcvPrepared; a decide TMCommit; a finish RMRcvCommitMsg or RMRcvAbortMsg. An abort needs no step of its own there
// (TMAbort is possible whenever nothing is committed), so it is seen in who finishes with it or tells of it.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace assent::testing {

class CommitAcceptor {
 public:
  // The next line of the trace. Nothing when the specification has such a step, else what speaks against it. Not to be
  // called again after a rejection. Throws nlohmann::json::exception when a line is not what a trace holds.
  [[nodiscard]] std::optional<std::string> accept(const nlohmann::json& line);

 private:
  using Participant = std::string;
  enum class Manager { working, prepared, committed, aborted };
  struct Txn {
    std::map<Participant, Manager> managers;
    std::set<std::pair<Participant, std::string>> prepared;  // in which attempt
    bool committed = false;
    bool aborted = false;  // somebody finished with it, or was told
  };
  using Verdict = std::optional<std::string>;

  static Verdict prepare(Txn& txn, const Participant& at, bool yes, const std::string& attempt);
  static Verdict decide(Txn& txn, const nlohmann::json& line, const std::string& attempt);
  static Verdict finish(Txn& txn, const Participant& at, bool commit);
  static Verdict tell(Txn& txn, bool commit);

  std::map<std::string, Txn> txns_;
};

}  // namespace assent::testing
