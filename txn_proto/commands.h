// What the groups' logs carry: the commands of the coordinator's Decisions and of a Shard. Plain values; the codec
// (txn_proto/wire_codec.h) gives them their bytes. PROTOCOL.md says what each does.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

// In both logs: what an acceptor of T is asked to promise or to accept (BallotRequest). Applied as acceptor.h says, to
// the content that it names alone.
struct BallotWork {
  TxnId txn;
  Ballot ballot;
  Outcome value = Outcome::none;  // none: a promise
  std::uint64_t fingerprint = 0;
  std::vector<GroupId> participants;
  bool operator==(const BallotWork&) const = default;
};

// ---- coordinator group ----

// T begins, provided that the entry's epoch is attempt.epoch and T has no record yet: a transaction that is recorded.
// Whoever leads when this is applied ends T, and tells the end to every participant until each has heard it.
struct BeginTxn {
  TxnId txn;
  Attempt attempt;
  Mode mode = Mode::saga;
  std::vector<GroupId> participants;  // ascending
  std::uint64_t fingerprint = 0;
  std::vector<ServiceAddress> services = {};  // of the participants that are services, in the order of their numbers
  Bytes trace = {};
  std::vector<RetriableStep> steps = {};  // ascending; of a saga: what is carried out once it is committed
  bool operator==(const BeginTxn&) const = default;
};
// T commits, provided that the entry's epoch is attempt.epoch (the epoch fence) and T has no record yet.
struct Decide {
  TxnId txn;
  Attempt attempt;
  Protocol protocol = Protocol::two_phase;
  std::vector<GroupId> participants;  // ascending
  std::uint64_t fingerprint = 0;
  std::vector<ServiceAddress> services = {};  // of the participants that are services, in the order of their numbers
  Bytes trace = {};
  bool operator==(const Decide&) const = default;
};
// T, run in two phases, is aborted for good unless it has a record.
struct SealOutcome {
  TxnId txn;
  Refusal refusal;  // what a later asker is told: sealed, timeout, superseded
  std::uint64_t fingerprint = 0;
  bool operator==(const SealOutcome&) const = default;
};
// Facts that the participants' logs already hold, written down for those who ask later. Lazily, many in one entry;
// whoever says them, they are true for ever.
struct OutcomeNote {
  TxnId txn;
  std::uint64_t fingerprint = 0;
  bool commit = false;
  Protocol protocol = Protocol::paxos_commit;
  // presumed: no register holds it and none ever will; reused_id: only the ballots of this content are needed no more
  AbortReason reason = AbortReason::none;
  bool operator==(const OutcomeNote&) const = default;
};
struct NoteOutcomes {
  std::vector<OutcomeNote> notes;
  bool operator==(const NoteOutcomes&) const = default;
};
// Every participant of these has ended as T did: only the outcome is kept.
struct EndTxns {
  std::vector<TxnId> txns;
  bool operator==(const EndTxns&) const = default;
};
// A heuristic decision of an operator: T's part at this service was ended by hand, and nobody waits for it any more.
struct EndBranch {
  TxnId txn;
  GroupId service;
  std::string reason;
  bool operator==(const EndBranch&) const = default;
};
// Nothing but a stamp: lets the machine forget what is past its horizon when no other command comes.
struct Tidy {
  bool operator==(const Tidy&) const = default;
};
// These shards were created since the group was configured, and transactions may name them from this entry on. A leader
// runs nothing on a shard that its log does not know: every later leader then knows whom to ask about a transaction
// that it never heard of.
struct AdmitShards {
  std::vector<GroupId> shards;  // ascending
  bool operator==(const AdmitShards&) const = default;
};
using CoordinatorCommand =
    std::variant<Decide, SealOutcome, EndTxns, Tidy, NoteOutcomes, BallotWork, BeginTxn, EndBranch, AdmitShards>;

// ---- shard group ----

// Prepare, evaluated. Votes yes when the register is empty, T is inside the time window, the locks are free and the
// effects still fit; votes no otherwise. The no is as final as the yes.
struct PrepareWork {
  TxnId txn;
  Attempt attempt;
  GroupId coordinator;
  std::vector<GroupId> participants;
  std::uint64_t fingerprint = 0;
  TxnId age;
  Effects effects;
  WorkResult result;  // told with the vote, also by a later leader
  Protocol protocol = Protocol::two_phase;
  Bytes trace = {};  // of Prepare
  bool operator==(const PrepareWork&) const = default;
};
// Prepare, refused in evaluation: a no for the register.
struct RefuseWork {
  TxnId txn;
  Attempt attempt;
  GroupId coordinator;
  std::vector<GroupId> participants;
  std::uint64_t fingerprint = 0;
  Refusal refusal;
  Protocol protocol = Protocol::two_phase;
  bool operator==(const RefuseWork&) const = default;
};
// One-phase: votes, decides and applies in one entry. With a refusal: aborts.
struct ExecuteWork {
  TxnId txn;
  std::uint64_t fingerprint = 0;
  Effects effects;
  WorkResult result;
  Refusal refusal;  // reason none: execute
  bool operator==(const ExecuteWork&) const = default;
};
// Ends a prepared transaction, or leaves a tombstone (a register with no) when an abort comes before its prepare.
struct FinishWork {
  TxnId txn;
  Attempt attempt;
  bool commit = false;
  Protocol protocol = Protocol::two_phase;
  std::uint64_t fingerprint = 0;  // of what it finishes, by_content
  bool operator==(const FinishWork&) const = default;
};
// A no for an empty register, asked for by somebody who wants to know.
struct SealWork {
  TxnId txn;
  bool operator==(const SealWork&) const = default;
};
// Old commits that every participant has finished and whose outcome the coordinator's log holds.
struct ForgetTxns {
  std::vector<TxnId> txns;
  bool operator==(const ForgetTxns&) const = default;
};
// A heuristic decision of an operator: T, prepared and in doubt, has its effects now, or gives them up. Its register
// stays yes, and only a FinishWork ends it.
struct OverrideWork {
  TxnId txn;
  bool commit = false;
  std::string reason;
  bool operator==(const OverrideWork&) const = default;
};
// What was forced on T, which has ended, is forgotten: an operator says so.
struct ForgetOverride {
  TxnId txn;
  std::string reason;
  bool operator==(const ForgetOverride&) const = default;
};
using ShardCommand = std::variant<PrepareWork, RefuseWork, ExecuteWork, FinishWork, SealWork, Tidy, ForgetTxns,
                                  OverrideWork, BallotWork, ForgetOverride>;

}  // namespace assent
