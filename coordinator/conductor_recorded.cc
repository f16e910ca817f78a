// Recorded transactions (Mode): begun in the log, in order where the mode says so, ended for everybody who takes part.
#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "coordinator/conductor.h"
#include "coordinator/conductor_detail.h"

namespace assent {

// What an earlier leader began: who takes part may have been called, and which of them did what is not known here. No
// entry that is still to come can decide it (the fence), so it is sealed, and all of them hear the abort. What was
// already done twice is harmless: it is the same attempt.
void Conductor::lead_begun() {
  for (const auto& [txn, begun] : decisions_->begun()) {
    Running& running = running_[txn];
    running.phase = Phase::sealing;
    running.attempt = begun.attempt;
    running.fingerprint = begun.fingerprint;
    running.mode = begun.mode;
    running.trace = begun.trace;
    running.refusal = refusal_of(AbortReason::superseded, {}, "the leader that ran it was replaced");
    running_due_.set(txn, now_ + 1);
  }
}

// In the log: now they may be called.
void Conductor::began(const BeginTxn& begin, const Decisions::Applied& applied) {
  if (applied.outcome != Outcome::none) return settle(begin.txn, applied);  // it was sealed before
  const auto found = running_.find(begin.txn);
  if (found == running_.end() || found->second.phase != Phase::beginning || found->second.attempt != begin.attempt)
    return;
  Running& running = found->second;
  running.in_log = false;
  // Fenced: it is not in the log, nobody was called, and nobody will be.
  if (!applied.changed)
    return seal(begin.txn, running, refusal_of(AbortReason::superseded, {}, "another leader took over"));
  running.phase = Phase::collecting;
  running.backoff = {};
  if (has_every_vote(running)) return decide(begin.txn, running);  // nothing but retriable steps
  if (now_ < running.deadline) send_prepares(begin.txn, running);
  schedule(begin.txn, running);
}

// The log takes it now or it never began.
void Conductor::tick_beginning(const TxnId& txn, Running& running) {
  if (running.in_log || now_ < running.deadline) {
    propose_phase(txn, running);
    return schedule(txn, running);
  }
  for (const auto& [client, fingerprint] : std::exchange(running.executes, {})) {
    fail_client(client, ErrorCode::busy, "the coordinator's log took no entry in time; nothing was started");
  }
  TxnAnswer answer = outcome_of(txn);
  answer.state = TxnState::unknown;
  end_running(txn, answer);
}

// It hears the end in its turn, not because it asks.
bool Conductor::hears_in_turn(const TxnId& txn, const Attempt& attempt) const {
  const auto of_it = [&](const auto& all) {
    const auto found = all.find(txn);
    return found != all.end() && is_recorded(found->second.mode) && found->second.attempt == attempt;
  };
  return of_it(running_) || of_it(finishing_);
}

Conductor::Finishing Conductor::finishing_of(const OpenOutcome& open) {
  Finishing finishing;
  finishing.attempt = open.attempt;
  finishing.commit = open.outcome == Outcome::committed;
  finishing.protocol = open.protocol;
  finishing.mode = open.mode;
  finishing.fingerprint = open.fingerprint;
  finishing.left.insert(open.participants.begin(), open.participants.end());
  finishing.services = open.services;
  finishing.trace = open.trace;
  for (const RetriableStep& step : open.steps) {
    if (finishing.commit) {
      finishing.steps.emplace(step.service, step.payload);
    } else {
      finishing.left.erase(step.service);  // nobody ever called it
    }
  }
  for (const auto& [service, reason] : open.by_hand) {
    finishing.left.erase(service);
    finishing.steps.erase(service);
  }
  return finishing;
}

bool Conductor::has_every_vote(const Running& running) {
  return std::all_of(running.branches.begin(), running.branches.end(),
                     [&](const Branch& branch) { return is_retriable(branch) || running.yes.contains(branch.shard); });
}

// ---- retriable steps: the saga is committed, and they are carried out until they are done ----

void Conductor::call_step(const TxnId& txn, const Finishing& finishing, GroupId to) {
  Prepare prepare;
  prepare.txn = txn;
  prepare.attempt = finishing.attempt;
  prepare.coordinator = options_.self;
  prepare.fingerprint = finishing.fingerprint;
  prepare.age = txn;
  prepare.trace = finishing.trace;
  const ServiceAddress* at = address_of(txn, to);
  if (at == nullptr) return;
  call(to, *at, std::move(prepare));
  output_.call.back().payload = finishing.steps.at(to);
  output_.call.back().ticks = options_.step_ticks;
}

// The answer to such a call, if it is one. A yes is followed by the commit, and in order by the next step; anything
// else is a failure, for a retriable step must not refuse.
bool Conductor::count_step(GroupId from, const Vote& vote) {
  const auto found = finishing_.find(vote.txn);
  if (found == finishing_.end() || !found->second.steps.contains(from)) return false;
  Finishing& finishing = found->second;
  if (!vote.yes) {
    count_failure(finishing, from, "it is retriable, and refused: " + vote.refusal.message);
    return true;
  }
  if (vote.attempt != finishing.attempt) {
    count_failure(finishing, from, "it is retriable, and did its step in another attempt");
    return true;
  }
  finishing.steps.erase(from);
  finishing.trouble.erase(from);
  finishing.failures.erase(from);
  send_finish(finishing, from,
              Finish{.txn = vote.txn,
                     .attempt = finishing.attempt,
                     .commit = true,
                     .protocol = finishing.protocol,
                     .fingerprint = finishing.fingerprint});
  if (is_ordered(finishing.mode) && !finishing.steps.empty()) {
    call_step(vote.txn, finishing, finishing.steps.begin()->first);
  }
  return true;
}

// In order: one service after the other, then the shards, which hold locks from then on.
bool Conductor::is_next(const Running& running, const Branch& branch) {
  if (!is_ordered(running.mode)) return true;
  const auto waited_for = std::find_if(running.branches.begin(), running.branches.end(), [&](const Branch& one) {
    return one.service && !is_retriable(one) && !running.yes.contains(one.shard);
  });
  if (waited_for == running.branches.end()) return true;
  return waited_for->shard == branch.shard;
}

// An abort in the reverse order: the shards, then the services from the last to the first. A commit in no order, but
// that the retriable steps of an ordered saga are taken one after the other.
std::vector<GroupId> Conductor::next_of(const Finishing& finishing) {
  std::vector<GroupId> all(finishing.left.begin(), finishing.left.end());
  if (finishing.commit && is_ordered(finishing.mode) && !finishing.steps.empty()) {
    const GroupId first = finishing.steps.begin()->first;
    std::erase_if(all, [&](GroupId one) { return finishing.steps.contains(one) && one != first; });
    return all;
  }
  if (finishing.commit || !is_ordered(finishing.mode) || all.empty()) return all;
  if (planted(Bug::compensated_in_any_order)) return all;
  const auto services = std::find_if(all.begin(), all.end(), [](GroupId one) { return is_service(one); });
  if (services == all.begin()) return {all.back()};
  all.erase(services, all.end());
  return all;
}

}  // namespace assent
