// Conductor: the coordinator leader's volatile intention. It runs attempts of transactions, proposes their decisions,
// carries outcomes to participants, and answers clients and participants in doubt.
//
// It is not truth: that is Decisions, which it reads and never changes. It is built anew at every election and thrown
// away at its end; whatever it sends can be derived again. Time is ticks (10 ms). Called from the loop's thread only.
//
// One transaction, as this driver sees it:
//
//               Execute                        every vote is yes           Decide applied, client told
//     (nothing) ------> collecting ----------------------------> proposed --------------> finishing(commit) --> ended
//        |                  |  \ a participant's log holds a no: client told
//        |                  |   '----------------------------------------------------> finishing(abort) --> forgotten
//        |                  | timeout, or a yes of another attempt
//        |                  v                     SealOutcome applied, client told
//                        sealing ---------------------------------------------------> finishing(abort) --> forgotten
//
// A transaction that is recorded (is_recorded) is in the log before anybody is called, and its abort is, too, before
// anybody hears of it; who takes part hears every end until he has acknowledged it:
//
// The retriable steps of a saga are no part of that: nobody is called before the commit is in the log, and then until
// each has done its step (forward recovery). So they are carried out in finishing(commit), and by every later leader.
//
//               Execute            BeginTxn applied     as above, but a no seals, too
//     (nothing) ------> beginning -----------------> collecting ... sealing ----------> finishing(abort) --> ended
//        '--------------------------------------------------------> sealing
//         lead(): what an earlier leader began is ended
//
// Where the votes decide (Paxos Commit):
//
//               Execute                 every register holds yes: client told
//     (nothing) ------> collecting -------------------------------------------------> finishing(commit) --> noted
//        |                  |   \ a register holds a no: client told
//        |                  |    '---------------------------------------------------> finishing(abort) --> noted
//        |                  | timeout, or T is too old for somebody
//        |                  v              the registers, sealed, say it: client told
//        '--------------> resolving -------------------------------------------------> finishing
//         GetOutcome of what is not known here: every shard is asked
//
// Where ballots decide (three-phase): as where the votes do, with one round more before "committed":
//
//               Execute                every vote is yes            a majority has accepted: client told
//     (nothing) ------> collecting -----------------------> accepting ----------------------------------> finishing
//                           | timeout                           | somebody opened a higher ballot: so does this
//                           '-------------> resolving <---------'
//
// Invariants, two-phase (PROTOCOL.md section 2, docs/specs/TwoPhase.tla):
//   attempts (epoch, number) of this driver are never reused; votes count only with the attempt that runs now;
//   a Decide is proposed at most once an attempt, only after every participant voted yes in it, and an attempt that
//     proposed is never dropped;
//   "aborted" is told only when a participant's log holds a no, or this group's log holds the abort;
//   "committed" is told, and Finish(commit) sent, only when Decide was applied.
// Invariants, where the votes decide (docs/specs/PaxosCommit.tla):
//   "committed" is told, and Finish(commit) sent, only when every participant's register is known to hold yes for this
//     content; "aborted" is told, and Finish(abort) sent, only when one is known never to hold it;
//   so whatever this driver says is true whether or not it still leads. What it notes in the log is true already.
// Invariants, where ballots decide (termination.h, docs/specs/ThreePhase.tla): the same, where a majority of the
// acceptors
//   stands for all registers; round 0 is proposed only when every register is known to hold yes; this leader opens no
//   round twice.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/ids.h"
#include "coordinator/decisions.h"
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

