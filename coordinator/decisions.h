// Decisions: the replicated truth of a coordinator group. Which two-phase transactions committed, which were sealed as
// aborted; every other two-phase transaction is aborted (presumed abort). And the outcomes of transactions that the
// participants' votes or ballots decided, noted for those who ask later: of these it is the memory, not the judge. And
// the group's acceptors, where ballots decide.
//
// It is not the conductor: it sends nothing, knows no running attempt, counts no votes. It is changed by apply() alone,
// in log order, on every replica alike; options must therefore be equal on all replicas. Called from the loop's thread.
//
//                  Decide, entry epoch == attempt.epoch                    EndTxns
//     (no record) ----------------------------------------------> open ---------------> history ----.
//          |                                                                                          \ past its bounds
//          |  SealOutcome                                                                               }------> (no
//          |                                                                                            |     record)
//          |-------------------------------------------------------> history: aborted ------------------|
//          '-------------------------------------------------------> history: as noted -----------------'
//             NoteOutcomes
//
// A recorded transaction (is_recorded) begins with BeginTxn and stands in begun() until it is decided or sealed; its
// abort is open, too, until every participant has heard it. Nobody who was called can be left waiting: the next leader
// finds the transaction there, and whom to tell.
//
// Open commits and ballots are few and in memory. Settled outcomes are in an OutcomeArchive too, when there is one
// (outcome_history.h): beside them and with the applied index stands a copy of the rest, so that load() makes the
// machine again and the log gives only what came later. The log stays the truth: what of an archive was not yet durable
// is applied again.
//
// Invariants:
//   the first record of a transaction is its last: no transition leads from one outcome to the other;
//   the epoch fence: a Decide counts only in an entry of its attempt's own epoch. A leader of a later epoch that has
//     applied everything before its own first entry thus knows every commit that there will ever be of earlier epochs;
//   a record is forgotten only when its id is too old to be accepted again;
//   a commit stays open, with its participants, until each of them is known to have applied the finish; so does the
//     abort of a recorded transaction. An operator may end a service's part by hand (EndBranch): that is remembered
//     with the outcome;
//   what a saga's retriable services are to do stands in the log from its beginning to its end, so that whoever leads
//     can have it done once the saga is committed;
//   a shard that was admitted stays so: whoever leads later asks it, too, about what nobody here knows;
//   what this group promised and accepted in ballots is kept until an outcome is noted, or the content is known to be
//     dead. Before the history's horizon there may have been such: of these this group promises nothing any more.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/outcome_history.h"
#include "txn_proto/acceptor.h"
#include "txn_proto/commands.h"
#include "txn_proto/limits.h"
#include "txn_proto/machine.h"

namespace assent {

struct DecisionsOptions {
  TimeWindow window;
  HistoryBounds history;
};

// A recorded transaction that is not decided.
struct BegunTxn {
  Attempt attempt;
  Mode mode = Mode::saga;
  std::vector<GroupId> participants;
  std::uint64_t fingerprint = 0;
  std::vector<ServiceAddress> services = {};
  Bytes trace = {};
  std::vector<RetriableStep> steps = {};

  bool operator==(const BegunTxn&) const = default;
};

// A commit that not every participant has applied yet, or the abort of a recorded transaction that not every one has
// heard.
struct OpenOutcome {
  Outcome outcome = Outcome::committed;
  AbortReason reason = AbortReason::none;
  Mode mode = Mode::atomic;
  Attempt attempt;
  Protocol protocol = Protocol::two_phase;
  std::vector<GroupId> participants;
  std::uint64_t fingerprint = 0;
  ClusterMillis decided_at;
  std::vector<ServiceAddress> services = {};  // of the participants that are services, in the order of their numbers
  Bytes trace = {};
  std::vector<RetriableStep> steps = {};        // of these, what is still to be done, as far as the log knows
  std::map<GroupId, std::string> by_hand = {};  // services whose part an operator ended, and why

  bool operator==(const OpenOutcome&) const = default;
};

// What this group promised and accepted of one content.
struct BallotRecord {
  std::uint64_t fingerprint = 0;
  std::vector<GroupId> participants;
  Acceptor acceptor;

  bool operator==(const BallotRecord&) const = default;
};

class Decisions {
 public:
  using Command = CoordinatorCommand;

  // What the transaction's record says after the entry. none: it has no record (a fenced Decide), or the command is
  // about no single transaction.
  struct Applied {
    Outcome outcome = Outcome::none;
    Attempt attempt;                         // with committed
    AbortReason reason = AbortReason::none;  // with aborted
    bool changed = false;                    // this entry made the record
    bool operator==(const Applied&) const = default;
  };

  // The archive, if there is one, outlives this; then this must not be copied, and load() comes first.
  explicit Decisions(DecisionsOptions options = {}, OutcomeArchive* archive = nullptr, const ArchivePace& pace = {})
      : options_(options), history_(archive, pace) {}

  // Makes the machine what its archive says, and tells up to which entry that is. corruption when it cannot be read.
  [[nodiscard]] Result<Index> load();

