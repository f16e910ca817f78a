// Caretaker: the shard leader's volatile intention. It runs work to find its effects and locks, lets transactions wait
// or die, proposes what the shard's log then decides, tells coordinators the votes, and answers clients and queries.
//
// It is not truth: that is Shard, which it reads and never changes. It is built anew at every election and thrown away
// at its end; whatever it sends can be derived again. Time is ticks (10 ms). Called from the loop's thread only.
//
// One job (the work of a Prepare, or of a one-phase Execute), as this driver sees it:
//
//              run     no conflict: locks reserved             applied
//     arrived -----> ---------------------------> proposed ------------> voted or answered
//                |                                   ^
//                | conflict, older than every holder |  the locks come free: run again
//                |----------------> waiting ---------'------------------.
//                | refused by a rule while others are prepared          | time is up, or a holder is older
//                |----------------> settling (runs again when they end) |
//                | conflict, younger than a holder                      v
//                '------------------------------------------> proposed (a no)
//
// Invariants:
//   wait-die: a job waits only for younger holders (by age, then id), so that no cycle of waiting can form, also across
//     shards; a prepared transaction's lock is never taken from it;
//   a reservation stands from the proposal to its apply. The leader of an epoch is the only proposer of the epoch's
//     entries and runs work only when everything earlier is applied; so whatever can be applied between the run and the
//     apply of a proposal is either a prepared transaction or a reservation, neither of which holds a conflicting lock.
//     The rows that a job read and wrote are therefore at its apply what they were when it ran;
//   an add in escrow is let in beside others only when its bounds and theirs hold whichever of them commit; otherwise
//     it waits for them, or dies, as for an exclusive lock;
//   a vote leaves only after the entry with it was applied;
//   unless it is two-phase, a transaction in doubt that nobody attends to is resolved by its shards. Where the votes
//     decide each asks the others what their registers say, sealing the empty ones (docs/specs/PaxosCommit.tla); where
//     ballots decide it opens one (termination.h, docs/specs/ThreePhase.tla);
//   an acceptor's answer leaves only after the entry with it was applied;
//   such a commit is forgotten only when every participant has finished it and the coordinator's log has its outcome;
//   a query is answered from a state in which no prepared transaction holds what it reads; a validation is answered
//     "unchanged" only if, besides, none that wrote what it reads was applied since.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "participant/change_index.h"
#include "participant/escrow.h"
#include "participant/lock_table.h"
#include "participant/shard.h"
#include "participant/store.h"
#include "txn_proto/ballot_queue.h"
#include "txn_proto/commands.h"
#include "txn_proto/due_queue.h"
#include "txn_proto/limits.h"
#include "txn_proto/machine.h"
#include "txn_proto/resolution.h"
#include "txn_proto/sight.h"
#include "txn_proto/termination.h"
#include "txn_proto/types.h"

namespace assent {

struct CaretakerOptions {
  GroupId self;  // this shard's group; must be set
  TxnLimits limits;
  std::uint64_t prepare_timeout_ticks = 200;  // waiting for locks, at most
  std::uint64_t settle_ticks = 100;           // a refusal waits so long for those prepared before it
  std::uint64_t query_timeout_ticks = 500;
  std::uint64_t query_hold_ticks = 20;  // a waiting query keeps new writers of what it reads out, no longer than this
  std::uint64_t resend_ticks = 20;      // before a vote is repeated; doubles up to ...
  std::uint64_t resend_ticks_max = 100;
  std::uint64_t inquire_after_sends = 2;  // votes sent in vain before the coordinator is asked
  std::uint64_t resolve_ticks = 150;      // in doubt and not attended to for so long: the shards resolve it
  std::uint64_t confirm_ticks = 100;      // between questions whether old commits may be forgotten
  std::size_t confirm_batch = 2'000;
  std::uint64_t wait_ticks_max = 6'000;  // a GetOutcome waits no longer
  std::uint64_t tidy_ticks = 1'000;      // without any entry for so long, one is proposed for its stamp
  // How long a tick is, about: while nothing else is to be done that entry waits until it makes the shard forget. 0:
  // not known.
  std::uint64_t tick_millis = 0;
  std::size_t jobs_max = 10'000;     // running, waiting and proposed; beyond: Prepares are dropped, clients hear busy
  std::size_t waiting_max = 2'000;   // beyond: conflict
  std::size_t settle_max = 1'000;    // more prepared than that are not waited for by a refusal: conflict
  std::size_t queries_max = 10'000;  // beyond: busy
  std::size_t waiters_max = 64;      // clients waiting for one transaction; beyond: busy
  std::size_t sends_per_tick_max = 2'000;
  bool bills = true;  // what each transaction cost is counted; where every state matters (the explorer) it is not
};

class Caretaker {
 public:
  using Command = ShardCommand;