struct ConductorOptions {
  GroupId self;  // the coordinator group; must be set
  // All that the cluster was configured with, the same on every replica: these and those that the log admitted are
  // asked about a transaction that nobody here knows.
  std::vector<GroupId> shards;
  // Nobody runs a transaction that its votes decide: what the log does not know never committed, and no shard is asked.
  bool two_phase_only = false;
  TxnLimits limits;
  std::uint64_t timeout_ticks = 1'000;      // of an Execute that names none
  std::uint64_t timeout_ticks_max = 6'000;  // an Execute may name no more
  std::uint64_t resend_ticks = 20;          // before a message is repeated; doubles up to ...
  std::uint64_t resend_ticks_max = 100;
  std::uint64_t abort_sends_max = 5;            // a Finish(abort) is not repeated for ever: who is in doubt will ask
  std::uint64_t service_abort_sends_max = 120;  // the same to a service, which may have nobody to ask with
  std::size_t trouble_bytes_max = 300;          // of a service's last words
  // A service that failed so often in a row to do what was decided is failing: an operator is shown, and it is called
  // rarely from then on.
  std::uint64_t service_failures_max = 60;
  std::uint64_t failing_ticks = 1'000;
  std::uint64_t step_ticks = 1'000;  // of one call to a retriable service
  std::uint64_t end_ticks = 100;     // an ended transaction waits so long for others to share an entry with
  std::size_t end_batch = 256;
  std::uint64_t note_ticks = 10;           // an outcome waits so long for others to be noted with
  std::uint64_t ballot_ticks = 300;        // in no ballot for so long, undecided and run by nobody here: it is ended
  std::uint64_t resolve_ticks = 200;       // who waits for a resolution hears after so long that it is not known yet
  std::uint64_t tidy_ticks = 1'000;        // without any entry for so long, one is proposed for its stamp
  std::size_t attempts_max = 10'000;       // beyond: busy
  std::size_t open_max = 100'000;          // committed and not yet finished everywhere; beyond: busy
  std::size_t waiters_max = 64;            // clients waiting for one transaction; beyond: busy
  std::size_t recent_aborts_max = 10'000;  // remembered for those who ask again
  std::size_t sends_per_tick_max = 2'000;  // transactions served by one tick, so that a new leader does not flood
  bool bills = true;  // what each transaction cost is counted; where every state matters (the explorer) it is not
};

class Conductor {
 public:
  using Command = CoordinatorCommand;

  // decisions must outlive this.
  Conductor(const Decisions& decisions, ConductorOptions options);
  // A copy that reads another machine, which must be equal to the other's.
  Conductor(const Conductor& other, const Decisions& decisions);

  void lead(Epoch epoch);
  void resign();
  void receive(const Envelope& envelope);
  void request(const ClientRequest& request);
  void applied(const EntryContext& context, const Command& command, const Decisions::Applied& applied,
               const RoundCost& round = {});
  void refused(const Command& command, const Error& error);
  // All shards that there are now: those that the log does not know yet are admitted by it. Kept through resign().
  void know_shards(std::vector<GroupId> shards);
  void read_ready(ReadId) {}  // it asks for no reads
  void read_lost(ReadId) {}
  void tick();
  // With records, until the next entry for its stamp: they go by age.
  [[nodiscard]] std::uint64_t rest_ticks() const;
  void rested(std::uint64_t ticks) { now_ += ticks; }
  [[nodiscard]] DriverOutput<Command> take_output();
  [[nodiscard]] bool has_output() const { return !output_.empty(); }

  // Attempts and seals that run now, commits and aborts still being carried out, and ballots of what is not decided.
  [[nodiscard]] std::size_t active() const { return undecided() + finishing_.size(); }
  // Of these, all but what is only carried out.
  [[nodiscard]] std::size_t undecided() const { return running_.size() + decisions_->ballots().size(); }

  // One transaction that runs or is being finished here, or all of them.
  [[nodiscard]] std::vector<Sight> sights(const SightQuestion& question) const;

  // Over everything that may still matter: two conductors with equal options, machines and digests act alike from now
  // on. Times count from now. The output must have been taken.
  [[nodiscard]] std::uint64_t digest() const;