  // Nothing that came of it may leave the node while failure() stands.
  Applied apply(const EntryContext& context, const Command& command);

  // The record of a transaction, open or settled.
  [[nodiscard]] std::optional<SettledOutcome> find(const TxnId& txn) const;
  [[nodiscard]] bool committed(const TxnId& txn, const Attempt& attempt) const;
  [[nodiscard]] const std::map<TxnId, OpenOutcome>& open() const { return open_; }
  // Neither decided nor sealed: the leader of that attempt runs it, every later one seals it.
  [[nodiscard]] const std::map<TxnId, BegunTxn>& begun() const { return begun_; }
  [[nodiscard]] std::size_t records() const { return begun_.size() + open_.size() + history_.size() + ballots_.size(); }
  // Not known to be decided.
  [[nodiscard]] const std::map<TxnId, BallotRecord>& ballots() const { return ballots_; }
  // How the acceptor of this content stands. old: this group abstains, for it knows of other content under the id, or
  // may have forgotten what it promised.
  [[nodiscard]] BallotReply ballot_reply(const TxnId& txn, std::uint64_t fingerprint) const;

  // Shards that were created since the group was configured, ascending.
  [[nodiscard]] const std::vector<GroupId>& admitted() const { return admitted_; }

  // Of the last entry that was applied.
  [[nodiscard]] ClusterMillis stamp() const { return stamp_; }
  [[nodiscard]] bool too_old(const TxnId& txn) const { return options_.window.too_old(txn, stamp_); }
  [[nodiscard]] bool too_new(const TxnId& txn) const { return options_.window.too_new(txn, stamp_); }
  // There may have been a record of it that was forgotten.
  [[nodiscard]] bool may_be_forgotten(const TxnId& txn) const;
  // Up to when those were made; nothing: none was forgotten.
  [[nodiscard]] std::optional<ClusterMillis> forgotten_up_to() const { return history_.forgotten_up_to(); }

  // All of it.
  [[nodiscard]] Result<Bytes> snapshot() const;
  // Its three parts, for who makes one in steps (coordinator/decisions_copy.h): what stands before the settled outcomes
  // from this one on, some of these in order, and what stands behind them. The outcomes never change; new ones come at
  // the end, and the first ones go.
  [[nodiscard]] Bytes snapshot_head(std::uint64_t from) const;
  [[nodiscard]] Result<Bytes> snapshot_settled(std::uint64_t from, std::uint64_t to) const;
  [[nodiscard]] Bytes snapshot_tail() const;
  [[nodiscard]] std::uint64_t settled_first() const { return history_.first(); }
  [[nodiscard]] std::uint64_t settled_end() const { return history_.end(); }
  // corruption when the bytes are not a snapshot; the machine is then as it was. The snapshot is of this entry.
  [[nodiscard]] Result<void> restore(ByteView snapshot, Index applied = {});
  // Whether restore() takes the bytes, as far as they go.
  [[nodiscard]] static Result<void> restorable(ByteView snapshot);
  // Of no meaning while failure() stands.
  [[nodiscard]] std::uint64_t digest() const;

  // After a batch of entries, up to this one: brings to the archive what has gathered, if that is enough.
  [[nodiscard]] Result<void> checkpoint(Index applied);
  // The same, however little it is, and durable on return.
  [[nodiscard]] Result<void> save(Index applied);
  // The archive could not be read or written: the node must end.
  [[nodiscard]] const std::optional<Error>& failure() const { return history_.failure(); }

 private:
  Applied apply_one(const EntryContext& context, const Decide& command);
  Applied apply_one(const EntryContext& context, const SealOutcome& command);
  Applied apply_one(const EntryContext& context, const EndTxns& command);
  Applied apply_one(const EntryContext& context, const Tidy& command);
  Applied apply_one(const EntryContext& context, const NoteOutcomes& command);
  Applied apply_one(const EntryContext& context, const BallotWork& command);
  Applied apply_one(const EntryContext& context, const BeginTxn& command);
  Applied apply_one(const EntryContext& context, const EndBranch& command);
  Applied apply_one(const EntryContext& context, const AdmitShards& command);
  void add_abort(const SettledOutcome& record);
  [[nodiscard]] Applied standing(const TxnId& txn) const;
  [[nodiscard]] Bytes bytes_with_history_from(std::uint64_t sequence) const;

  DecisionsOptions options_;
  ClusterMillis stamp_;
  std::map<TxnId, BegunTxn> begun_;
  std::map<TxnId, OpenOutcome> open_;
  OutcomeHistory history_;
  std::map<TxnId, BallotRecord> ballots_;
  std::vector<GroupId> admitted_;
};

// What an archive's mark says, for people.
struct DecisionsSummary {
  ClusterMillis stamp;
  std::size_t open = 0;
  std::size_t balloted = 0;
  std::uint64_t settled = 0;
  std::optional<ClusterMillis> forgotten_up_to;
};
[[nodiscard]] Result<DecisionsSummary> summarize_machine(ByteView machine);

}  // namespace assent
