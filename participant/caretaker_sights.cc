// What a shard's leader sees of a transaction: for operators.
#include <algorithm>

#include "participant/caretaker.h"

namespace assent {
namespace {

constexpr std::uint64_t tick_millis = 10;

std::uint64_t age(ClusterMillis now, ClusterMillis since) { return now.value - std::min(now, since).value; }

}  // namespace

// Whom it keeps waiting here.
void Caretaker::add_blocked(const TxnId& txn, Sight& sight) const {
  for (const auto& [id, job] : jobs_) {
    bool blocked = job.phase == Phase::settling && job.settling_for.contains(txn);
    if (job.phase == Phase::waiting) {
      for (const LockTable* table : {&shard_->locks(), &reservations_}) {
        const std::vector<TxnId> holders = table->conflicts(job.wanted, id);
        blocked = blocked || std::find(holders.begin(), holders.end(), txn) != holders.end();
      }
    }
    if (blocked) sight.blocks.push_back(id);
  }
  for (const auto& [key, read] : queries_) sight.queries_blocked += read.waiting_for.contains(txn) ? 1 : 0;
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
  add_blocked(txn, sight);
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
    case Phase::waiting: {
      sight.stage = Stage::waiting;
      sight.waits_for = shard_->locks().conflicts(job.wanted, job.txn);
      const std::vector<TxnId> reserved = reservations_.conflicts(job.wanted, job.txn);
      sight.waits_for.insert(sight.waits_for.end(), reserved.begin(), reserved.end());
      break;
    }
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
  add_blocked(job.txn, sight);
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
  if (!question.txn.none()) {
    const auto job = jobs_.find(question.txn);
    if (const PreparedTxn* prepared = shard_->prepared(question.txn)) {
      all.push_back(sight_of(question.txn, *prepared, question.now));
    } else if (job != jobs_.end()) {
      all.push_back(sight_of(job->second, question.now));
    } else if (shard_->heuristics().contains(question.txn)) {
      all.push_back(sight_of(question.txn, *shard_->finished(question.txn), question.now));
    }
    return all;
  }
  for (const auto& [txn, prepared] : shard_->all_prepared()) {
    if (all.size() == question.most) break;
    all.push_back(sight_of(txn, prepared, question.now));
  }
  for (const TxnId& txn : shard_->heuristics()) {
    const FinishedTxn* finished = shard_->finished(txn);
    if (all.size() == question.most) break;
    if (finished != nullptr) all.push_back(sight_of(txn, *finished, question.now));
  }
  for (const auto& [txn, job] : jobs_) {
    if (all.size() == question.most) break;
    if (shard_->prepared(txn) == nullptr) all.push_back(sight_of(job, question.now));
  }
  return all;
}

}  // namespace assent