  // shard and resources must outlive this; resources shows the state that shard's store has.
  Caretaker(const Shard& shard, ResourceManager& resources, CaretakerOptions options);
  // A copy that reads another machine and store, which must be equal to the other's.
  Caretaker(const Caretaker& other, const Shard& shard, ResourceManager& resources);

  void lead(Epoch epoch);
  void resign();
  void receive(const Envelope& envelope);
  void request(const ClientRequest& request);
  void applied(const EntryContext& context, const Command& command, const Shard::Applied& applied,
               const RoundCost& round = {});
  void refused(const Command& command, const Error& error);
  void read_ready(ReadId id);
  void read_lost(ReadId id);
  void tick();
  // With finished transactions, until the next entry for its stamp: they go by age.
  [[nodiscard]] std::uint64_t rest_ticks() const;
  void rested(std::uint64_t ticks) { now_ += ticks; }
  [[nodiscard]] DriverOutput<Command> take_output();
  [[nodiscard]] bool has_output() const { return !output_.empty(); }

  // Jobs, queries and askers in memory.
  [[nodiscard]] std::size_t active() const { return jobs_.size() + queries_.size() + askers_.size(); }
  // One transaction that is not over here, or all that are in doubt.
  [[nodiscard]] std::vector<Sight> sights(const SightQuestion& question) const;
  // Also while it does not lead: it looks at the machine and the rows alone (participant/stale_query.h).
  [[nodiscard]] Result<QueryAnswer> query_stale(const Query& query, std::vector<TxnId>& in_the_way) const;
  [[nodiscard]] const LockTable& reservations() const { return reservations_; }

  // Over everything that may still matter: two caretakers with equal options, machines and digests act alike from now
  // on. Times count from now. The output must have been taken.
  [[nodiscard]] std::uint64_t digest() const;

 private:
  enum class Phase : std::uint8_t { arrived, waiting, settling, proposed };
  struct Job {
    Phase phase = Phase::arrived;
    TxnId txn;
    TxnId age;
    std::uint64_t fingerprint = 0;
    std::optional<Prepare> prepare;  // two-phase; its work is moved to work
    Work work;
    std::vector<LockRequest> wanted;  // with waiting
    TxnId holder;                     // with waiting: one of those in the way
    std::set<TxnId> settling_for;     // with settling
    bool settled = false;             // it waited for them: the next refusal counts
    std::uint64_t deadline = 0;
    std::vector<RequestId> clients;  // one-phase
  };
  struct Read {
    RequestId client;
    Query query;
    std::set<TxnId> waiting_for;  // conflicting ones that were prepared or proposed when it last ran
    std::uint64_t deadline = 0;
    bool settled = false;  // of a rehearsal: as that of a job
  };
  struct Asker {
    RequestId id;
    TxnId txn;
    bool seal = false;
  };
  struct Doubt {  // a prepared transaction that waits for its outcome
    Backoff backoff;
    std::uint64_t sends = 0;
    std::uint64_t resolve_at = 0;          // by_content: nobody seemed to attend to it until then
    std::optional<Resolution> resolution;  // it is being resolved here, where the votes decide
    std::optional<Termination> way;        // where ballots decide
    Cost cost;                             // of the vote

    [[nodiscard]] bool resolving() const { return resolution || way; }
  };

  // messages
  void on(const Envelope& envelope, const Prepare& prepare);
  void on(const Envelope& envelope, const Finish& finish);
  void on(const Envelope& envelope, const Attended& attended);
  void on(const Envelope& envelope, const Seal& seal);
  void on(const Envelope& envelope, const Report& report);
  void on(const Envelope& envelope, const Confirm& confirm);
  void on(const Envelope& envelope, const Confirmed& confirmed);
  void on(const Envelope& envelope, const BallotRequest& request);
  void on(const Envelope& envelope, const BallotReply& reply);
  void vote_again(GroupId to, const Prepare& prepare);
  void finish_empty(GroupId from, const Finish& finish);

  // resolving
  void begin_doubt(const TxnId& txn, std::uint64_t due_ticks);
  void begin_resolution(const TxnId& txn, const PreparedTxn& prepared, Doubt& doubt);
  void ask_others(const TxnId& txn, const PreparedTxn& prepared, const Doubt& doubt);
  template <class Proof>
  void conclude(const TxnId& txn, const PreparedTxn& prepared, const Proof& proof);
  void seal_empty(const TxnId& txn);
  void say_report(const TxnId& txn, const Cost& cost);

