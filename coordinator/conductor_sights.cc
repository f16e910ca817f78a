// What a coordinator's leader sees of a transaction: for operators.
#include <algorithm>

#include "coordinator/conductor.h"
#include "coordinator/conductor_detail.h"

namespace assent {
namespace {

constexpr std::uint64_t tick_millis = 10;

Sight begin_sight(const TxnId& txn, Protocol protocol, ClusterMillis now) {
  Sight sight;
  sight.txn = txn;
  sight.protocol = protocol;
  sight.millis = now.value - std::min(now, txn.created()).value;
  return sight;
}

}  // namespace

Sight Conductor::sight_of(const TxnId& txn, const Running& running, ClusterMillis now) const {
  Sight sight = begin_sight(txn, running.protocol, now);
  sight.participants = participants_of(running.branches);
  sight.services = services_of(running.branches);
  for (const auto& [service, words] : running.trouble) sight.troubles.push_back(words);
  switch (running.phase) {
    case Phase::collecting:
      sight.stage = Stage::collecting;
      std::copy_if(sight.participants.begin(), sight.participants.end(), std::back_inserter(sight.missing),
                   [&](GroupId shard) { return !running.yes.contains(shard); });
      std::erase_if(sight.missing, [&](GroupId one) {
        return std::any_of(running.branches.begin(), running.branches.end(),
                           [&](const Branch& branch) { return branch.shard == one && is_retriable(branch); });
      });
      sight.left_millis = (running.deadline - std::min(running.deadline, now_)) * tick_millis;
      break;
    case Phase::beginning:
    case Phase::proposed:
    case Phase::sealing:
      sight.stage = Stage::deciding;
      sight.missing = {options_.self};
      break;
    case Phase::accepting:
    case Phase::resolving:
      sight.stage = Stage::asking;
      if (running.way) {
        sight.participants = running.way->participants();
        sight.missing = running.way->whom();
      } else if (running.resolution) {
        sight.participants = running.resolution->participants();
        sight.missing = running.resolution->silent();
      } else {
        sight.missing = shards();
        std::erase_if(sight.missing, [&](GroupId shard) { return running.survey.contains(shard); });
      }
      break;
  }
  return sight;
}

Sight Conductor::sight_of(const TxnId& txn, const Finishing& finishing, ClusterMillis now) const {
  Sight sight = begin_sight(txn, finishing.protocol, now);
  sight.stage = Stage::finishing;
  sight.commit = finishing.commit;
  sight.missing.assign(finishing.left.begin(), finishing.left.end());
  sight.services = finishing.services;
  for (const auto& [service, words] : finishing.trouble) {
    if (finishing.left.contains(service)) sight.troubles.push_back(words);
  }
  std::copy_if(finishing.left.begin(), finishing.left.end(), std::back_inserter(sight.failing),
               [&](GroupId one) { return failing(finishing, one); });
  return sight;
}

std::vector<Sight> Conductor::sights(const SightQuestion& question) const {
  std::vector<Sight> all;
  const auto wanted = [&](const TxnId& txn) {
    return all.size() < question.most && (question.txn.none() || txn == question.txn);
  };
  const bool one = !question.txn.none();
  for (auto next = one ? running_.lower_bound(question.txn) : running_.begin();
       next != running_.end() && wanted(next->first); ++next) {
    all.push_back(sight_of(next->first, next->second, question.now));
  }
  for (auto next = one ? finishing_.lower_bound(question.txn) : finishing_.begin();
       next != finishing_.end() && wanted(next->first); ++next) {
    all.push_back(sight_of(next->first, next->second, question.now));
  }
  return all;
}

}  // namespace assent
