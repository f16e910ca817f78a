// Jobs: running work, letting it wait or die, proposing what it came to.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "participant/caretaker.h"

namespace assent {

TxnId Caretaker::age_of(const TxnId& txn) const {
  if (const PreparedTxn* prepared = shard_->prepared(txn)) return prepared->age.none() ? txn : prepared->age;
  const auto job = jobs_.find(txn);
  return job == jobs_.end() ? txn : job->second.age;
}

// By age, then id: one order for all transactions on all shards, which is what keeps waiting free of cycles.
bool Caretaker::older(const TxnId& holder, const Job& job) const {
  return std::pair(age_of(holder), holder) < std::pair(job.age, job.txn);
}

// Wait-die. A job that newly arrives also dies rather than overtake an older one that waits for the same thing: waiting
// behind it would be a younger one waiting for an older one. A query counts as younger than everybody: it is waited
// for.
Caretaker::Admission Caretaker::admit(const Job& job, const std::vector<LockRequest>& locks) const {
  std::vector<TxnId> holders = shard_->locks().conflicts(locks, job.txn);
  if (planted(Bug::prepared_lock_stolen)) holders.clear();
  const std::vector<TxnId> reserved = reservations_.conflicts(locks, job.txn);
  holders.insert(holders.end(), reserved.begin(), reserved.end());
  for (const TxnId& holder : holders) {
    if (older(holder, job) != planted(Bug::wait_die_inverted)) return {Verdict::die, holder};
  }
  if (!holders.empty()) return {Verdict::wait, holders.front()};
  if (job.phase == Phase::arrived) {
    for (const TxnId& waiter : wanted_.conflicts(locks, job.txn)) {
      if (older(waiter, job)) return {Verdict::die, waiter};
    }
  }
  if (!holds_.free(locks, job.txn)) return {Verdict::wait, {}};
  return {Verdict::granted, {}};
}

void Caretaker::add_job(Job job) {
  const TxnId txn = job.txn;
  Job& stored = jobs_[txn] = std::move(job);
  jobs_due_.set(txn, stored.deadline);
  run(stored);
}

void Caretaker::run(Job& job) {
  auto evaluated = resources_->evaluate(job.work);
  if (!evaluated) return on_refusal(job, std::move(evaluated.error()));
  obey(job, std::move(*evaluated));
}

void Caretaker::obey(Job& job, Evaluation evaluation) {
  const bool bounded = bounds_hold(evaluation);
  if (!bounded) {
    for (LockRequest& lock : evaluation.effects.locks) {
      if (lock.mode == LockMode::escrow) lock.mode = LockMode::exclusive;
    }
  }
  const Admission admission = admit(job, evaluation.effects.locks);
  switch (admission.verdict) {
    case Verdict::granted: return bounded ? propose_work(job, std::move(evaluation)) : refuse_bound(job, evaluation);
    case Verdict::wait: return park(job, std::move(evaluation.effects.locks), admission.holder);
    case Verdict::die:
      return propose_refusal(
          job, refusal(AbortReason::conflict, fmt::format("{}, which is older, holds what it needs", admission.holder),
                       admission.holder));
  }
}

bool Caretaker::bounds_hold(const Evaluation& evaluation) const {
  for (std::size_t i = 0; i < evaluation.effects.adds.size(); ++i) {
    const CounterAdd& add = evaluation.effects.adds[i];
    const auto all = together(shard_->escrow().pending(add.key), reserved_adds_.pending(add.key));
    const bool alone = planted(Bug::escrow_bound_ignored);
    if (!fits(evaluation.counters[i], add, alone ? EscrowTable::Pending{} : all)) return false;
  }
  return true;
}

// Nobody else holds the counters: what they show is what was told, and it is final.
void Caretaker::refuse_bound(Job& job, const Evaluation& evaluation) {
  Refusal no = refusal(AbortReason::constraint, {});
  for (std::size_t i = 0; i < evaluation.effects.adds.size(); ++i) {
    const CounterAdd& add = evaluation.effects.adds[i];
    if (fits(evaluation.counters[i], add, {})) continue;
    const std::string& name = evaluation.counter_names.empty() ? add.key : evaluation.counter_names[i];
    no.message =
        fmt::format("adding {} to '{}', which holds {}, leaves its bounds", add.delta, name, evaluation.counters[i]);
    no.constraint = fmt::format("bounds {}", name);
  }
  propose_refusal(job, std::move(no));
}

// What is refused because of what the shard holds now: its rows, or its tables, which a prepared transaction may be
// about to make. Whether a statement makes no sense at all cannot be told apart from that.
bool Caretaker::by_state(const Refusal& refusal) {
  return refusal.reason == AbortReason::constraint || refusal.reason == AbortReason::invalid;
}

// What was refused may be allowed once those are finished that were prepared before it came, and their clients may have
// heard "committed" already: a refusal that ignored them would deny what was told. So it runs again after them, and
// after no later ones. It takes no part in wait-die, for it has no locks to name: settle_ticks ends a cycle.
void Caretaker::on_refusal(Job& job, Refusal refusal) {
  if (!by_state(refusal) || job.settled) return propose_refusal(job, std::move(refusal));
  const std::vector<TxnId> holding = shard_->holding();
  if (holding.empty()) return propose_refusal(job, std::move(refusal));
  if (holding.size() <= options_.settle_max) return settle_first(job, holding);
  propose_refusal(job,
                  this->refusal(AbortReason::conflict, "too many transactions are in doubt to judge what is refused"));
}

void Caretaker::settle_first(Job& job, const std::vector<TxnId>& holding) {
  unpark(job);
  job.phase = Phase::settling;
  for (const TxnId& txn : holding) {
    job.settling_for.insert(txn);
    watch(txn, job.txn);
  }
  jobs_due_.set(job.txn, std::min(job.deadline, now_ + options_.settle_ticks));
}

void Caretaker::park(Job& job, std::vector<LockRequest> locks, const TxnId& holder) {
  unpark(job);
  if (waiting_ >= options_.waiting_max) {
    return propose_refusal(job, refusal(AbortReason::conflict, "too many transactions wait for locks here", holder));
  }
  job.phase = Phase::waiting;
  job.wanted = std::move(locks);
  job.holder = holder;
  wanted_.acquire(job.txn, job.wanted);
  ++waiting_;
  jobs_due_.set(job.txn, job.deadline);
}

void Caretaker::unpark(Job& job) {
  if (job.phase != Phase::waiting) return;
  wanted_.release(job.txn);
  job.wanted.clear();
  --waiting_;
  job.phase = Phase::settling;  // neither new nor waiting; the caller decides
}

void Caretaker::propose_work(Job& job, Evaluation evaluation) {
  unpark(job);
  job.phase = Phase::proposed;
  jobs_due_.erase(job.txn);
  if (!planted(Bug::no_reservation)) {
    reservations_.acquire(job.txn, evaluation.effects.locks);
    reserved_adds_.acquire(job.txn, evaluation.effects.adds);
  }
  if (!job.prepare) {
    output_.propose.emplace_back(ExecuteWork{.txn = job.txn,
                                             .fingerprint = job.fingerprint,
                                             .effects = std::move(evaluation.effects),
                                             .result = std::move(evaluation.result),
                                             .refusal = {}});
    return;
  }
  if (planted(Bug::vote_before_commit)) {
    send(job.prepare->coordinator, Vote{job.txn, job.prepare->attempt, true, {}, evaluation.result});
  }
  output_.propose.emplace_back(PrepareWork{.txn = job.txn,
                                           .attempt = job.prepare->attempt,
                                           .coordinator = job.prepare->coordinator,
                                           .participants = job.prepare->participants,
                                           .fingerprint = job.fingerprint,
                                           .age = job.age,
                                           .effects = std::move(evaluation.effects),
                                           .result = std::move(evaluation.result),
                                           .protocol = job.prepare->protocol,
                                           .trace = job.prepare->trace});
}

std::vector<LockRequest> Caretaker::unreserve(const TxnId& txn) {
  reserved_adds_.release(txn);
  return reservations_.release(txn);
}

void Caretaker::propose_refusal(Job& job, Refusal refusal) {
  unpark(job);
  job.phase = Phase::proposed;
  jobs_due_.erase(job.txn);
  refusal.participant = options_.self;
  if (!job.prepare) {
    output_.propose.emplace_back(ExecuteWork{
        .txn = job.txn, .fingerprint = job.fingerprint, .effects = {}, .result = {}, .refusal = std::move(refusal)});
    return;
  }
  output_.propose.emplace_back(RefuseWork{.txn = job.txn,
                                          .attempt = job.prepare->attempt,
                                          .coordinator = job.prepare->coordinator,
                                          .participants = job.prepare->participants,
                                          .fingerprint = job.fingerprint,
                                          .refusal = std::move(refusal),
                                          .protocol = job.prepare->protocol});
}

void Caretaker::end_job(const TxnId& txn) {
  const auto found = jobs_.find(txn);
  if (found == jobs_.end()) return;
  unpark(found->second);
  jobs_due_.erase(txn);
  jobs_.erase(found);
}

// The youngest goes first. All of them are older than whoever held the lock, so each older one may go on waiting for a
// younger that is served before it; served in the order of age, every younger one would have to die instead. The oldest
// is not starved: a new arrival older than the next holder is rare, a younger one may not overtake it (admit).
void Caretaker::wake(const std::vector<LockRequest>& released) {
  std::set<std::pair<TxnId, TxnId>> woken;
  for (const LockRequest& lock : released) {
    for (const TxnId& txn : wanted_.holders(lock.key)) woken.emplace(jobs_.at(txn).age, txn);
  }
  for (auto next = woken.rbegin(); next != woken.rend(); ++next) {
    Job& job = jobs_.at(next->second);
    const Admission admission = admit(job, job.wanted);
    switch (admission.verdict) {
      case Verdict::granted: run(job); break;  // on the state as it is now
      case Verdict::wait: job.holder = admission.holder; break;
      case Verdict::die:
        propose_refusal(
            job, refusal(AbortReason::conflict,
                         fmt::format("{}, which is older, holds what it needs", admission.holder), admission.holder));
        break;
    }
  }
}

void Caretaker::watch(const TxnId& txn, const TxnId& watcher) { watchers_[txn].push_back(watcher); }

// A transaction that was prepared or proposed no longer is.
void Caretaker::ended(const TxnId& txn) {
  const auto found = watchers_.find(txn);
  if (found == watchers_.end()) return;
  const std::vector<TxnId> watchers = std::move(found->second);
  watchers_.erase(found);
  for (const TxnId& watcher : watchers) {
    if (const auto read = queries_.find(watcher); read != queries_.end()) {
      if (read->second.waiting_for.erase(txn) > 0 && read->second.waiting_for.empty()) run_query_again(watcher);
      continue;
    }
    const auto job = jobs_.find(watcher);
    if (job == jobs_.end() || job->second.phase != Phase::settling) continue;
    job->second.settling_for.erase(txn);
    if (!job->second.settling_for.empty()) continue;
    job->second.settled = true;
    run(job->second);
  }
}

void Caretaker::tick_jobs() {
  while (const auto due = jobs_due_.pop(now_)) {
    Job& job = jobs_.at(*due);
    const bool settling = job.phase == Phase::settling && !job.settling_for.empty();
    const TxnId holder = settling ? *job.settling_for.begin() : job.holder;
    const std::uint64_t waited_since = job.deadline - std::min(job.deadline, options_.prepare_timeout_ticks);
    std::string message = holder.none()
                              ? fmt::format("it waited {} ms for queries to end", (now_ - waited_since) * 10)
                              : fmt::format("it waited {} ms for {} to end", (now_ - waited_since) * 10, holder);
    propose_refusal(job, refusal(AbortReason::conflict, std::move(message), holder));
  }
}

}  // namespace assent