  // ballots
  void begin_termination(const TxnId& txn, const PreparedTxn& prepared, Doubt& doubt);
  void pursue(const TxnId& txn, const PreparedTxn& prepared, Doubt& doubt);
  void ask_acceptors(const TxnId& txn, const Termination& way);
  void hear_acceptor(GroupId from, const BallotReply& reply);
  // cost: of the entry that was applied.
  void serve_ballots(const TxnId& txn, const Cost& cost = {});
  [[nodiscard]] bool serve_ballot(GroupId from, const BallotRequest& request, const Cost& cost);
  void tell_others(const Finish& finish, const PreparedTxn& prepared);

  // forgetting
  void begin_confirming();
  void confirmed(const TxnId& txn, GroupId by);
  void tick_confirming();

  // requests
  void execute(const ClientRequest& request, const Execute& execute);
  bool answer_known(RequestId id, const Execute& execute, std::uint64_t print);
  void query(const ClientRequest& request, const Query& query);
  void get_outcome(const ClientRequest& request, const GetOutcome& ask);
  [[nodiscard]] TxnAnswer outcome_of(const TxnId& txn) const;
  void hold_back(const ClientRequest& request);
  void judge_held();
  void propose_seal(const TxnId& txn);

  // jobs
  enum class Verdict : std::uint8_t { granted, wait, die };
  struct Admission {
    Verdict verdict = Verdict::granted;
    TxnId holder;
  };
  [[nodiscard]] Admission admit(const Job& job, const std::vector<LockRequest>& locks) const;
  [[nodiscard]] bool older(const TxnId& holder, const Job& job) const;
  [[nodiscard]] TxnId age_of(const TxnId& txn) const;
  void add_job(Job job);
  void settle_first(Job& job, const std::vector<TxnId>& holding);
  void run(Job& job);
  void obey(Job& job, Evaluation evaluation);
  [[nodiscard]] bool bounds_hold(const Evaluation& evaluation) const;
  void refuse_bound(Job& job, const Evaluation& evaluation);
  std::vector<LockRequest> unreserve(const TxnId& txn);
  void park(Job& job, std::vector<LockRequest> locks, const TxnId& holder);
  void unpark(Job& job);
  void on_refusal(Job& job, Refusal refusal);
  [[nodiscard]] static bool by_state(const Refusal& refusal);
  void propose_work(Job& job, Evaluation evaluation);
  void propose_refusal(Job& job, Refusal refusal);
  void end_job(const TxnId& txn);
  void wake(const std::vector<LockRequest>& released);
  void ended(const TxnId& txn);
  void watch(const TxnId& txn, const TxnId& watcher);

  // queries
  void run_query(const TxnId& key);
  void run_query_again(const TxnId& key);
  void answer_query(const TxnId& key, Evaluation evaluation);
  void answer_validation(const TxnId& key, const std::vector<LockRequest>& locks);
  void refuse_query(const TxnId& key, const Refusal& refusal);
  void end_query(const TxnId& key);

  // applied
  void note_change(Index at, const Command& command, const Shard::Applied& applied);
  void on_applied(const PrepareWork& command, const Shard::Applied& applied);
  void on_applied(const RefuseWork& command, const Shard::Applied& applied);
  void on_applied(const ExecuteWork& command, const Shard::Applied& applied);
  void on_applied(const FinishWork& command, const Shard::Applied& applied);
  void on_applied(const SealWork& command, const Shard::Applied& applied);
  void on_applied(const OverrideWork& command, const Shard::Applied& applied);
  void on_applied(const ForgetOverride& command, const Shard::Applied& applied);
  void on_applied(const Tidy& command, const Shard::Applied& applied);
  void on_applied(const ForgetTxns& command, const Shard::Applied& applied);
  void on_applied(const BallotWork& command, const Shard::Applied& applied);
  void voted(GroupId coordinator, const TxnId& txn, const Attempt& attempt, const Shard::Applied& applied);

  void refuse_job(const TxnId& txn, const Error& error, bool with_effects);

  // heuristic decisions (caretaker_override.cc)
  void force(const ClientRequest& request, const Override& ask);
  void forget(const ClientRequest& request, const Forget& ask);
  [[nodiscard]] bool may_decide(const ClientRequest& request, const TxnId& txn, const std::string& reason);
  [[nodiscard]] bool is_first_forcer(const ClientRequest& request, const TxnId& txn);
  void answer_forcers(const TxnId& txn, const std::optional<Error>& error);