 private:
  enum class Phase : std::uint8_t { beginning, collecting, proposed, sealing, resolving, accepting };
  // An Execute, and what it wants executed: not always what runs under its id.
  struct Waiting {
    RequestId id;
    std::uint64_t fingerprint = 0;
  };
  struct Called {
    std::uint64_t since = 0;  // tick of the first call
    std::uint64_t calls = 0;
  };
  struct Running {
    Phase phase = Phase::collecting;
    Attempt attempt;                // none when nothing but a seal runs, unless it is recorded
    std::uint64_t fingerprint = 0;  // 0: of an earlier leader or of nobody, and its content is not known yet
    Protocol protocol = Protocol::two_phase;
    Mode mode = Mode::atomic;
    TxnId age;
    std::vector<Branch> branches;
    Bytes trace;
    std::map<GroupId, WorkResult> yes;
    std::map<GroupId, std::string> trouble;  // of services, since their last answer
    std::map<GroupId, Called> called;        // of services with a Patience
    std::uint64_t deadline = 0;
    Backoff backoff;
    bool in_log = false;  // what phase wants proposed is on its way
    Refusal refusal;      // with sealing; with resolving, what is told if nothing but the seal speaks against T
    std::vector<Waiting> executes;
    // With resolving. Until somebody names the participants every shard is asked.
    bool look = false;                     // asks without sealing
    std::optional<Resolution> resolution;  // where the votes decide
    std::optional<Termination> way;        // where ballots decide; with accepting, too
    std::map<GroupId, Standing> survey;
    Cost votes;  // of the votes, of the seals or ballots after them, and of this group's own entries and messages
    Cost seals;
    Cost own;

    [[nodiscard]] bool knows_participants() const { return resolution || way; }
    [[nodiscard]] Resolution::Verdict verdict() const { return way ? way->verdict() : resolution->verdict(); }
    [[nodiscard]] const Refusal& found_refusal() const { return way ? way->refusal() : resolution->refusal(); }
  };
  struct Failures {
    std::uint64_t count = 0;
    std::uint64_t next = 0;  // when it is called again, once it is failing
  };
  struct Finishing {
    Attempt attempt;
    bool commit = false;
    Protocol protocol = Protocol::two_phase;
    Mode mode = Mode::atomic;
    std::uint64_t fingerprint = 0;
    std::set<GroupId> left;  // not known to have finished
    std::vector<ServiceAddress> services;
    Bytes trace;
    std::map<GroupId, Bytes> steps;  // of a committed saga's retriable services that are not known to have done theirs
    std::map<GroupId, std::string> trouble;
    std::map<GroupId, Failures> failures;  // of services, since they last did what was asked
    Backoff backoff;
    std::uint64_t sends = 0;
    Cost finishes;  // and messages
    std::uint64_t locked_millis = 0;
  };
  struct Asker {
    RequestId id;
    TxnId txn;
    bool seal = false;
  };
  struct RecentAbort {
    std::uint64_t fingerprint = 0;
    Refusal refusal;
  };

  // requests
  void execute(const ClientRequest& request, const Execute& execute);
  void begin(RequestId id, const Execute& execute, std::uint64_t print);
  bool answer_known(RequestId id, const Execute& execute, std::uint64_t print);
  void join(RequestId id, std::uint64_t print, Running& running);
  void refuse_other_content(RequestId id);
  void retry(RequestId id, const TxnId& txn);
  void override_service(RequestId id, const OverrideService& ask);
  void get_outcome(const ClientRequest& request, const GetOutcome& ask);
  [[nodiscard]] TxnAnswer outcome_of(const TxnId& txn) const;
  void hold(const ClientRequest& request);
  void judge_held();

  // messages
  void on(const Envelope& envelope, const Vote& vote);
  void on(const Envelope& envelope, const Finished& finished);
  void on(const Envelope& envelope, const Inquire& inquire);
  void on(const Envelope& envelope, const Report& report);
  void on(const Envelope& envelope, const Confirm& confirm);
  void on(const Envelope& envelope, const BallotRequest& request);
  void on(const Envelope& envelope, const BallotReply& reply);
  void on(const Envelope& envelope, const Trouble& trouble);
  void answer_doubt(GroupId from, const TxnId& txn, const Attempt& attempt);
  // What the vote or the question of a shard in doubt says of it.
  struct Asked {
    TxnId txn;
    Attempt attempt;
    Protocol protocol = Protocol::paxos_commit;
    std::uint64_t fingerprint = 0;
  };
  void answer_doubt_by_votes(GroupId from, const Asked& asked);
  [[nodiscard]] bool attends_to(const Asked& asked) const;
  void count(const TxnId& txn, Running& running, GroupId from, const Vote& vote);
  void count_by_votes(const TxnId& txn, Running& running, GroupId from, const Vote& vote);

