// Shard: the replicated truth of one shard beside its rows. Vote registers, prepared transactions with their effects
// and locks, finished transactions with what became of them.
//
// It is not the caretaker: it runs no work, waits for nothing, sends nothing. It is changed by apply() alone, in log
// order, on every replica alike; options must therefore be equal on all replicas. Everything it knows is in the Store's
// records, so that load() makes it again, and the Store's snapshot is its snapshot. Called from the loop's thread.
//
// The register of one transaction:
//
//               PrepareWork: yes                   FinishWork(commit), of this vote
//     (empty) -------------------------> prepared ------------------------------------> committed --.
//        |                                   |     FinishWork(abort), of this vote                   | T past
//        retention, |                                   '----------------------------------------> aborted ----}| or
//        ForgetTxns |   PrepareWork: no, RefuseWork, SealWork, FinishWork(abort): the tombstone       ^         |
//        |---------------------------------------------------------------------------------'         v
//        '--------------------------------------------------------------------------> committed    (empty, but
//           ExecuteWork: votes, decides and applies in one entry (or aborted)                       too old)
//
// Invariants:
//   the first vote in the log is the register, for ever; a later Prepare, Seal or Finish never changes it;
//   the locks of the machine, and what is in escrow, are a function of the prepared set;
//   a prepared transaction ends only by a FinishWork of the attempt that it voted in, or, unless it is two-phase, of
//     the content that it voted on; never by age;
//   an OverrideWork changes rows and locks, never a register: whoever asks what was voted hears yes. Its register is
//     not forgotten before a ForgetOverride, which comes only after the outcome;
//   where ballots decide, a prepared transaction is an acceptor too: what it promised and accepted stands in its record
//     and changes by BallotWork alone, as acceptor.h says;
//   an id outside the time window, by the entry's stamp, is never prepared and never executed. A register is forgotten
//     only when its transaction is finished and too old; so a forgotten one can never be filled again. Unless it is
//     two-phase, a commit is forgotten only by ForgetTxns: others may be in doubt for as long as they like, and would
//     take a forgotten register for one that never voted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "participant/escrow.h"
#include "participant/lock_table.h"
#include "participant/store.h"
#include "txn_proto/acceptor.h"
#include "txn_proto/commands.h"
#include "txn_proto/limits.h"
#include "txn_proto/machine.h"

namespace assent {

struct ShardOptions {
  GroupId self;  // this shard's group; named in the refusals it makes
  TimeWindow window;
  std::size_t reply_bytes_max = 1'024;  // encoded results of a one-phase transaction that are kept for a retry
  std::size_t forget_per_entry = 4;     // bounded work an entry
};

// Voted yes, outcome not known here.
struct PreparedTxn {
  Attempt attempt;
  GroupId coordinator;
  std::vector<GroupId> participants;
  std::uint64_t fingerprint = 0;
  TxnId age;
  Effects effects;
  WorkResult result;
  ClusterMillis prepared_at;
  Protocol protocol = Protocol::two_phase;
  std::optional<Heuristic> heuristic = std::nullopt;  // effects and locks are gone then
  Acceptor acceptor = {};                             // where ballots decide
  Bytes trace = {};

  bool operator==(const PreparedTxn&) const = default;
};

// Nothing is left to be done for it.
struct FinishedTxn {
  Outcome outcome = Outcome::none;
  bool voted_yes = false;                   // with aborted: it was prepared and its coordinator aborted it
  bool result_dropped = false;              // it had results that were too large to keep
  Protocol protocol = Protocol::two_phase;  // automatic: sealed, nobody saw its content
  Attempt attempt;                          // of the vote; of the Finish for a tombstone; none for one-phase and a seal
  std::uint64_t fingerprint = 0;            // 0: the content was never seen
  ClusterMillis finished_at;
  Bytes detail;  // encoded: Refusal when the vote was no, WorkResult of a one-phase commit; empty otherwise
  // Of a commit, by_content: whom to ask before it may be forgotten.
  GroupId coordinator;
  std::vector<GroupId> participants;
  std::optional<Heuristic> heuristic = std::nullopt;  // what was forced on it before its outcome came

  // What was forced was not what it came to: this shard is not as the others are.
  [[nodiscard]] bool mixed() const { return heuristic && heuristic->commit != (outcome == Outcome::committed); }
  [[nodiscard]] Refusal refusal() const;
  [[nodiscard]] WorkResult result() const;
  // Forgotten only when everybody who may still ask has finished it.
  [[nodiscard]] bool is_asked_for() const { return outcome == Outcome::committed && by_content(protocol); }
  // Goes by its age alone.
  [[nodiscard]] bool ages() const { return !is_asked_for() && !heuristic; }
  bool operator==(const FinishedTxn&) const = default;
};

// What operators forced here, and forgot, ever since the group began.
struct HeuristicCounts {
  std::uint64_t commits = 0;
  std::uint64_t aborts = 0;
  std::uint64_t forgotten = 0;

  bool operator==(const HeuristicCounts&) const = default;
};

class Shard {
 public:
  using Command = ShardCommand;

  struct Applied {
    bool changed = false;               // this entry wrote the register
    std::optional<Refusal> refused;     // refused without touching the register: too_old, reused_id
    std::vector<LockRequest> released;  // locks of the machine that became free
    std::uint64_t held_millis = 0;      // ... and for how long they were held, by the stamps of prepare and finish
  };

