// What a shard's leader sees of a transaction: for operators.
#include <algorithm>
#include <utility>

#include "participant/caretaker.h"

namespace assent {
namespace {

constexpr std::uint64_t tick_millis = 10;

std::uint64_t age(ClusterMillis now, ClusterMillis since) { return now.value - std::min(now, since).value; }

}  // namespace

// For whose locks it waits.
std::vector<TxnId> Caretaker::holders_of(const Job& job) const {
  std::vector<TxnId> holders = shard_->locks().conflicts(job.wanted, job.txn);
  const std::vector<TxnId> reserved = reservations_.conflicts(job.wanted, job.txn);
  holders.insert(holders.end(), reserved.begin(), reserved.end());
  return holders;
}

// Of all at once: each that waits is looked at once, however many there are that it may wait for.
Caretaker::Waiters Caretaker::waiters() const {
  Waiters out;
  const auto add = [&](const auto& holders, const TxnId& waiter) {
    for (const TxnId& holder : holders) {
      std::vector<TxnId>& those = out.txns[holder];
      if (those.empty() || those.back() != waiter) those.push_back(waiter);
    }
  };
  for (const auto& [id, job] : jobs_) {
    if (job.phase == Phase::settling) add(job.settling_for, id);
    if (job.phase == Phase::waiting) add(holders_of(job), id);
    if (job.phase == Phase::waiting) name_keys(job, out);
  }
  for (const auto& [key, read] : queries_) {
    for (const TxnId& holder : read.waiting_for) ++out.queries[holder];
  }
  return out;
}

void Caretaker::name_keys(const Job& job, Waiters& waiters) const {
  const auto add = [](std::vector<std::string>& keys, const std::string& name) {
    const bool known = std::find(keys.begin(), keys.end(), name) != keys.end();
    if (!known && keys.size() < sight_keys_max) keys.push_back(name);
  };
  for (const LockRequest& lock : job.wanted) {
    std::vector<TxnId> holders = shard_->locks().conflicts({&lock, 1}, job.txn);
    const std::vector<TxnId> reserved = reservations_.conflicts({&lock, 1}, job.txn);
    holders.insert(holders.end(), reserved.begin(), reserved.end());
    if (holders.empty()) continue;
    const std::string name = resources_->lock_name(lock.key);
    add(waiters.wanted[job.txn], name);
    for (const TxnId& holder : holders) add(waiters.held[holder], name);
  }
}

void Caretaker::Waiters::add_to(Sight& sight) const {
  if (const auto found = wanted.find(sight.txn); found != wanted.end()) sight.wanted_keys = found->second;
  if (const auto found = held.find(sight.txn); found != held.end()) sight.contested_keys = found->second;
  if (const auto found = txns.find(sight.txn); found != txns.end()) sight.blocks = found->second;
  if (const auto found = queries.find(sight.txn); found != queries.end()) sight.queries_blocked = found->second;
}

Sight Caretaker::sight_of(const TxnId& txn, const PreparedTxn& prepared, ClusterMillis now) const {
  Sight sight;
  sight.txn = txn;
  sight.protocol = prepared.protocol;
  sight.coordinator = prepared.coordinator;
  sight.participants = prepared.participants;
  sight.missing = {prepared.coordinator};
  sight.locks = prepared.effects.locks.size();
  sight.heuristic = prepared.heuristic;
  sight.millis = age(now, prepared.prepared_at);
  const auto found = doubts_.find(txn);
  if (found == doubts_.end() || !by_content(prepared.protocol)) return sight;
  const Doubt& doubt = found->second;
  if (!doubt.resolving()) {
    sight.left_millis = (doubt.resolve_at - std::min(doubt.resolve_at, now_)) * tick_millis;
    return sight;
  }
  sight.stage = Stage::resolving;
  sight.missing = doubt.way ? doubt.way->whom() : doubt.resolution->silent();
  return sight;
}

Sight Caretaker::sight_of(const Job& job, ClusterMillis now) const {
  Sight sight;
  sight.txn = job.txn;
  sight.protocol = job.prepare ? job.prepare->protocol : Protocol::one_phase;
  if (job.prepare) {
    sight.coordinator = job.prepare->coordinator;
    sight.participants = job.prepare->participants;
  } else {
    sight.participants = {options_.self};
  }
  sight.millis = age(now, job.txn.created());
  sight.left_millis = (job.deadline - std::min(job.deadline, now_)) * tick_millis;
  switch (job.phase) {
    case Phase::arrived:
    case Phase::waiting:
      sight.stage = Stage::waiting;
      sight.waits_for = holders_of(job);
      break;
    case Phase::settling:
      sight.stage = Stage::settling;
      sight.waits_for.assign(job.settling_for.begin(), job.settling_for.end());
      break;
    case Phase::proposed:
      sight.stage = Stage::logging;
      sight.missing = {options_.self};
      sight.left_millis.reset();
      break;
  }
  return sight;
}

Sight Caretaker::sight_of(const TxnId& txn, const FinishedTxn& finished, ClusterMillis now) {
  Sight sight;
  sight.txn = txn;
  sight.stage = Stage::forced;
  sight.protocol = finished.protocol;
  sight.commit = finished.outcome == Outcome::committed;
  sight.coordinator = finished.coordinator;
  sight.participants = finished.participants;
  sight.millis = age(now, finished.heuristic->at);
  sight.heuristic = finished.heuristic;
  return sight;
}

std::vector<Sight> Caretaker::sights(const SightQuestion& question) const {
  std::vector<Sight> all;
  const Waiters waiting = waiters();
  const auto add = [&](Sight sight) {
    waiting.add_to(sight);
    all.push_back(std::move(sight));
  };
  if (!question.txn.none()) {
    const auto job = jobs_.find(question.txn);
    if (const PreparedTxn* prepared = shard_->prepared(question.txn)) {
      add(sight_of(question.txn, *prepared, question.now));
    } else if (job != jobs_.end()) {
      add(sight_of(job->second, question.now));
    } else if (shard_->heuristics().contains(question.txn)) {
      add(sight_of(question.txn, *shard_->finished(question.txn), question.now));
    }
    return all;
  }
  for (const auto& [txn, prepared] : shard_->all_prepared()) {
    if (all.size() == question.most) return all;
    add(sight_of(txn, prepared, question.now));
  }
  for (const TxnId& txn : shard_->heuristics()) {
    const FinishedTxn* finished = shard_->finished(txn);
    if (all.size() == question.most) return all;
    if (finished != nullptr) add(sight_of(txn, *finished, question.now));
  }
  for (const auto& [txn, job] : jobs_) {
    if (all.size() == question.most) return all;
    if (shard_->prepared(txn) == nullptr) add(sight_of(job, question.now));
  }
  return all;
}

}  // namespace assent