  // transitions
  void decide(const TxnId& txn, Running& running);
  void drop(const TxnId& txn, Running& running);
  void withdraw(const TxnId& txn, Running& running, Refusal refusal);
  void seal(const TxnId& txn, Running& running, Refusal refusal);
  void abort(const TxnId& txn, Refusal refusal);
  void settle(const TxnId& txn, const Decisions::Applied& applied);
  void finish(const TxnId& txn, Finishing finishing, const std::vector<GroupId>& participants);
  [[nodiscard]] static Finishing finishing_of(const Running& running, bool commit);

  // resolving
  void resolve(const TxnId& txn, Running& running, Refusal refusal);
  void hear_late(const TxnId& txn, Running& running, GroupId from, const Vote& vote);
  void hear_report(const TxnId& txn, Running& running, GroupId from, const Report& report);
  void survey(const TxnId& txn, bool look);
  void ask_registers(const TxnId& txn, Running& running);
  void hear_survey(const TxnId& txn, Running& running, GroupId from, const Report& report);
  void adopt(const TxnId& txn, Running& running, GroupId from, const Report& report);
  void conclude_survey(const TxnId& txn, Running& running);
  void conclude(const TxnId& txn, Running& running);
  [[nodiscard]] static std::vector<GroupId> participants_of_running(const Running& running);
  void commit_by_votes(const TxnId& txn);
  void presume(const TxnId& txn, Running& running, AbortReason reason = AbortReason::presumed);
  void give_up(const TxnId& txn, Running& running);
  void end_running(const TxnId& txn, TxnAnswer answer);
  void learn_commit(const Finished& finished);
  void note(const OutcomeNote& note);
  void noted(const NoteOutcomes& command);

  // bills (conductor_bills.cc)
  void count_message(const TxnId& txn, bool of_finish);
  void charge(Cost& part, const Cost& cost) const;
  void charge_own(const TxnId& txn, const RoundCost& round);
  [[nodiscard]] Bill& bill_answered(const TxnId& txn, const Running& running);
  void bill_freed(const TxnId& txn, const Finishing& finishing);

  // sights (conductor_sights.cc)
  [[nodiscard]] Sight sight_of(const TxnId& txn, const Running& running, ClusterMillis now) const;
  [[nodiscard]] Sight sight_of(const TxnId& txn, const Finishing& finishing, ClusterMillis now) const;
  // recorded transactions (conductor_recorded.cc)
  void lead_begun();
  void began(const BeginTxn& begin, const Decisions::Applied& applied);
  void tick_beginning(const TxnId& txn, Running& running);
  [[nodiscard]] bool hears_in_turn(const TxnId& txn, const Attempt& attempt) const;
  [[nodiscard]] static Finishing finishing_of(const OpenOutcome& open);
  [[nodiscard]] static bool is_next(const Running& running, const Branch& branch);
  [[nodiscard]] static std::vector<GroupId> next_of(const Finishing& finishing);
  [[nodiscard]] static bool has_every_vote(const Running& running);
  [[nodiscard]] bool count_step(GroupId from, const Vote& vote);
  void call_step(const TxnId& txn, const Finishing& finishing, GroupId to);
  // services (conductor_services.cc)
  [[nodiscard]] const ServiceAddress* address_of(const TxnId& txn, GroupId number) const;
  void call(GroupId number, const ServiceAddress& at, TxnMessage message);
  void call_prepare(Running& running, const Branch& branch, Prepare prepare);
  static void add_trouble(const Running& running, Refusal& refusal);
  [[nodiscard]] static std::uint64_t patience_ends(const Running& running);
  [[nodiscard]] std::optional<Refusal> out_of_patience(const Running& running) const;
  void send_finish(const Finishing& finishing, GroupId to, const Finish& finish);
  [[nodiscard]] bool gives_up_abort(Finishing& finishing) const;
  void count_failure(Finishing& finishing, GroupId from, std::string words);
  [[nodiscard]] bool failing(const Finishing& finishing, GroupId service) const;
  [[nodiscard]] bool rests(Finishing& finishing, GroupId to) const;
  void ended_by_hand(const EndBranch& command);

