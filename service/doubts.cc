#include "service/doubts.h"

#include <algorithm>
#include <set>
#include <utility>

namespace assent::service {

namespace {

constexpr std::size_t looked_at_max = 1'000;  // of those in doubt; the oldest

}  // namespace

Resolved Doubts::look(Time now, const std::function<bool()>& stopping) {
  Resolved all;
  const auto found = branches_.in_doubt(options_.patience, looked_at_max);
  if (!found) {
    all.trouble = found.error().message;
    return all;
  }
  std::set<BranchKey> there;
  for (const InDoubt& one : *found) there.insert(one.key);
  std::erase_if(pauses_, [&](const auto& pause) { return !there.contains(pause.first); });
  std::size_t questions = 0;
  for (const InDoubt& one : *found) {
    const auto pause = pauses_.find(one.key);
    if (pause != pauses_.end() && now < pause->second.until) continue;
    if (++questions > options_.questions_max || stopping()) break;
    resolve(one, now, all);
  }
  return all;
}

void Doubts::resolve(const InDoubt& one, Time now, Resolved& all) {
  const Result<Fate> fate = ask_(one);
  if (!fate) all.trouble = fate.error().message;
  if (!fate || *fate == Fate::open) {
    all.open += 1;
    put_off(one.key, now);
    return;
  }
  Branch branch;
  branch.txn = one.key.txn;
  branch.name = one.key.name;
  branch.attempt = one.attempt;
  branch.coordinator = one.coordinator;
  const bool commits = *fate == Fate::committed;
  const Answer answer = branches_.end(commits ? Call::commit : Call::abort, branch);
  if (answer.ok()) {
    (commits ? all.committed : all.aborted) += 1;
    return;
  }
  all.open += 1;
  all.trouble = answer.message;
  put_off(one.key, now);
}

void Doubts::put_off(const BranchKey& key, Time now) {
  Pause& pause = pauses_[key];
  pause.length = std::clamp(2 * pause.length, options_.interval, std::max(options_.interval, options_.pause_max));
  pause.until = now + pause.length;
}

}  // namespace assent::service
