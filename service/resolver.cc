#include "service/resolver.h"

#include <algorithm>
#include <set>
#include <utility>

namespace assent::service {

namespace {

constexpr std::size_t looked_at_max = 1'000;  // of those in doubt; the oldest

}  // namespace

Resolver::Resolver(Branches& branches, AskFate ask, ResolverOptions options, std::function<void(const Resolved&)> told)
    : branches_(branches), ask_(std::move(ask)), options_(options), told_(std::move(told)), thread_([this] {
        serve();
      }) {}

Resolver::~Resolver() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

bool Resolver::stopping() {
  const std::scoped_lock lock(mutex_);
  return stopping_;
}

void Resolver::serve() {
  for (;;) {
    const Resolved found = look();
    if (told_ && (found.committed + found.aborted + found.open > 0 || !found.trouble.empty())) told_(found);
    static_cast<void>(branches_.forget_some());  // what could not be forgotten now is so at the next look
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, options_.interval, [this] { return stopping_; })) return;
  }
}

Resolved Resolver::look() {
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
  const auto now = std::chrono::steady_clock::now();
  for (const InDoubt& one : *found) {
    const auto pause = pauses_.find(one.key);
    if (pause != pauses_.end() && now < pause->second.until) continue;
    if (++questions > options_.questions_max || stopping()) break;
    resolve(one, all);
  }
  return all;
}

void Resolver::resolve(const InDoubt& one, Resolved& all) {
  const Result<Fate> fate = ask_(one);
  if (!fate) all.trouble = fate.error().message;
  if (!fate || *fate == Fate::open) {
    all.open += 1;
    put_off(one.key);
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
  put_off(one.key);
}

void Resolver::put_off(const BranchKey& key) {
  Pause& pause = pauses_[key];
  pause.length = std::clamp(2 * pause.length, options_.interval, std::max(options_.interval, options_.pause_max));
  pause.until = std::chrono::steady_clock::now() + pause.length;
}

}  // namespace assent::service
