#include "participant/lock_table.h"

#include <algorithm>

#include "base/check.h"

namespace assent {

namespace {

constexpr std::size_t at(LockMode mode) { return static_cast<std::size_t>(mode); }

// Rows: held; columns: asked.
constexpr bool compatibility[5][5] = {
    // IS    IX     S      X      E
    {true, true, true, false, false},     // intention_shared
    {true, true, false, false, false},    // intention_exclusive
    {true, false, true, false, false},    // shared
    {false, false, false, false, false},  // exclusive
    {false, false, false, false, true},   // escrow
};

}  // namespace

bool compatible(LockMode held, LockMode asked) { return compatibility[at(held)][at(asked)]; }

LockMode cover(LockMode a, LockMode b) {
  if (a == b) return a;
  const LockMode weaker = std::min(a, b);
  const LockMode stronger = std::max(a, b);
  // Those of which neither contains the other: there is no mode between them and exclusive.
  if (stronger == LockMode::escrow) return LockMode::exclusive;
  if (weaker == LockMode::intention_exclusive && stronger == LockMode::shared) return LockMode::exclusive;
  return stronger;
}

bool LockTable::may_conflict(const Lock& lock, LockMode asked) {
  for (std::size_t held = 0; held < lock.count.size(); ++held) {
    if (lock.count[held] > 0 && !compatibility[held][at(asked)]) return true;
  }
  return false;
}

std::vector<TxnId> LockTable::conflicts(std::span<const LockRequest> requests, const TxnId& self) const {
  std::vector<TxnId> found;
  for (const LockRequest& request : requests) {
    const auto lock = by_key_.find(request.key);
    if (lock == by_key_.end() || !may_conflict(lock->second, request.mode)) continue;
    for (const auto& [holder, mode] : lock->second.holders) {
      if (holder != self && !compatible(mode, request.mode)) found.push_back(holder);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

bool LockTable::free(std::span<const LockRequest> requests, const TxnId& self) const {
  if (!holds(self)) {
    return std::none_of(requests.begin(), requests.end(), [&](const LockRequest& request) {
      const auto lock = by_key_.find(request.key);
      return lock != by_key_.end() && may_conflict(lock->second, request.mode);
    });
  }
  return conflicts(requests, self).empty();
}

std::vector<TxnId> LockTable::holders(const Bytes& key) const {
  std::vector<TxnId> found;
  const auto lock = by_key_.find(key);
  if (lock == by_key_.end()) return found;
  for (const auto& [holder, mode] : lock->second.holders) found.push_back(holder);
  return found;
}

void LockTable::acquire(const TxnId& holder, std::span<const LockRequest> requests) {
  if (requests.empty()) return;
  std::vector<LockRequest>& held = by_holder_[holder];
  ASSENT_CHECK(held.empty(), "a holder acquires once");
  for (const LockRequest& request : requests) {
    Lock& lock = by_key_[request.key];
    const auto [place, fresh] = lock.holders.emplace(holder, request.mode);
    if (!fresh) {
      const LockMode mode = cover(place->second, request.mode);
      --lock.count[at(place->second)];
      ++lock.count[at(mode)];
      place->second = mode;
      for (LockRequest& one : held) {
        if (one.key == request.key) one.mode = mode;
      }
      continue;
    }
    ++lock.count[at(request.mode)];
    held.push_back(request);
    ++locks_;
  }
}

std::vector<LockRequest> LockTable::release(const TxnId& holder) {
  const auto found = by_holder_.find(holder);
  if (found == by_holder_.end()) return {};
  std::vector<LockRequest> held = std::move(found->second);
  by_holder_.erase(found);
  for (const LockRequest& request : held) {
    const auto lock = by_key_.find(request.key);
    lock->second.holders.erase(holder);
    --lock->second.count[at(request.mode)];
    if (lock->second.holders.empty()) by_key_.erase(lock);
  }
  locks_ -= held.size();
  return held;
}

void LockTable::clear() { *this = LockTable(); }

void LockTable::add_to(Digest& digest) const {
  digest.add(by_holder_.size());
  for (const auto& [holder, held] : by_holder_) {
    digest.add(holder).add(held.size());
    for (const LockRequest& lock : held) digest.add(lock.key).add(static_cast<std::uint64_t>(lock.mode));
  }
}

}  // namespace assent
