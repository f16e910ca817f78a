// Transactions in doubt whose votes are the decision: the shards resolve them without any coordinator. And the end of
// them: when a commit may be forgotten.
#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "participant/caretaker.h"

namespace assent {

// ---- in doubt
// --------------------------------------------------------------------------------------------------------

void Caretaker::begin_doubt(const TxnId& txn, std::uint64_t due_ticks) {
  Doubt& doubt = doubts_[txn];
  doubt.resolve_at = now_ + options_.resolve_ticks;
  doubts_due_.set(txn, now_ + due_ticks);
}

// While a coordinator runs it there is hope that it only waits for a slow vote: to seal that would be to abort it.
void Caretaker::on(const Envelope&, const Attended& attended) {
  const PreparedTxn* prepared = shard_->prepared(attended.txn);
  const auto found = doubts_.find(attended.txn);
  if (prepared == nullptr || found == doubts_.end() || !by_content(prepared->protocol)) return;
  Doubt& doubt = found->second;
  if (attended.running) {
    doubt.resolve_at = now_ + options_.resolve_ticks;
    if (ballots_decide(prepared->protocol)) doubt.sends = 0;  // none of them was in vain
  } else if (!doubt.resolving()) {
    begin_resolution(attended.txn, *prepared, doubt);
    if (doubt.way) {
      pursue(attended.txn, *prepared, doubt);
    } else {
      ask_others(attended.txn, *prepared, doubt);
    }
  }
}

void Caretaker::begin_resolution(const TxnId& txn, const PreparedTxn& prepared, Doubt& doubt) {
  if (ballots_decide(prepared.protocol)) return begin_termination(txn, prepared, doubt);
  doubt.resolution = Resolution(prepared.participants, prepared.protocol, prepared.fingerprint);
  doubt.resolution->voted_yes(options_.self);
  doubt.backoff = {};
  doubts_due_.set(txn, now_ + doubt.backoff.next(options_.resend_ticks, options_.resend_ticks_max));
}

void Caretaker::ask_others(const TxnId& txn, const PreparedTxn& prepared, const Doubt& doubt) {
  for (const GroupId shard : doubt.resolution->silent()) send(shard, Seal{.txn = txn, .look = false});
  conclude(txn, prepared, *doubt.resolution);
}

void Caretaker::on(const Envelope& envelope, const Report& report) {
  const PreparedTxn* prepared = shard_->prepared(report.txn);
  const auto found = doubts_.find(report.txn);
  if (prepared == nullptr || found == doubts_.end() || !found->second.resolution) return;
  found->second.resolution->hear(envelope.from, report);
  conclude(report.txn, *prepared, *found->second.resolution);
}

// What the others say is final, so what follows from it is, too. That somebody is empty for ever is a no to a shard
// that is in doubt: a commit is forgotten nowhere before this shard has finished it.
template <class Proof>
void Caretaker::conclude(const TxnId& txn, const PreparedTxn& prepared, const Proof& proof) {
  const Resolution::Verdict verdict = proof.verdict();
  const bool commit = verdict == Resolution::Verdict::commit;
  const bool decided = commit || verdict == Resolution::Verdict::abort;
  if (!decided && !proof.somebody_is_old()) return;
  Finish finish;
  finish.txn = txn;
  finish.attempt = prepared.attempt;
  finish.commit = commit;
  finish.protocol = prepared.protocol;
  finish.fingerprint = prepared.fingerprint;
  finish.trace = prepared.trace;
  const bool fresh = !finishes_in_log_.contains(txn);
  propose_finish(prepared.coordinator, finish);
  if (fresh && decided && ballots_decide(prepared.protocol)) tell_others(finish, prepared);
}
template void Caretaker::conclude(const TxnId&, const PreparedTxn&, const Resolution&);
template void Caretaker::conclude(const TxnId&, const PreparedTxn&, const Termination&);

// ---- what a register says
// --------------------------------------------------------------------------------------------

void Caretaker::on(const Envelope& envelope, const Seal& seal) {
  if (seal.look || !shard_->empty(seal.txn) || shard_->too_old(seal.txn)) {
    return send(envelope.from, shard_->report(seal.txn));
  }
  if (planted(Bug::seal_not_logged)) {
    Report no;
    no.txn = seal.txn;
    no.standing = Standing::aborted;
    return send(envelope.from, no);
  }
  to_report_[seal.txn].insert(envelope.from);
  seal_empty(seal.txn);
}

void Caretaker::seal_empty(const TxnId& txn) {
  if (const auto found = jobs_.find(txn); found != jobs_.end()) {
    const Job& job = found->second;
    if (job.phase == Phase::proposed || !job.prepare) return;  // its entry will fill the register
    end_job(txn);
  }
  if (!finishes_in_log_.contains(txn)) propose_seal(txn);
}

void Caretaker::say_report(const TxnId& txn, const Cost& cost) {
  const auto found = to_report_.find(txn);
  if (found == to_report_.end()) return;
  Report report = shard_->report(txn);
  report.cost = cost;
  if (report.standing == Standing::empty) return;
  for (const GroupId to : found->second) send(to, report);
  to_report_.erase(found);
}

// ---- forgetting
// ------------------------------------------------------------------------------------------------------

// Is it finished here? Empty and too old means that it was, and was forgotten: it committed, so it was prepared here.
void Caretaker::on(const Envelope& envelope, const Confirm& confirm) {
  Confirmed answer;
  for (const OldCommit& commit : confirm.commits) {
    const FinishedTxn* finished = shard_->finished(commit.txn);
    const bool committed = finished != nullptr && finished->outcome == Outcome::committed;
    const bool gone = shard_->empty(commit.txn) && shard_->too_old(commit.txn);
    if (committed || gone) answer.txns.push_back(commit.txn);
  }
  if (!answer.txns.empty()) send(envelope.from, std::move(answer));
}

void Caretaker::on(const Envelope& envelope, const Confirmed& confirmed) {
  for (const TxnId& txn : confirmed.txns) this->confirmed(txn, envelope.from);
  if (!confirmed_.empty()) output_.propose.emplace_back(ForgetTxns{.txns = std::exchange(confirmed_, {})});
  if (confirming_.empty()) confirm_round_ends_ = now_;  // the next may begin
}

void Caretaker::confirmed(const TxnId& txn, GroupId by) {
  const auto found = confirming_.find(txn);
  if (found == confirming_.end()) return;
  found->second.erase(by);
  if (!found->second.empty()) return;
  confirming_.erase(found);
  confirmed_.push_back(txn);
}

// In rounds: some of the old commits, asked of all concerned, whose answers count until the next round begins. What one
// round does not settle a later one asks again.
void Caretaker::begin_confirming() {
  confirming_.clear();
  confirm_round_ends_ = now_ + options_.confirm_ticks;
  const std::vector<TxnId> txns = shard_->old_commits(confirm_from_, options_.confirm_batch);
  confirm_from_ = txns.size() < options_.confirm_batch ? TxnId{} : txns.back();
  std::map<GroupId, Confirm> questions;
  for (const TxnId& txn : txns) {
    const FinishedTxn& finished = *shard_->finished(txn);
    std::set<GroupId>& whom = confirming_[txn];
    whom.insert(finished.participants.begin(), finished.participants.end());
    whom.insert(finished.coordinator);
    whom.erase(options_.self);
    for (const GroupId group : whom) questions[group].commits.push_back({txn, finished.fingerprint, finished.protocol});
  }
  for (auto& [group, question] : questions) send(group, std::move(question));
}

void Caretaker::tick_confirming() {
  if (now_ >= confirm_round_ends_) begin_confirming();
}

void Caretaker::on_applied(const ForgetTxns&, const Shard::Applied&) {}

}  // namespace assent
