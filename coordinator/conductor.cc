// Attempts: how they begin, how votes are counted, how they end. The clients' side is conductor_clients.cc.
#include "coordinator/conductor.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/planted.h"
#include "coordinator/conductor_detail.h"

namespace assent {

Conductor::Conductor(const Decisions& decisions, ConductorOptions options)
    : decisions_(&decisions), options_(std::move(options)) {
  ASSENT_CHECK(!options_.self.none(), "a conductor belongs to a group");
}

Conductor::Conductor(const Conductor& other, const Decisions& decisions) : Conductor(other) { decisions_ = &decisions; }

// Every outcome that is still open is carried out again: what an earlier leader sent of it may be lost. They fall due
// at the first tick, as many a tick as the budget allows.
void Conductor::lead(Epoch epoch) {
  leading_ = true;
  epoch_ = epoch;
  last_entry_tick_ = now_;
  for (const auto& [txn, open] : decisions_->open()) {
    finishing_.emplace(txn, finishing_of(open));
    finishing_due_.set(txn, now_ + 1);
  }
  lead_begun();
  admit_shards();
  for (const auto& [txn, record] : decisions_->ballots()) ballots_due_.set(txn, now_ + options_.ballot_ticks);
  propose_tidy();
}

void Conductor::resign() {
  for (const auto& [txn, running] : running_) {
    const bool prepares_left = running.attempt != Attempt{};
    for (const auto& [client, fingerprint] : running.executes) {
      if (prepares_left) {
        fail_client(client, ErrorCode::unknown_outcome,
                    "the coordinator lost its leadership while the transaction ran; ask for its outcome");
      } else {
        fail_client(client, ErrorCode::not_leader, "the coordinator lost its leadership; nothing was started");
      }
    }
  }
  for (const ClientRequest& request : held_) {
    fail_client(request.id, ErrorCode::not_leader, "the coordinator lost its leadership; nothing was started");
  }
  for (const auto& [txn, id] : enders_) {
    fail_client(id, ErrorCode::not_leader, "the coordinator lost its leadership; ask again");
  }
  for (const auto& [id, asker] : askers_) {
    fail_client(id, ErrorCode::not_leader, "the coordinator lost its leadership; ask again");
  }
  Conductor fresh(*decisions_, options_);
  fresh.attempts_ = attempts_;
  fresh.known_shards_ = std::move(known_shards_);
  fresh.now_ = now_;
  fresh.output_.reply = std::move(output_.reply);
  *this = std::move(fresh);
}

DriverOutput<CoordinatorCommand> Conductor::take_output() { return std::exchange(output_, {}); }

void Conductor::receive(const Envelope& envelope) {
  if (!leading_) return;
  if (const auto* vote = std::get_if<Vote>(&envelope.message)) return on(envelope, *vote);
  if (const auto* finished = std::get_if<Finished>(&envelope.message)) return on(envelope, *finished);
  if (const auto* inquire = std::get_if<Inquire>(&envelope.message)) return on(envelope, *inquire);
  if (const auto* report = std::get_if<Report>(&envelope.message)) return on(envelope, *report);
  if (const auto* confirm = std::get_if<Confirm>(&envelope.message)) return on(envelope, *confirm);
  if (const auto* request = std::get_if<BallotRequest>(&envelope.message)) return on(envelope, *request);
  if (const auto* reply = std::get_if<BallotReply>(&envelope.message)) return on(envelope, *reply);
  if (const auto* trouble = std::get_if<Trouble>(&envelope.message)) return on(envelope, *trouble);
}

// ---- messages
// --------------------------------------------------------------------------------------------------------

void Conductor::on(const Envelope& envelope, const Vote& vote) {
  const auto found = running_.find(vote.txn);
  count_message(vote.txn, false);
  if (found != running_.end() && found->second.phase == Phase::resolving) {
    return hear_late(vote.txn, found->second, envelope.from, vote);
  }
  if (count_step(envelope.from, vote)) return;
  const bool asked = found != running_.end() && found->second.phase == Phase::collecting &&
                     names(found->second.branches, envelope.from);
  if (asked && by_content(found->second.protocol)) {
    return count_by_votes(vote.txn, found->second, envelope.from, vote);
  }
  if (asked) return count(vote.txn, found->second, envelope.from, vote);
  // Nobody counts it here. A yes says that its shard is in doubt: that is a question too.
  if (!vote.yes) return;
  if (by_content(vote.protocol)) {
    return answer_doubt_by_votes(envelope.from, {vote.txn, vote.attempt, vote.protocol, vote.fingerprint});
  }
  answer_doubt(envelope.from, vote.txn, vote.attempt);
}

void Conductor::count(const TxnId& txn, Running& running, GroupId from, const Vote& vote) {
  if (!vote.yes) {
    // The no stands in its shard's log, whatever attempt it is of: no attempt of this transaction can collect every
    // vote.
    Refusal refusal = vote.refusal;
    if (refusal.participant.none()) refusal.participant = from;
    charge(running.votes, vote.cost);
    if (is_recorded(running.mode)) return seal(txn, running, std::move(refusal));
    return abort(txn, std::move(refusal));
  }
  running.trouble.erase(from);
  if (vote.attempt == running.attempt || planted(Bug::no_attempt_number)) {
    const bool first = running.yes.emplace(from, vote.result).second;
    if (first) charge(running.votes, vote.cost);
    if (has_every_vote(running)) return decide(txn, running);
    if (first && is_ordered(running.mode)) send_prepares(txn, running);
    return;
  }
  if (vote.attempt.epoch > epoch_) return;  // there is a later leader: it decides, this one is about to learn of it
  // The register holds an earlier attempt's yes for ever: this attempt can never have every vote. That earlier attempt
  // can no longer be decided either: of an earlier epoch it would have been applied before this leader was ready, of
  // this epoch it was dropped. Sealed all the same, so that the client's "aborted" rests on this log.
  const Attempt earlier = vote.attempt;
  withdraw(txn, running,
           refusal_of(AbortReason::superseded, from, "an earlier attempt had already been voted on there"));
  answer_doubt(from, txn, earlier);
}

void Conductor::on(const Envelope& envelope, const Finished& finished) {
  const bool content = by_content(finished.protocol);
  count_message(finished.txn, true);
  if (content && finished.commit) learn_commit(finished);
  const auto found = finishing_.find(finished.txn);
  if (found == finishing_.end()) return;
  Finishing& finishing = found->second;
  if (finishing.protocol != finished.protocol || finishing.commit != finished.commit) return;
  const bool of_this = content ? finishing.fingerprint == finished.fingerprint : finishing.attempt == finished.attempt;
  if (!of_this) return;
  if (finishing.left.erase(envelope.from) > 0) {
    charge(finishing.finishes, finished.cost);
    finishing.locked_millis = std::max(finishing.locked_millis, finished.locked_millis);
  }
  if (planted(Bug::one_finished_for_all)) finishing.left.clear();
  if (!finishing.left.empty()) {
    if (is_ordered(finishing.mode) && !finishing.commit) send_finishes(finished.txn, finishing);
    return;
  }
  end_finishing(finished.txn);
}

// Everybody has ended as it did.
void Conductor::end_finishing(const TxnId& txn) {
  const auto found = finishing_.find(txn);
  bill_freed(txn, found->second);
  if (decisions_->open().contains(txn) && !by_content(found->second.protocol)) {
    if (ended_.empty()) ended_since_ = now_;
    ended_.push_back(txn);
  }
  finishing_due_.erase(txn);
  finishing_.erase(found);
  propose_end(false);
}

void Conductor::on(const Envelope& envelope, const Inquire& inquire) {
  count_message(inquire.txn, false);
  if (by_content(inquire.protocol)) {
    return answer_doubt_by_votes(envelope.from, {inquire.txn, inquire.attempt, inquire.protocol, inquire.fingerprint});
  }
  answer_doubt(envelope.from, inquire.txn, inquire.attempt);
}

// The rule that blocks nobody for longer than a leader is missing (PROTOCOL.md section 2; Inquire in TwoPhase.tla):
//   committed in that very attempt: commit;
//   the attempt is of an earlier epoch: this leader was ready only after it had applied every entry of that epoch that
//     there will ever be, and the fence lets no later entry decide it. Without a record: abort, for ever;
//   the attempt is of this epoch and does not run: only this leader could propose its decision, and never will. Abort;
//   the attempt runs, or is of a later epoch: nothing is known yet, or nothing is known here. No answer.
void Conductor::answer_doubt(GroupId from, const TxnId& txn, const Attempt& attempt) {
  if (attempt.epoch > epoch_ || hears_in_turn(txn, attempt)) return;
  const bool commit = decisions_->committed(txn, attempt);
  if (!commit && attempt.epoch == epoch_) {
    const auto found = running_.find(txn);
    const bool runs =
        found != running_.end() && found->second.attempt == attempt && found->second.phase != Phase::sealing;
    if (runs) return;
  }
  Finish finish;
  finish.txn = txn;
  finish.attempt = attempt;
  finish.commit = commit;
  if (!is_service(from)) return send(from, finish);
  // A service whose address is not known here asks by itself (GetOutcome).
  if (const ServiceAddress* at = address_of(txn, from)) call(from, *at, finish);
}

// ---- transitions
// -----------------------------------------------------------------------------------------------------

void Conductor::begin(RequestId id, const Execute& execute, std::uint64_t print) {
  const std::size_t open = std::max(decisions_->open().size(), finishing_.size()) + decisions_->begun().size();
  if (running_.size() >= options_.attempts_max || open >= options_.open_max) {
    return fail_client(id, ErrorCode::busy, "the coordinator has as many transactions as it may; try again");
  }
  if (!admits(execute.branches)) {
    return fail_client(id, ErrorCode::busy,
                       "a shard is new, and the coordinator's log does not know it yet; try again");
  }
  std::uint64_t ticks = execute.timeout_ticks == 0 ? options_.timeout_ticks : execute.timeout_ticks;
  ticks = std::min(ticks, options_.timeout_ticks_max);
  Running& running = running_[execute.txn];
  running.attempt = Attempt{.epoch = epoch_, .number = ++attempts_};
  running.fingerprint = print;
  running.protocol = effective_protocol(execute);
  running.mode = execute.mode;
  running.age = execute.age.none() ? execute.txn : execute.age;
  running.branches = execute.branches;
  running.trace = execute.trace;
  running.deadline = now_ + ticks;
  running.executes.push_back({id, print});
  if (is_recorded(running.mode)) {
    running.phase = Phase::beginning;
    propose_phase(execute.txn, running);
  } else {
    send_prepares(execute.txn, running);
  }
  schedule(execute.txn, running);
}

Conductor::Finishing Conductor::finishing_of(const Running& running, bool commit) {
  Finishing finishing;
  finishing.attempt = running.attempt;
  finishing.commit = commit;
  finishing.protocol = running.protocol;
  finishing.mode = running.mode;
  finishing.fingerprint = running.fingerprint;
  finishing.services = services_of(running.branches);
  finishing.trace = running.trace;
  return finishing;
}

void Conductor::decide(const TxnId& txn, Running& running) {
  running.phase = Phase::proposed;
  if (planted(Bug::answer_before_commit)) tell_executes(txn, running, committed_answer(txn));
  propose_phase(txn, running);
  schedule(txn, running);
}

// From here on this attempt is never decided: only this leader could, and it counts no more votes of it.
void Conductor::drop(const TxnId& txn, Running& running) {
  ASSENT_CHECK(by_content(running.protocol) || running.phase == Phase::collecting || running.phase == Phase::resolving,
               "an attempt that may be decided is never dropped");
  finish(txn, finishing_of(running, false), participants_of(running.branches));
}

// Who takes part in a recorded transaction hears of its abort when the log holds it.
void Conductor::withdraw(const TxnId& txn, Running& running, Refusal refusal) {
  if (!is_recorded(running.mode)) drop(txn, running);
  seal(txn, running, std::move(refusal));
}

void Conductor::seal(const TxnId& txn, Running& running, Refusal refusal) {
  running.phase = Phase::sealing;
  running.refusal = std::move(refusal);
  running.yes.clear();
  if (planted(Bug::abort_before_no)) tell_executes(txn, running, aborted_answer(txn, running.refusal, {}));
  propose_phase(txn, running);
  schedule(txn, running);
}

// A participant's log holds the no: told at once, no record is needed.
void Conductor::abort(const TxnId& txn, Refusal refusal) {
  const Running& running = running_.at(txn);
  drop(txn, running_.at(txn));
  remember_abort(txn, running.fingerprint, refusal);
  if (by_content(running.protocol) && refusal.reason != AbortReason::reused_id) {
    note({txn, running.fingerprint, false, running.protocol, refusal.reason});
  }
  TxnAnswer answer = aborted_answer(txn, std::move(refusal), participants_of(running.branches));
  answer.protocol = running.protocol;
  answer.services = services_of(running.branches);
  end_running(txn, answer);
}

// Everybody who waits for it hears this.
void Conductor::end_running(const TxnId& txn, TxnAnswer answer) {
  const auto found = running_.find(txn);
  if (options_.bills) answer.bill = bill_answered(txn, found->second);
  const Running ended = std::move(found->second);
  running_.erase(found);
  running_due_.erase(txn);
  tell_executes(txn, ended, answer);
  if (answer.refusal.reason != AbortReason::reused_id) return answer_askers(txn, answer);
  // That is about other content than the first. Who asked what came of the id must hear of the first.
  const auto asked = askers_of_.find(txn);
  if (asked == askers_of_.end()) return;
  survey(txn, std::none_of(asked->second.begin(), asked->second.end(),
                           [this](const RequestId& id) { return askers_.at(id).seal; }));
}

// An entry about this transaction was applied: its record, if it has one now, is its outcome.
void Conductor::settle(const TxnId& txn, const Decisions::Applied& applied) {
  if (const auto open = decisions_->open().find(txn); open != decisions_->open().end() && !finishing_.contains(txn)) {
    finish(txn, finishing_of(open->second), {});
  }
  const auto found = running_.find(txn);
  if (found == running_.end()) return;
  if (applied.outcome == Outcome::none) {  // fenced: of no epoch but its own, so it will never count
    found->second.phase = Phase::collecting;
    return withdraw(txn, found->second, refusal_of(AbortReason::superseded, {}, "another leader took over"));
  }
  const Running ended = std::move(found->second);
  running_.erase(found);
  running_due_.erase(txn);
  if (options_.bills) static_cast<void>(bill_answered(txn, ended));
  TxnAnswer answer = outcome_of(txn);
  if (answer.state == TxnState::aborted && ended.refusal.reason == applied.reason) answer.refusal = ended.refusal;
  if (answer.participants.empty()) answer.participants = participants_of(ended.branches);
  if (answer.services.empty()) answer.services = services_of(ended.branches);
  answer_askers(txn, answer);
  if (answer.state == TxnState::committed && ended.attempt == applied.attempt) {
    for (const auto& [shard, result] : ended.yes) answer.results.push_back(BranchResult{shard, result});
  }
  tell_executes(txn, ended, answer);
}

void Conductor::finish(const TxnId& txn, Finishing finishing, const std::vector<GroupId>& participants) {
  finishing.left.insert(participants.begin(), participants.end());
  Finishing& stored = finishing_[txn] = std::move(finishing);
  send_finishes(txn, stored);
}

void Conductor::applied(const EntryContext&, const Command& command, const Decisions::Applied& applied,
                        const RoundCost& round) {
  if (!leading_) return;
  last_entry_tick_ = now_;
  if (const auto* begin = std::get_if<BeginTxn>(&command)) {
    charge_own(begin->txn, round);
    return began(*begin, applied);
  }
  if (const auto* decided = std::get_if<Decide>(&command)) {
    charge_own(decided->txn, round);
    return settle(decided->txn, applied);
  }
  if (const auto* sealed = std::get_if<SealOutcome>(&command)) {
    charge_own(sealed->txn, round);
    return settle(sealed->txn, applied);
  }
  if (const auto* notes = std::get_if<NoteOutcomes>(&command)) return noted(*notes);
  if (const auto* end = std::get_if<EndBranch>(&command)) return ended_by_hand(*end);
  if (const auto* ballot = std::get_if<BallotWork>(&command)) {
    ballots_.applied(*ballot);
    if (const auto found = running_.find(ballot->txn); found != running_.end()) {
      charge(found->second.seals, Cost::of(round));
    }
    if (decisions_->ballots().contains(ballot->txn)) ballots_due_.set(ballot->txn, now_ + options_.ballot_ticks);
    return serve_ballots(ballot->txn);
  }
  if (std::holds_alternative<AdmitShards>(command)) admit_in_log_ = false;
  if (std::holds_alternative<Tidy>(command)) {
    tidy_in_log_ = false;
    judge_held();
  }
}

// What the log refused is not in it and never will be: it may be proposed again, or given up.
void Conductor::refused(const Command& command, const Error& error) {
  if (!leading_) return;
  if (const auto* decide = std::get_if<Decide>(&command)) {
    const auto found = running_.find(decide->txn);
    if (found == running_.end() || found->second.attempt != decide->attempt) return;
    found->second.in_log = false;
    found->second.phase = Phase::collecting;  // with every vote: the next tick proposes again, or time is up
  } else if (const auto* begin = std::get_if<BeginTxn>(&command)) {
    const auto found = running_.find(begin->txn);
    if (found != running_.end() && found->second.phase == Phase::beginning) found->second.in_log = false;
  } else if (const auto* sealed = std::get_if<SealOutcome>(&command)) {
    const auto found = running_.find(sealed->txn);
    if (found != running_.end() && found->second.phase == Phase::sealing) found->second.in_log = false;
  } else if (const auto* end = std::get_if<EndTxns>(&command)) {
    ended_.insert(ended_.end(), end->txns.begin(), end->txns.end());
    ended_since_ = now_;
  } else if (const auto* notes = std::get_if<NoteOutcomes>(&command)) {
    for (const OutcomeNote& note : notes->notes) notes_waiting_.push_back(note.txn);
    notes_since_ = now_;
  } else if (std::holds_alternative<AdmitShards>(command)) {
    admit_in_log_ = false;  // the next tick tries again
  } else if (const auto* ballot = std::get_if<BallotWork>(&command)) {
    ballots_.refused(*ballot);  // whoever asked asks again
  } else if (const auto* by_hand = std::get_if<EndBranch>(&command)) {
    const auto asked = enders_.find(by_hand->txn);
    if (asked == enders_.end()) return;
    fail_client(asked->second, error.code, error.message);
    enders_.erase(asked);
  } else {
    tidy_in_log_ = false;
    for (const ClientRequest& request : std::exchange(held_, {})) fail_client(request.id, error.code, error.message);
  }
}

// ---- ticks
// -----------------------------------------------------------------------------------------------------------

void Conductor::tick() {
  ++now_;
  if (!leading_) return;
  tick_running();
  tick_finishing();
  tick_askers();
  tick_ballots();
  propose_end(true);
  propose_notes(true);
  if (now_ - last_entry_tick_ >= options_.tidy_ticks) propose_tidy();
  admit_shards();
}

std::uint64_t Conductor::rest_ticks() const {
  const bool work =
      undecided() > 0 || !finishing_.empty() || !decisions_->open().empty() || !decisions_->begun().empty();
  const bool waiting = !askers_.empty() || !enders_.empty() || !held_.empty() || !ballots_.empty();
  const bool unlogged =
      tidy_in_log_ || !ended_.empty() || !notes_.empty() || !output_.empty() ||
      !std::all_of(known_shards_.begin(), known_shards_.end(), [this](GroupId shard) { return admits(shard); });
  if (!leading_ || work || waiting || unlogged) return 0;
  if (decisions_->records() == 0) return rest_for_ever;
  return options_.tidy_ticks - std::min(options_.tidy_ticks, now_ - last_entry_tick_);
}

void Conductor::tick_running() {
  for (std::size_t served = 0; served < options_.sends_per_tick_max; ++served) {
    const auto due = running_due_.pop(now_);
    if (!due) return;
    Running& running = running_.at(*due);
    switch (running.phase) {
      case Phase::beginning: tick_beginning(*due, running); break;
      case Phase::collecting: tick_collecting(*due, running); break;
      case Phase::resolving: tick_resolving(*due, running); break;
      case Phase::accepting: tick_accepting(*due, running); break;
      case Phase::proposed:
      case Phase::sealing:
        propose_phase(*due, running);
        schedule(*due, running);
        break;
    }
  }
}

void Conductor::tick_collecting(const TxnId& txn, Running& running) {
  if (now_ >= running.deadline) {
    const GroupId silent = missing(running);
    Refusal refusal = refusal_of(AbortReason::timeout, silent, "not everybody had voted in time");
    add_trouble(running, refusal);
    if (planted(Bug::abort_before_seal)) return abort(txn, std::move(refusal));
    if (by_content(running.protocol)) return resolve(txn, running, std::move(refusal));
    return withdraw(txn, running, std::move(refusal));
  }
  if (has_every_vote(running)) return decide(txn, running);
  if (auto refusal = out_of_patience(running)) return withdraw(txn, running, std::move(*refusal));
  send_prepares(txn, running);
  schedule(txn, running);
}

GroupId Conductor::missing(const Running& running) {
  for (const Branch& branch : running.branches) {
    if (!is_retriable(branch) && !running.yes.contains(branch.shard)) return branch.shard;
  }
  return {};
}

void Conductor::schedule(const TxnId& txn, Running& running) {
  std::uint64_t due = now_ + running.backoff.next(options_.resend_ticks, options_.resend_ticks_max);
  if (running.phase == Phase::collecting) {
    due = std::max(now_ + 1, std::min({due, running.deadline, patience_ends(running)}));
  }
  running_due_.set(txn, due);
}

void Conductor::tick_finishing() {
  for (std::size_t served = 0; served < options_.sends_per_tick_max; ++served) {
    const auto due = finishing_due_.pop(now_);
    if (!due) return;
    const auto found = finishing_.find(*due);
    if (gives_up_abort(found->second)) {
      finishing_.erase(found);
    } else {
      send_finishes(*due, found->second);
    }
  }
}

// ---- output
// ----------------------------------------------------------------------------------------------------------

void Conductor::propose_phase(const TxnId& txn, Running& running) {
  if (running.in_log) return;
  running.in_log = true;
  if (running.phase == Phase::beginning) {
    output_.propose.emplace_back(BeginTxn{.txn = txn,
                                          .attempt = running.attempt,
                                          .mode = running.mode,
                                          .participants = participants_of(running.branches),
                                          .fingerprint = running.fingerprint,
                                          .services = services_of(running.branches),
                                          .trace = running.trace,
                                          .steps = retriable_steps_of(running.branches)});
  } else if (running.phase == Phase::proposed) {
    std::vector<GroupId> participants = participants_of(running.branches);
    if (planted(Bug::decision_not_logged)) return finish(txn, finishing_of(running, true), participants);
    if (planted(Bug::participant_missing)) participants.pop_back();
    output_.propose.emplace_back(Decide{.txn = txn,
                                        .attempt = running.attempt,
                                        .protocol = running.protocol,
                                        .participants = std::move(participants),
                                        .fingerprint = running.fingerprint,
                                        .services = services_of(running.branches),
                                        .trace = running.trace});
  } else {
    output_.propose.emplace_back(
        SealOutcome{.txn = txn, .refusal = running.refusal, .fingerprint = running.fingerprint});
  }
}

void Conductor::send(GroupId to, TxnMessage message) {
  std::visit(
      [this](const auto& one) {
        using Message = std::decay_t<decltype(one)>;
        if constexpr (requires { one.txn; }) count_message(one.txn, std::is_same_v<Message, Finish>);
      },
      message);
  output_.send.push_back(Envelope{.from = options_.self, .to = to, .message = std::move(message)});
}

void Conductor::send_prepares(const TxnId& txn, Running& running) {
  const std::vector<GroupId> participants = participants_of(running.branches);
  for (const Branch& branch : running.branches) {
    if (running.yes.contains(branch.shard) || !is_next(running, branch)) continue;
    if (is_retriable(branch) && !planted(Bug::retriable_called_early)) continue;
    Prepare prepare{.txn = txn,
                    .attempt = running.attempt,
                    .coordinator = options_.self,
                    .participants = participants,
                    .fingerprint = running.fingerprint,
                    .age = running.age,
                    .work = branch.work,
                    .protocol = running.protocol,
                    .trace = running.trace};
    if (branch.service) {
      call_prepare(running, branch, std::move(prepare));
    } else {
      send(branch.shard, std::move(prepare));
    }
  }
}

void Conductor::send_finishes(const TxnId& txn, Finishing& finishing) {
  if (finishing.left.empty()) return end_finishing(txn);
  for (const GroupId to : next_of(finishing)) {
    if (rests(finishing, to)) continue;
    if (finishing.steps.contains(to)) {
      call_step(txn, finishing, to);
      continue;
    }
    send_finish(finishing, to,
                Finish{.txn = txn,
                       .attempt = finishing.attempt,
                       .commit = finishing.commit,
                       .protocol = finishing.protocol,
                       .fingerprint = finishing.fingerprint,
                       .trace = finishing.trace});
  }
  ++finishing.sends;
  finishing_due_.set(txn, now_ + finishing.backoff.next(options_.resend_ticks, options_.resend_ticks_max));
}

void Conductor::propose_tidy() {
  if (tidy_in_log_) return;
  tidy_in_log_ = true;
  last_entry_tick_ = now_;
  output_.propose.emplace_back(Tidy{});
}

// Lazily: nobody waits for it, and one entry ends many.
void Conductor::propose_end(bool by_time) {
  const bool full = ended_.size() >= options_.end_batch;
  const bool due = by_time && !ended_.empty() && now_ - ended_since_ >= options_.end_ticks;
  if (!full && !due) return;
  output_.propose.emplace_back(EndTxns{.txns = std::exchange(ended_, {})});
}

}  // namespace assent
