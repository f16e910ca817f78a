#include "participant/change_index.h"

#include "base/digest.h"

namespace assent {

namespace {

// Rows of a table have changed, or the thing itself.
enum class Done : std::uint8_t { within = 0, itself = 1 };

std::uint64_t name_of(const Bytes& key, Done done) {
  return Digest().add(key).add(static_cast<std::uint64_t>(done)).value();
}

}  // namespace

void ChangeIndex::begin(Index at) {
  last_.clear();
  known_from_ = at;
}

void ChangeIndex::note(std::span<const LockRequest> locks, Index at) {
  if (last_.size() + locks.size() > most_) begin(at);
  for (const LockRequest& lock : locks) {
    if (lock.mode == LockMode::intention_exclusive) last_[name_of(lock.key, Done::within)] = at;
    if (lock.mode == LockMode::exclusive || lock.mode == LockMode::escrow) last_[name_of(lock.key, Done::itself)] = at;
  }
}

bool ChangeIndex::unchanged_since(std::span<const LockRequest> locks, Index since) const {
  if (since < known_from_) return false;
  const auto changed = [&](const Bytes& key, Done done) {
    const auto found = last_.find(name_of(key, done));
    return found != last_.end() && found->second > since;
  };
  for (const LockRequest& lock : locks) {
    if (changed(lock.key, Done::itself)) return false;
    if (lock.mode == LockMode::shared && changed(lock.key, Done::within)) return false;
  }
  return true;
}

}  // namespace assent
