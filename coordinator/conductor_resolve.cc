// Where the votes decide: counting them, asking the registers what they say, and writing outcomes down for later.
#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "coordinator/conductor.h"
#include "coordinator/conductor_detail.h"

namespace assent {
namespace {

constexpr std::size_t notes_per_entry = 256;

Refusal sealed_refusal() {
  return refusal_of(AbortReason::sealed, {}, "somebody asked for the outcome with seal before it was decided");
}

}  // namespace

// ---- votes
// -----------------------------------------------------------------------------------------------------------

// The attempt does not matter here: a register that holds yes for this content holds it for ever, whoever asked for it.
void Conductor::count_by_votes(const TxnId& txn, Running& running, GroupId from, const Vote& vote) {
  if (!vote.yes) {
    if (vote.refusal.reason == AbortReason::too_old) {
      // Not a no: it may have committed there, been finished everywhere, and been forgotten. The others know.
      return resolve(txn, running, vote.refusal);
    }
    charge(running.votes, vote.cost);
    Refusal refusal = vote.refusal;
    if (refusal.participant.none()) refusal.participant = from;
    return abort(txn, std::move(refusal));
  }
  if (vote.protocol != running.protocol || vote.fingerprint != running.fingerprint) {
    return abort(txn, refusal_of(AbortReason::reused_id, from, "this id was already used with other content"));
  }
  if (!running.yes.emplace(from, vote.result).second) {
    return send(from, Attended{.txn = txn, .running = true});  // it waits, and wonders
  }
  charge(running.votes, vote.cost);
  const bool ballots = ballots_decide(running.protocol);
  const bool early = planted(ballots ? Bug::precommit_before_all_votes : Bug::answer_before_all_votes);
  if (running.yes.size() + (early ? 1 : 0) < running.branches.size()) return;
  if (ballots) return pre_commit(txn, running);
  commit_by_votes(txn);
}

// A shard in doubt. What is known here and final is told; else whether it may leave the matter to this leader.
void Conductor::answer_doubt_by_votes(GroupId from, const Asked& asked) {
  std::optional<bool> commit;
  if (const auto record = decisions_->find(asked.txn); record && record->fingerprint == asked.fingerprint) {
    commit = record->outcome == Outcome::committed;
  } else if (const auto told = notes_.find(asked.txn);
             told != notes_.end() && told->second.fingerprint == asked.fingerprint) {
    commit = told->second.commit;
  }
  if (commit) {
    Finish finish;
    finish.txn = asked.txn;
    finish.attempt = asked.attempt;
    finish.commit = *commit;
    finish.protocol = asked.protocol;
    finish.fingerprint = asked.fingerprint;
    return send(from, finish);
  }
  const bool running = attends_to(asked);
  if (running || asked.attempt.epoch <= epoch_) send(from, Attended{.txn = asked.txn, .running = running});
}

// Where ballots decide a leader that resolves it is attended to as well: several who open ballots only overtake each
// other.
bool Conductor::attends_to(const Asked& asked) const {
  const auto found = running_.find(asked.txn);
  if (found == running_.end() || found->second.fingerprint != asked.fingerprint) return false;
  const Running& running = found->second;
  return running.phase == Phase::collecting || (running.way && !running.look);
}

void Conductor::commit_by_votes(const TxnId& txn) {
  Running& running = running_.at(txn);
  const std::vector<GroupId> participants = participants_of_running(running);
  TxnAnswer answer;
  answer.txn = txn;
  answer.state = TxnState::committed;
  answer.protocol = running.protocol;
  answer.participants = participants;
  note({txn, running.fingerprint, true, running.protocol, AbortReason::none});
  finish(txn, finishing_of(running, true), participants);
  answer_askers(txn, answer);
  if (running.yes.size() == running.branches.size()) {
    for (const auto& [shard, result] : running.yes) answer.results.push_back(BranchResult{shard, result});
  }
  end_running(txn, answer);
}

std::vector<GroupId> Conductor::participants_of_running(const Running& running) {
  if (running.way) return running.way->participants();
  return running.resolution ? running.resolution->participants() : participants_of(running.branches);
}

// ---- resolving
// -------------------------------------------------------------------------------------------------------

// Time is up, or somebody cannot vote any more. The registers that are still empty are sealed; then all of them say
// what came of it. First sealed, then told.
void Conductor::resolve(const TxnId& txn, Running& running, Refusal refusal) {
  running.phase = Phase::resolving;
  running.refusal = std::move(refusal);
  running.deadline = now_ + options_.resolve_ticks;
  running.backoff = {};
  if (ballots_decide(running.protocol)) {
    begin_way(txn, running, participants_of(running.branches));
    return pursue(txn, running);
  }
  running.resolution = Resolution(participants_of(running.branches), running.protocol, running.fingerprint);
  for (const auto& [shard, result] : running.yes) running.resolution->voted_yes(shard);
  ask_registers(txn, running);
}

// A vote that comes when the registers are already being asked. Its shard is in doubt and need not wait for this
// leader.
void Conductor::hear_late(const TxnId& txn, Running& running, GroupId from, const Vote& vote) {
  if (!running.knows_participants()) return;
  if (!vote.yes && vote.refusal.reason != AbortReason::too_old) {
    Report no;
    no.standing = Standing::aborted;
    no.refusal = vote.refusal;
    return hear_report(txn, running, from, no);
  }
  const bool same = vote.yes && vote.protocol == running.protocol && vote.fingerprint == running.fingerprint;
  if (!same) return;
  const bool first = names(running.branches, from) && running.yes.emplace(from, vote.result).second;
  if (first) charge(running.votes, vote.cost);
  if (running.way) return send(from, Attended{.txn = txn, .running = !running.look});
  running.resolution->voted_yes(from);
  send(from, Attended{.txn = txn, .running = false});
  conclude(txn, running);
}

// What a register says that is final. That it holds a yes says nothing where ballots decide.
void Conductor::hear_report(const TxnId& txn, Running& running, GroupId from, const Report& report) {
  if (running.way) {
    if (report.standing == Standing::prepared) return;
    BallotReply reply;
    reply.txn = txn;
    reply.fingerprint = report.fingerprint;
    reply.standing = report.standing;
    reply.refusal = report.refusal;
    running.way->hear(from, reply);
  } else {
    running.resolution->hear(from, report);
  }
  conclude(txn, running);
}

// Nobody here knows it: it was never begun, or an earlier leader ran it. Every shard is asked until one names the
// participants.
void Conductor::survey(const TxnId& txn, bool look) {
  Running& running = running_[txn];
  running.phase = Phase::resolving;
  running.protocol = Protocol::automatic;
  running.refusal = sealed_refusal();
  running.look = look;
  running.deadline = now_ + options_.resolve_ticks;
  ask_registers(txn, running);
}

void Conductor::ask_registers(const TxnId& txn, Running& running) {
  std::vector<GroupId> whom = shards();
  if (running.resolution) {
    whom = running.resolution->silent();
    if (whom.empty()) whom = running.resolution->participants();  // old and yes: who said yes will end it by itself
  } else {
    std::erase_if(whom, [&](GroupId shard) {
      const auto heard = running.survey.find(shard);
      return heard != running.survey.end() && (heard->second != Standing::empty || running.look);
    });
  }
  for (const GroupId shard : whom) send(shard, Seal{.txn = txn, .look = running.look});
  schedule(txn, running);
}

void Conductor::on(const Envelope& envelope, const Report& report) {
  const auto found = running_.find(report.txn);
  if (found == running_.end() || found->second.phase != Phase::resolving) return;
  Running& running = found->second;
  count_message(report.txn, false);
  charge(running.seals, report.cost);
  if (!running.knows_participants()) return hear_survey(report.txn, running, envelope.from, report);
  hear_report(report.txn, running, envelope.from, report);
}

void Conductor::hear_survey(const TxnId& txn, Running& running, GroupId from, const Report& report) {
  const bool content_seen = report.protocol != Protocol::automatic;
  if (report.standing == Standing::prepared) return adopt(txn, running, from, report);
  if (content_seen && (report.standing == Standing::committed || report.standing == Standing::aborted)) {
    // Finished there: that is its outcome everywhere.
    const bool commit = report.standing == Standing::committed;
    running.fingerprint = report.fingerprint;
    TxnAnswer answer;
    answer.txn = txn;
    answer.state = commit ? TxnState::committed : TxnState::aborted;
    answer.protocol = report.protocol;
    answer.participants = report.participants;
    if (!commit) answer.refusal = report.refusal;
    if (!commit || by_content(report.protocol))
      note({txn, report.fingerprint, commit, report.protocol, report.refusal.reason});
    return end_running(txn, answer);
  }
  Standing& known = running.survey[from];
  if (known == Standing::empty) known = report.standing;
  conclude_survey(txn, running);
}

// A shard is in doubt about it, and knows who takes part.
void Conductor::adopt(const TxnId& txn, Running& running, GroupId from, const Report& report) {
  running.trace = report.trace;
  if (by_content(report.protocol)) {
    running.protocol = report.protocol;
    running.fingerprint = report.fingerprint;
    running.attempt = report.attempt;
    if (ballots_decide(report.protocol)) {
      running.survey.clear();
      begin_way(txn, running, report.participants);
      return pursue(txn, running);
    }
    running.resolution = Resolution(report.participants, report.protocol, report.fingerprint);
    running.resolution->hear(from, report);
    running.survey.clear();
    ask_registers(txn, running);
    return conclude(txn, running);
  }
  // Two-phase: this group is the judge (answer_doubt has the argument). It has no record, and no attempt runs here.
  if (report.attempt.epoch > epoch_ || decisions_->find(txn)) return;
  running.fingerprint = report.fingerprint;
  running.protocol = report.protocol;
  seal(txn, running, refusal_of(AbortReason::presumed, {}, "it was prepared, and never decided"));
}

void Conductor::conclude_survey(const TxnId& txn, Running& running) {
  if (options_.two_phase_only) return presume(txn, running);
  const std::size_t all = options_.shards.size() + decisions_->admitted().size();
  if (running.survey.size() < all) return;
  bool empty = all == 0 && running.look;  // without shards there is nobody to ask, and only this log can decide
  bool old = false;
  for (const auto& [shard, standing] : running.survey) {
    empty = empty || standing == Standing::empty;
    old = old || standing == Standing::old;
  }
  if (empty && running.look) {
    TxnAnswer answer;  // no trace of it anywhere
    answer.txn = txn;
    return end_running(txn, answer);
  }
  if (empty) return;  // a look that became a seal: asked again
  // No shard will ever vote yes. But services alone may take part in it, under a leader that follows this one: only
  // what this log holds keeps it from committing.
  presume(txn, running, old ? AbortReason::presumed : AbortReason::sealed);
}

void Conductor::conclude(const TxnId& txn, Running& running) {
  switch (running.verdict()) {
    case Resolution::Verdict::open:
    case Resolution::Verdict::old: return;
    case Resolution::Verdict::commit: return commit_by_votes(txn);
    case Resolution::Verdict::gone: return presume(txn, running);
    case Resolution::Verdict::abort: break;
  }
  // If nothing but the seal speaks against it, it ended for the reason for which it was sealed.
  Refusal refusal = running.found_refusal();
  const bool no_more = refusal.reason == AbortReason::sealed || refusal.reason == AbortReason::none;
  const bool by_seal = no_more && running.refusal.reason != AbortReason::none;
  if (by_seal) refusal = running.refusal;
  if (running.branches.empty()) {  // of an earlier leader: its shards find out by themselves
    if (refusal.reason == AbortReason::reused_id) {
      TxnAnswer open;  // two contents under one id: this one came to nothing, the other is not known here
      open.txn = txn;
      open.state = TxnState::running;
      if (running.way) note(end_of_ballots(txn, running.fingerprint));
      return end_running(txn, open);
    }
    note({txn, running.fingerprint, false, running.protocol, refusal.reason});
    TxnAnswer answer = aborted_answer(txn, std::move(refusal), participants_of_running(running));
    answer.protocol = running.protocol;
    return end_running(txn, answer);
  }
  abort(txn, std::move(refusal));
}

// Every register that may have held it is empty for ever. Had it committed, this group's log would have its outcome: a
// shard forgets a commit only when it has (Confirm). So the log is asked, by an entry that says aborted if nothing else
// stands there: a leader that was replaced never hears the answer.
void Conductor::presume(const TxnId& txn, Running& running, AbortReason reason) {
  const TxnAnswer known = outcome_of(txn);
  if (decisions_->may_be_forgotten(txn)) {
    for (const auto& [client, fingerprint] : std::exchange(running.executes, {})) {
      fail_client(client, ErrorCode::too_old, "the id is older than the shards' retention");
    }
    if (running.way) note(end_of_ballots(txn, running.fingerprint));
    TxnAnswer expired = known;
    expired.state = TxnState::expired;
    return end_running(txn, expired);
  }
  note({txn, 0, false, Protocol::automatic, reason});
  log_notes();  // somebody waits for it
}

// Of those who wait. The shards in doubt, if there are any, go on without this leader.
void Conductor::give_up(const TxnId& txn, Running& running) {
  for (const auto& [client, fingerprint] : std::exchange(running.executes, {})) {
    fail_client(client, ErrorCode::unknown_outcome,
                "a participant that may have voted does not answer; ask for the outcome");
  }
  if (askers_of_.contains(txn)) return;
  running_due_.erase(txn);
  running_.erase(txn);
}

void Conductor::tick_resolving(const TxnId& txn, Running& running) {
  if (now_ >= running.deadline) {
    give_up(txn, running);
    if (!running_.contains(txn)) return;
  }
  if (running.way) return pursue(txn, running);
  ask_registers(txn, running);
  if (!running.resolution) conclude_survey(txn, running);
}

// ---- notes
// -----------------------------------------------------------------------------------------------------------

// A shard has finished it with commit: so it committed, whoever found out.
void Conductor::learn_commit(const Finished& finished) {
  const auto found = running_.find(finished.txn);
  const bool runs = found != running_.end() && found->second.fingerprint == finished.fingerprint &&
                    (found->second.phase == Phase::collecting || found->second.phase == Phase::resolving ||
                     found->second.phase == Phase::accepting);
  if (runs) return commit_by_votes(finished.txn);
  if (decisions_->find(finished.txn)) return;
  note({finished.txn, finished.fingerprint, true, finished.protocol, AbortReason::none});
}

void Conductor::on(const Envelope& envelope, const Confirm& confirm) {
  Confirmed confirmed;
  for (const OldCommit& commit : confirm.commits) {
    if (decisions_->find(commit.txn) || decisions_->may_be_forgotten(commit.txn)) {
      confirmed.txns.push_back(commit.txn);
    } else {
      note({commit.txn, commit.fingerprint, true, commit.protocol, AbortReason::none});  // it will ask again
    }
  }
  if (!confirmed.txns.empty()) send(envelope.from, std::move(confirmed));
}

void Conductor::note(const OutcomeNote& note) {
  if (!notes_.emplace(note.txn, note).second) return;
  if (notes_waiting_.empty()) notes_since_ = now_;
  notes_waiting_.push_back(note.txn);
  propose_notes(false);
}

// Lazily: nobody waits for it, and one entry holds many.
void Conductor::propose_notes(bool by_time) {
  const bool full = notes_waiting_.size() >= notes_per_entry;
  const bool due = by_time && !notes_waiting_.empty() && now_ - notes_since_ >= options_.note_ticks;
  if (full || due) log_notes();
}

void Conductor::log_notes() {
  if (notes_waiting_.empty()) return;
  NoteOutcomes command;
  for (const TxnId& txn : std::exchange(notes_waiting_, {})) {
    if (const auto found = notes_.find(txn); found != notes_.end()) command.notes.push_back(found->second);
  }
  output_.propose.emplace_back(std::move(command));
}

void Conductor::noted(const NoteOutcomes& command) {
  for (const OutcomeNote& note : command.notes) {
    const auto found = notes_.find(note.txn);
    const bool presumed = found != notes_.end() && is_presumption(found->second);
    if (found != notes_.end()) notes_.erase(found);
    serve_ballots(note.txn);
    if (!presumed) continue;
    if (running_.contains(note.txn)) end_running(note.txn, outcome_of(note.txn));
  }
}

}  // namespace assent
