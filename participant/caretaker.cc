// A caretaker's messages, applied entries and ticks. Jobs and their locks: caretaker_jobs.cc. Clients:
// caretaker_clients.cc. In doubt: caretaker_resolve.cc, and caretaker_ballots.cc where ballots decide.
#include "participant/caretaker.h"

#include <utility>

#include "base/check.h"
#include "base/planted.h"

namespace assent {

Caretaker::Caretaker(const Shard& shard, ResourceManager& resources, CaretakerOptions options)
    : shard_(&shard), resources_(&resources), options_(options) {
  ASSENT_CHECK(!options_.self.none(), "a caretaker belongs to a shard's group");
}

Caretaker::Caretaker(const Caretaker& other, const Shard& shard, ResourceManager& resources) : Caretaker(other) {
  shard_ = &shard;
  resources_ = &resources;
}

// Whoever is prepared is in doubt: an earlier leader's vote or its answer may be lost.
void Caretaker::lead(Epoch epoch) {
  leading_ = true;
  changes_.begin(shard_->applied());
  epoch_ = epoch;
  last_entry_tick_ = now_;
  for (const auto& [txn, prepared] : shard_->all_prepared()) {
    begin_doubt(txn, 1);
    doubts_.at(txn).cost = cost_of_entry();  // an earlier leader's entry; what its disk took is not known
  }
  propose_tidy();
}

void Caretaker::resign() {
  for (const auto& [txn, job] : jobs_) {
    for (const RequestId client : job.clients) {
      if (job.phase == Phase::proposed) {
        fail_client(client, ErrorCode::unknown_outcome,
                    "the shard's leader changed while the transaction was being logged; ask for its outcome");
      } else {
        fail_client(client, ErrorCode::not_leader, "the shard's leader changed; nothing was started");
      }
    }
  }
  for (const auto& [key, read] : queries_) {
    fail_client(read.client, ErrorCode::not_leader, "the shard's leader changed; ask again");
  }
  for (const auto& [id, asker] : askers_) {
    fail_client(id, ErrorCode::not_leader, "the shard's leader changed; ask again");
  }
  for (const ClientRequest& request : held_) {
    fail_client(request.id, ErrorCode::not_leader, "the shard's leader changed; nothing was started");
  }
  for (const auto& [txn, clients] : forcers_) {
    for (const RequestId client : clients) {
      fail_client(client, ErrorCode::unknown_outcome, "the shard's leader changed meanwhile; look what it says now");
    }
  }
  Caretaker fresh(*shard_, *resources_, options_);
  fresh.now_ = now_;
  fresh.read_counter_ = read_counter_;
  fresh.query_counter_ = query_counter_;
  fresh.output_.reply = std::move(output_.reply);
  *this = std::move(fresh);
}

DriverOutput<ShardCommand> Caretaker::take_output() {
  gathering_ = {};  // queries that come later need a barrier of their own
  return std::exchange(output_, {});
}

void Caretaker::receive(const Envelope& envelope) {
  if (!leading_) return;
  if (const auto* prepare = std::get_if<Prepare>(&envelope.message)) return on(envelope, *prepare);
  if (const auto* finish = std::get_if<Finish>(&envelope.message)) return on(envelope, *finish);
  if (const auto* attended = std::get_if<Attended>(&envelope.message)) return on(envelope, *attended);
  if (const auto* seal = std::get_if<Seal>(&envelope.message)) return on(envelope, *seal);
  if (const auto* report = std::get_if<Report>(&envelope.message)) return on(envelope, *report);
  if (const auto* confirm = std::get_if<Confirm>(&envelope.message)) return on(envelope, *confirm);
  if (const auto* confirmed = std::get_if<Confirmed>(&envelope.message)) return on(envelope, *confirmed);
  if (const auto* request = std::get_if<BallotRequest>(&envelope.message)) return on(envelope, *request);
  if (const auto* reply = std::get_if<BallotReply>(&envelope.message)) return on(envelope, *reply);
}

// ---- messages
// --------------------------------------------------------------------------------------------------------

void Caretaker::on(const Envelope& envelope, const Prepare& prepare) {
  if (!shard_->empty(prepare.txn) && !planted(Bug::register_overwritten)) return vote_again(envelope.from, prepare);
  if (shard_->too_old(prepare.txn)) {
    // No later entry can have an earlier stamp: this no needs no log to be final.
    return send_no(envelope.from, prepare.txn, prepare.attempt,
                   refusal(AbortReason::too_old, "the id is older than the shard's retention"));
  }
  // Something about it is on its way into the log and will fill the register: the coordinator asks again.
  if (finishes_in_log_.contains(prepare.txn) || seals_in_log_.contains(prepare.txn)) return;
  if (const auto found = jobs_.find(prepare.txn); found != jobs_.end()) {
    Job& job = found->second;
    const bool later = job.phase != Phase::proposed && job.prepare && job.fingerprint == prepare.fingerprint &&
                       job.prepare->attempt < prepare.attempt;
    if (later) job.prepare->attempt = prepare.attempt;  // it still waits: let it vote in the attempt that runs now
    return;
  }
  if (jobs_.size() >= options_.jobs_max) return;
  Job job;
  job.txn = prepare.txn;
  job.age = prepare.age.none() ? prepare.txn : prepare.age;
  job.fingerprint = prepare.fingerprint;
  job.prepare = prepare;
  job.work = std::move(job.prepare->work);
  job.prepare->coordinator = envelope.from;
  job.deadline = now_ + options_.prepare_timeout_ticks;
  add_job(std::move(job));
}

// The register is filled and says what it says. Of other content under the same id nothing ran or ever will.
void Caretaker::vote_again(GroupId to, const Prepare& prepare) {
  const Refusal reused = refusal(AbortReason::reused_id, "this id was already used with other content");
  if (const PreparedTxn* prepared = shard_->prepared(prepare.txn)) {
    if (prepared->fingerprint != prepare.fingerprint) return send_no(to, prepare.txn, prepare.attempt, reused);
    return send_vote(prepare.txn, *prepared);
  }
  const FinishedTxn& finished = *shard_->finished(prepare.txn);
  const bool other = finished.fingerprint != 0 && finished.fingerprint != prepare.fingerprint;
  if (other || finished.protocol == Protocol::one_phase) return send_no(to, prepare.txn, prepare.attempt, reused);
  if (finished.outcome == Outcome::committed) {
    return send(to, Finished{.txn = prepare.txn,
                             .attempt = finished.attempt,
                             .commit = true,
                             .protocol = finished.protocol,
                             .fingerprint = finished.fingerprint});
  }
  // An abort that was applied here is final, whether this shard voted no or was told: as good as a no.
  send_no(to, prepare.txn, finished.attempt, finished.refusal());
}

namespace {

Finished done_with(const Finish& finish) {
  return Finished{.txn = finish.txn,
                  .attempt = finish.attempt,
                  .commit = finish.commit,
                  .protocol = finish.protocol,
                  .fingerprint = finish.fingerprint};
}

bool ends_this_vote(const Finish& finish, const PreparedTxn& prepared) {
  if (finish.protocol != prepared.protocol) return false;
  return by_content(finish.protocol) ? finish.fingerprint == prepared.fingerprint : finish.attempt == prepared.attempt;
}

}  // namespace

void Caretaker::on(const Envelope& envelope, const Finish& finish) {
  const Finished done = done_with(finish);
  if (const PreparedTxn* prepared = shard_->prepared(finish.txn)) {
    const bool same = ends_this_vote(finish, *prepared) || planted(Bug::finish_without_attempt);
    if (same) return propose_finish(envelope.from, finish);
    if (!finish.commit) send(envelope.from, done);  // it voted in another attempt: of this one nothing is left to abort
    return;
  }
  if (const FinishedTxn* finished = shard_->finished(finish.txn)) {
    const bool agrees = finish.commit == (finished->outcome == Outcome::committed);
    if (agrees || (!finish.commit && finished->attempt != finish.attempt)) send(envelope.from, done);
    return;
  }
  finish_empty(envelope.from, finish);
}

void Caretaker::finish_empty(GroupId from, const Finish& finish) {
  if (shard_->too_old(finish.txn)) {  // forgotten, or never here and too old to come: nothing is left to be done
    return send(from, done_with(finish));
  }
  if (finish.commit) return;  // nobody commits what did not vote here
  const auto found = jobs_.find(finish.txn);
  if (found != jobs_.end() && found->second.prepare && found->second.phase != Phase::proposed) end_job(finish.txn);
  propose_finish(from, finish);  // behind its PrepareWork, if that is in the log; else a tombstone
}

// ---- applied
// ---------------------------------------------------------------------------------------------------------

void Caretaker::applied(const EntryContext& context, const Command& command, const Shard::Applied& applied,
                        const RoundCost& round) {
  if (!leading_) return;
  last_entry_tick_ = now_;
  round_ = options_.bills ? round : RoundCost{};
  const Cost cost = applied.changed ? cost_of_entry() : Cost{};
  note_change(context.index, command, applied);
  std::visit(
      [&](const auto& one) {
        on_applied(one, applied);
        if constexpr (requires { one.txn; }) {
          say_report(one.txn, cost);
          serve_ballots(one.txn, cost);
        }
      },
      command);
}

void Caretaker::note_change(Index at, const Command& command, const Shard::Applied& applied) {
  const auto* finish = std::get_if<FinishWork>(&command);
  if (finish != nullptr && finish->commit) changes_.note(applied.released, at);
  const auto* forced = std::get_if<OverrideWork>(&command);
  if (forced != nullptr && forced->commit) changes_.note(applied.released, at);
  const auto* execute = std::get_if<ExecuteWork>(&command);
  if (execute == nullptr || !applied.changed) return;
  if (shard_->finished(execute->txn)->outcome == Outcome::committed) changes_.note(execute->effects.locks, at);
}

void Caretaker::on_applied(const PrepareWork& command, const Shard::Applied& applied) {
  const std::vector<LockRequest> reserved = unreserve(command.txn);
  end_job(command.txn);
  voted(command.coordinator, command.txn, command.attempt, applied);
  if (shard_->prepared(command.txn) != nullptr) return;  // the machine holds the locks now
  ended(command.txn);
  wake(reserved);
}

void Caretaker::on_applied(const RefuseWork& command, const Shard::Applied& applied) {
  end_job(command.txn);
  voted(command.coordinator, command.txn, command.attempt, applied);
}

void Caretaker::voted(GroupId coordinator, const TxnId& txn, const Attempt& attempt, const Shard::Applied& applied) {
  if (applied.refused) {
    send_no(coordinator, txn, attempt, *applied.refused, cost_of_entry());
    return answer_askers(txn);
  }
  if (const PreparedTxn* prepared = shard_->prepared(txn)) {
    begin_doubt(txn, options_.resend_ticks);
    Doubt& doubt = doubts_.at(txn);
    doubt.cost = cost_of_entry();
    send_vote(txn, *prepared);
    doubt.sends = 1;
    doubt.backoff.pause = options_.resend_ticks;
    return;
  }
  const FinishedTxn* finished = shard_->finished(txn);
  if (finished != nullptr && finished->outcome == Outcome::aborted) {
    send_no(coordinator, txn, finished->attempt, finished->refusal(), cost_of_entry());
  }
  answer_askers(txn);
}

void Caretaker::on_applied(const ExecuteWork& command, const Shard::Applied& applied) {
  const std::vector<LockRequest> reserved = unreserve(command.txn);
  std::vector<RequestId> clients;
  if (const auto found = jobs_.find(command.txn); found != jobs_.end()) clients = std::move(found->second.clients);
  end_job(command.txn);
  if (options_.bills && applied.changed) {
    const Cost cost = cost_of_entry();
    bills_.of(command.txn) = Bill{.answered = cost, .freed = cost, .locked_millis = round_.millis};
  }
  for (const RequestId client : clients) {
    if (!applied.refused) {
      TxnAnswer answer = outcome_of(command.txn);
      const bool first = applied.changed && answer.state == TxnState::committed;
      if (first) answer.results = {BranchResult{options_.self, command.result}};  // also what is too large to be kept
      tell(client, answer);
    } else if (applied.refused->reason == AbortReason::too_old) {
      fail_client(client, ErrorCode::too_old, applied.refused->message);
    } else {
      tell(client, aborted(command.txn, *applied.refused));
    }
  }
  answer_askers(command.txn);
  ended(command.txn);
  wake(reserved);
}

void Caretaker::on_applied(const FinishWork& command, const Shard::Applied& applied) {
  const auto found = finishes_in_log_.find(command.txn);
  if (found != finishes_in_log_.end()) {
    const auto [to, finish] = found->second;
    finishes_in_log_.erase(found);
    const FinishedTxn* finished = shard_->finished(command.txn);
    const bool done = finished != nullptr ? command.commit == (finished->outcome == Outcome::committed)
                                          : shard_->too_old(command.txn) || !command.commit;
    if (done) {
      Finished message = done_with(finish);
      if (applied.changed && options_.bills) {
        message.cost = cost_of_entry();
        message.locked_millis = applied.held_millis + round_.millis;
      }
      send(to, message);
    }
  }
  if (shard_->prepared(command.txn) != nullptr) return;
  doubts_.erase(command.txn);
  doubts_due_.erase(command.txn);
  answer_askers(command.txn);
  ended(command.txn);
  wake(applied.released);
}

void Caretaker::on_applied(const SealWork& command, const Shard::Applied&) {
  seals_in_log_.erase(command.txn);
  answer_askers(command.txn);
}

void Caretaker::on_applied(const Tidy&, const Shard::Applied&) {
  tidy_in_log_ = false;
  judge_held();
}

// What the log refused is not in it and never will be. Prepares come again; clients hear that nothing was started. What
// is too large to be logged is refused for good, in a smaller entry.
void Caretaker::refused(const Command& command, const Error& error) {
  if (!leading_) return;
  std::visit(
      [&](const auto& one) {
        if constexpr (requires { one.txn; }) ballots_.drop(one.txn);
      },
      command);
  if (const auto* prepare = std::get_if<PrepareWork>(&command)) {
    refuse_job(prepare->txn, error, true);
  } else if (const auto* refuse = std::get_if<RefuseWork>(&command)) {
    refuse_job(refuse->txn, error, false);
  } else if (const auto* execute = std::get_if<ExecuteWork>(&command)) {
    refuse_job(execute->txn, error, execute->refusal.reason == AbortReason::none);
  } else if (const auto* finish = std::get_if<FinishWork>(&command)) {
    finishes_in_log_.erase(finish->txn);
  } else if (const auto* seal = std::get_if<SealWork>(&command)) {
    seals_in_log_.erase(seal->txn);
    fail_askers(seal->txn, error);
  } else if (const auto* forced = std::get_if<OverrideWork>(&command)) {
    answer_forcers(forced->txn, error);
  } else if (const auto* forgotten = std::get_if<ForgetOverride>(&command)) {
    answer_forcers(forgotten->txn, error);
  } else if (const auto* ballot = std::get_if<BallotWork>(&command)) {
    ballots_.refused(*ballot);  // whoever asked asks again
  } else if (std::holds_alternative<ForgetTxns>(command)) {
    confirming_.clear();  // they are asked again in their turn
  } else {
    tidy_in_log_ = false;
    for (const ClientRequest& request : std::exchange(held_, {})) fail_client(request.id, error.code, error.message);
  }
}

void Caretaker::refuse_job(const TxnId& txn, const Error& error, bool with_effects) {
  const std::vector<LockRequest> reserved = unreserve(txn);
  const auto found = jobs_.find(txn);
  if (found != jobs_.end()) {
    if (error.code == ErrorCode::refused && with_effects) {
      propose_refusal(found->second, refusal(AbortReason::too_large, error.message));
    } else {
      for (const RequestId client : found->second.clients) fail_client(client, error.code, error.message);
      end_job(txn);
      answer_askers(txn);
    }
  }
  ended(txn);
  wake(reserved);
}

// ---- ticks
// -----------------------------------------------------------------------------------------------------------

void Caretaker::tick() {
  ++now_;
  if (!leading_) return;
  tick_jobs();
  tick_queries();
  tick_doubts();
  tick_askers();
  tick_confirming();
  if (now_ - last_entry_tick_ >= tidy_due()) propose_tidy();
}

bool Caretaker::idle() const {
  const bool work = !jobs_.empty() || !queries_.empty() || !doubts_.empty() || !shard_->all_prepared().empty() ||
                    !shard_->old_commits({}, 1).empty();
  const bool waiting = !askers_.empty() || !forcers_.empty() || !held_.empty() || !to_report_.empty() ||
                       !ballots_.empty() || !barriers_.empty();
  const bool unlogged = tidy_in_log_ || !seals_in_log_.empty() || !finishes_in_log_.empty() || !confirming_.empty() ||
                        !confirmed_.empty() || !output_.empty();
  return !work && !waiting && !unlogged;
}

// A thousand idle shards that each woke for an entry now and then would never be at rest.
std::uint64_t Caretaker::tidy_due() const {
  if (options_.tick_millis == 0 || shard_->all_finished().empty() || !idle()) return options_.tidy_ticks;
  const TxnId& oldest = shard_->all_finished().begin()->first;
  const std::uint64_t forgotten = oldest.created().value + shard_->retention_millis();
  const std::uint64_t wait = forgotten - std::min(forgotten, shard_->stamp().value);
  return std::max(options_.tidy_ticks, wait / options_.tick_millis + 1);
}

std::uint64_t Caretaker::rest_ticks() const {
  if (!leading_ || !idle()) return 0;
  if (shard_->all_finished().empty()) return rest_for_ever;
  const std::uint64_t due = tidy_due();
  return due - std::min(due, now_ - last_entry_tick_);
}

// A vote may be lost, and so may the answer: first the vote is said again, then the coordinator is asked as well.
void Caretaker::tick_doubts() {
  for (std::size_t served = 0; served < options_.sends_per_tick_max; ++served) {
    const auto due = doubts_due_.pop(now_);
    if (!due) return;
    const PreparedTxn* prepared = shard_->prepared(*due);
    if (prepared == nullptr) {
      doubts_.erase(*due);
      continue;
    }
    Doubt& doubt = doubts_.at(*due);
    // A ballot that is opened too early aborts what only waits for a vote: so only after both ways of asking were tried
    // twice in vain.
    const bool asked_in_vain = !ballots_decide(prepared->protocol) || doubt.sends >= 2 * options_.inquire_after_sends;
    const bool left_alone = by_content(prepared->protocol) && now_ >= doubt.resolve_at && asked_in_vain;
    if (left_alone && !doubt.resolving()) begin_resolution(*due, *prepared, doubt);
    if (doubt.resolution) ask_others(*due, *prepared, doubt);
    if (doubt.way) pursue(*due, *prepared, doubt);
    const bool ask = doubt.sends >= options_.inquire_after_sends && doubt.sends % 2 == 0;
    if (ask) {
      send(prepared->coordinator, Inquire{.txn = *due,
                                          .attempt = prepared->attempt,
                                          .protocol = prepared->protocol,
                                          .fingerprint = prepared->fingerprint,
                                          .trace = prepared->trace});
    } else {
      send_vote(*due, *prepared);
    }
    if (planted(Bug::local_timeout_decides) && ask) {
      propose_finish(prepared->coordinator, Finish{.txn = *due,
                                                   .attempt = prepared->attempt,
                                                   .commit = false,
                                                   .protocol = prepared->protocol,
                                                   .fingerprint = prepared->fingerprint});
    }
    ++doubt.sends;
    doubts_due_.set(*due, now_ + doubt.backoff.next(options_.resend_ticks, options_.resend_ticks_max));
  }
}

// ---- output
// ----------------------------------------------------------------------------------------------------------

Refusal Caretaker::refusal(AbortReason reason, std::string message, const TxnId& holder) const {
  return Refusal{.reason = reason,
                 .participant = options_.self,
                 .message = std::move(message),
                 .constraint = {},
                 .holder = holder};
}

void Caretaker::send(GroupId to, TxnMessage message) {
  output_.send.push_back(Envelope{.from = options_.self, .to = to, .message = std::move(message)});
}

void Caretaker::send_vote(const TxnId& txn, const PreparedTxn& prepared) {
  const auto doubt = doubts_.find(txn);
  send(prepared.coordinator, Vote{.txn = txn,
                                  .attempt = prepared.attempt,
                                  .yes = true,
                                  .refusal = {},
                                  .result = prepared.result,
                                  .protocol = prepared.protocol,
                                  .fingerprint = prepared.fingerprint,
                                  .cost = doubt == doubts_.end() ? Cost{} : doubt->second.cost,
                                  .trace = prepared.trace});
}

Cost Caretaker::cost_of_entry() const { return options_.bills ? Cost::of(round_) : Cost{}; }

void Caretaker::send_no(GroupId to, const TxnId& txn, const Attempt& attempt, Refusal refusal, const Cost& cost) {
  if (refusal.participant.none()) refusal.participant = options_.self;
  Vote vote;
  vote.txn = txn;
  vote.attempt = attempt;
  vote.refusal = std::move(refusal);
  vote.cost = cost;
  send(to, std::move(vote));
}

void Caretaker::propose_finish(GroupId from, const Finish& finish) {
  if (!finishes_in_log_.try_emplace(finish.txn, from, finish).second) return;
  output_.propose.emplace_back(FinishWork{.txn = finish.txn,
                                          .attempt = finish.attempt,
                                          .commit = finish.commit,
                                          .protocol = finish.protocol,
                                          .fingerprint = finish.fingerprint});
}

void Caretaker::propose_tidy() {
  if (tidy_in_log_) return;
  tidy_in_log_ = true;
  last_entry_tick_ = now_;
  output_.propose.emplace_back(Tidy{});
}

}  // namespace assent