  explicit Shard(ShardOptions options) : options_(options) {}

  // Makes the machine what the store's records say. corruption when a record cannot be read.
  [[nodiscard]] Result<void> load(const Store& store);
  // Makes the store, and then the machine, what a snapshot of another replica's store says. corruption as above.
  [[nodiscard]] Result<void> restore(Store& store, ByteView snapshot);
  // Whether load() could.
  [[nodiscard]] Result<void> loadable(const Store& store) const { return Shard(options_).load(store); }

  // Changes the machine and the store; the caller sets the store's applied index and checkpoints. An error is the
  // disk's.
  [[nodiscard]] Result<Applied> apply(const EntryContext& context, const Command& command, Store& store);

  [[nodiscard]] const PreparedTxn* prepared(const TxnId& txn) const;
  [[nodiscard]] const FinishedTxn* finished(const TxnId& txn) const;
  [[nodiscard]] bool empty(const TxnId& txn) const { return prepared(txn) == nullptr && finished(txn) == nullptr; }
  [[nodiscard]] const std::map<TxnId, PreparedTxn>& all_prepared() const { return prepared_; }
  [[nodiscard]] const std::map<TxnId, FinishedTxn>& all_finished() const { return finished_; }
  [[nodiscard]] const LockTable& locks() const { return locks_; }
  [[nodiscard]] const EscrowTable& escrow() const { return escrow_; }
  // Prepared ones whose effects are still to come or not.
  [[nodiscard]] std::vector<TxnId> holding() const;
  // Those, prepared or finished, that an operator forced an end on.
  [[nodiscard]] const std::set<TxnId>& heuristics() const { return heuristics_; }
  [[nodiscard]] const HeuristicCounts& heuristic_counts() const { return heuristic_counts_; }
  // Commits that only ForgetTxns ends now and that are too old to come again: up to most of them after the given id.
  [[nodiscard]] std::vector<TxnId> old_commits(const TxnId& after, std::size_t most) const;
  [[nodiscard]] Report report(const TxnId& txn) const;
  // How its acceptor stands; empty when the register is.
  [[nodiscard]] BallotReply ballot_reply(const TxnId& txn) const;

  // Of the last entry applied; after a restart, of the last before that wrote the machine's record.
  [[nodiscard]] ClusterMillis stamp() const { return stamp_; }
  [[nodiscard]] bool too_old(const TxnId& txn) const { return options_.window.too_old(txn, stamp_); }
  [[nodiscard]] std::uint64_t retention_millis() const { return options_.window.retention_millis; }
  [[nodiscard]] bool too_new(const TxnId& txn) const { return options_.window.too_new(txn, stamp_); }

  // The index of the last entry applied.
  [[nodiscard]] Index applied() const { return applied_; }

  // Of registers and locks; the store has its own.
  [[nodiscard]] std::uint64_t digest() const;

 private:
  struct Entry {  // what every handler needs
    const EntryContext& context;
    Store& store;
  };
  Result<Applied> apply_one(const Entry& entry, const PrepareWork& command);
  Result<Applied> apply_one(const Entry& entry, const RefuseWork& command);
  Result<Applied> apply_one(const Entry& entry, const ExecuteWork& command);
  Result<Applied> apply_one(const Entry& entry, const FinishWork& command);
  Result<Applied> apply_one(const Entry& entry, const SealWork& command);
  Result<Applied> apply_one(const Entry& entry, const Tidy& command);
  Result<Applied> apply_one(const Entry& entry, const ForgetTxns& command);
  Result<Applied> apply_one(const Entry& entry, const OverrideWork& command);
  Result<Applied> apply_one(const Entry& entry, const BallotWork& command);
  Result<Applied> apply_one(const Entry& entry, const ForgetOverride& command);

  [[nodiscard]] Refusal refuse(AbortReason reason, std::string message, TxnId holder = {}) const;
  [[nodiscard]] Result<std::optional<Refusal>> find_obstacle(const Entry& entry, const TxnId& txn,
                                                             const Effects& effects) const;
  [[nodiscard]] Result<std::optional<Refusal>> find_broken_bound(const Entry& entry, const Effects& effects) const;
  void hold(const TxnId& txn, const Effects& effects);
  static Result<void> carry_out(const Entry& entry, const Effects& effects);
  [[nodiscard]] Applied already(const TxnId& txn, std::uint64_t fingerprint) const;
  Result<Applied> finish_prepared(const Entry& entry, const FinishWork& command);
  Result<Applied> settle(const Entry& entry, const TxnId& txn, FinishedTxn finished);
  Result<void> forget(Store& store);
  [[nodiscard]] Result<void> put_machine_record(Store& store) const;

  ShardOptions options_;
  ClusterMillis stamp_;
  Index applied_;
  std::map<TxnId, PreparedTxn> prepared_;
  std::map<TxnId, FinishedTxn> finished_;
  std::set<TxnId> heuristics_;  // of both, those with a heuristic
  HeuristicCounts heuristic_counts_;
  TxnId forget_from_;  // nothing before it in finished_ goes by its age; where forget() goes on
  LockTable locks_;
  EscrowTable escrow_;
};

}  // namespace assent