  // ballots
  void begin_way(const TxnId& txn, Running& running, std::vector<GroupId> participants);
  void open_ballot(Termination& way);
  void pre_commit(const TxnId& txn, Running& running);
  void pursue(const TxnId& txn, Running& running);
  void ask_acceptors(const TxnId& txn, Running& running);
  void hear_acceptor(GroupId from, const BallotReply& reply);
  void serve_ballots(const TxnId& txn);
  [[nodiscard]] bool serve_ballot(GroupId from, const BallotRequest& request);
  void tick_accepting(const TxnId& txn, Running& running);
  void tick_ballots();

  // output
  void propose_phase(const TxnId& txn, Running& running);
  void send(GroupId to, TxnMessage message);
  void send_prepares(const TxnId& txn, Running& running);
  void send_finishes(const TxnId& txn, Finishing& finishing);  // which may be over then
  void end_finishing(const TxnId& txn);
  void tell_executes(const TxnId& txn, const Running& ended, const TxnAnswer& answer);
  [[nodiscard]] std::uint64_t content_of(const TxnId& txn, const Running& running) const;
  void tell(RequestId client, const TxnAnswer& answer);
  void fail_client(RequestId client, ErrorCode code, std::string message);
  void answer_askers(const TxnId& txn, const TxnAnswer& answer);
  void remember_abort(const TxnId& txn, std::uint64_t fingerprint, const Refusal& refusal);
  void propose_tidy();
  void admit_shards();
  [[nodiscard]] bool admits(GroupId shard) const;
  [[nodiscard]] bool admits(const std::vector<Branch>& branches) const;
  [[nodiscard]] std::vector<GroupId> shards() const;  // that may hold something of a transaction
  void propose_end(bool by_time);
  void propose_notes(bool by_time);
  void log_notes();

  void tick_running();
  void tick_collecting(const TxnId& txn, Running& running);
  void tick_resolving(const TxnId& txn, Running& running);
  void tick_finishing();
  void tick_askers();
  void schedule(const TxnId& txn, Running& running);
  [[nodiscard]] static GroupId missing(const Running& running);  // who has not voted

  // A member that is added here is added to conductor_digest.cc.
  const Decisions* decisions_;
  ConductorOptions options_;
  bool leading_ = false;
  Epoch epoch_;
  std::uint64_t attempts_ = 0;  // never goes back while this object lives
  std::uint64_t now_ = 0;       // ticks

  std::map<TxnId, Running> running_;
  DueQueue<TxnId> running_due_;
  std::map<TxnId, Finishing> finishing_;
  DueQueue<TxnId> finishing_due_;
  std::map<TxnId, RequestId> enders_;  // operators whose EndBranch is on its way into the log
  std::map<RequestId, Asker> askers_;
  std::map<TxnId, std::set<RequestId>> askers_of_;
  DueQueue<RequestId> askers_due_;
  std::map<TxnId, RecentAbort> recent_aborts_;
  std::deque<TxnId> recent_abort_order_;
  std::vector<ClientRequest> held_;  // ahead of the log's last stamp: judged again by a fresh one
  bool tidy_in_log_ = false;
  std::vector<GroupId> known_shards_;
  bool admit_in_log_ = false;
  std::uint64_t last_entry_tick_ = 0;
  std::vector<TxnId> ended_;  // finished everywhere, waiting for an EndTxns
  std::uint64_t ended_since_ = 0;
  std::map<TxnId, OutcomeNote> notes_;  // told or found out, and not yet in the log's record
  std::vector<TxnId> notes_waiting_;    // of these, not proposed yet
  std::uint64_t notes_since_ = 0;
  RecentBills bills_;
  BallotQueue ballots_;              // who asked this group's acceptors
  DueQueue<TxnId> ballots_due_;      // those of Decisions::ballots(), to be ended if nobody else does
  std::uint64_t rounds_opened_ = 0;  // the highest, of any transaction: no ballot is opened twice

  DriverOutput<Command> output_;
};

}  // namespace assent