  // sights (caretaker_sights.cc)
  struct Waiters {  // whom each transaction keeps waiting here
    std::map<TxnId, std::vector<TxnId>> txns;
    std::map<TxnId, std::uint64_t> queries;
    std::map<TxnId, std::vector<std::string>> wanted;  // by who waits: keys
    std::map<TxnId, std::vector<std::string>> held;    // by who keeps others waiting
    void add_to(Sight& sight) const;
  };
  [[nodiscard]] Waiters waiters() const;
  void name_keys(const Job& job, Waiters& waiters) const;
  [[nodiscard]] std::vector<TxnId> holders_of(const Job& job) const;
  [[nodiscard]] Sight sight_of(const TxnId& txn, const PreparedTxn& prepared, ClusterMillis now) const;
  [[nodiscard]] Sight sight_of(const Job& job, ClusterMillis now) const;
  [[nodiscard]] static Sight sight_of(const TxnId& txn, const FinishedTxn& finished, ClusterMillis now);

  // output
  [[nodiscard]] Refusal refusal(AbortReason reason, std::string message, const TxnId& holder = {}) const;
  [[nodiscard]] TxnAnswer aborted(const TxnId& txn, Refusal refusal) const;
  void send(GroupId to, TxnMessage message);
  void send_vote(const TxnId& txn, const PreparedTxn& prepared);
  void send_no(GroupId to, const TxnId& txn, const Attempt& attempt, Refusal refusal, const Cost& cost = {});
  [[nodiscard]] Cost cost_of_entry() const;
  void tell(RequestId client, const TxnAnswer& answer);
  void fail_client(RequestId client, ErrorCode code, std::string message);
  void answer_askers(const TxnId& txn);
  void fail_askers(const TxnId& txn, const Error& error);
  void drop_asker(RequestId id);
  void propose_tidy();
  [[nodiscard]] bool idle() const;
  [[nodiscard]] std::uint64_t tidy_due() const;  // ticks after the last entry
  void propose_finish(GroupId from, const Finish& finish);

  void tick_jobs();
  void tick_queries();
  void tick_doubts();
  void tick_askers();

  // A member that is added here is added to caretaker_digest.cc.
  const Shard* shard_;
  ResourceManager* resources_;
  CaretakerOptions options_;
  bool leading_ = false;
  Epoch epoch_;
  std::uint64_t now_ = 0;           // ticks
  std::uint64_t read_counter_ = 0;  // never goes back while this object lives
  std::uint64_t query_counter_ = 0;

  std::map<TxnId, Job> jobs_;
  DueQueue<TxnId> jobs_due_;
  LockTable reservations_;  // of proposals that were not applied yet
  EscrowTable reserved_adds_;
  LockTable wanted_;  // of waiting jobs
  std::size_t waiting_ = 0;
  // Queries stand under made-up ids above all real ones: to wait-die they are younger than everybody.
  std::map<TxnId, Read> queries_;
  DueQueue<TxnId> queries_due_;
  LockTable holds_;
  ChangeIndex changes_;
  ReadId gathering_;  // the barrier that queries of this step share; none: no query came
  std::map<ReadId, std::vector<TxnId>> barriers_;
  std::map<TxnId, std::vector<TxnId>> watchers_;  // who wants to know that a prepared or proposed transaction ended
  std::map<TxnId, Doubt> doubts_;
  DueQueue<TxnId> doubts_due_;
  std::map<TxnId, std::pair<GroupId, Finish>> finishes_in_log_;
  std::map<RequestId, Asker> askers_;
  std::map<TxnId, std::set<RequestId>> askers_of_;
  DueQueue<RequestId> askers_due_;
  std::set<TxnId> seals_in_log_;
  std::map<TxnId, std::vector<RequestId>> forcers_;  // who waits for an OverrideWork or ForgetOverride in the log
  BallotQueue ballots_;                              // who asked this shard's acceptors
  std::map<TxnId, std::set<GroupId>> to_report_;     // who asked what a register says that is being filled
  std::map<TxnId, std::set<GroupId>> confirming_;    // old commits, and who has not confirmed them in this round
  std::vector<TxnId> confirmed_;                     // by everybody in this round
  TxnId confirm_from_;                               // where the next round begins
  std::uint64_t confirm_round_ends_ = 0;
  std::vector<ClientRequest> held_;  // ahead of the log's last stamp: judged again by a fresh one
  bool tidy_in_log_ = false;
  std::uint64_t last_entry_tick_ = 0;
  RoundCost round_;    // of the entry that is being applied
  RecentBills bills_;  // of one-phase transactions

  DriverOutput<Command> output_;
};

}  // namespace assent
