#include "participant/change_index.h"

#include <utility>

#include "base/digest.h"

namespace assent {

namespace {

constexpr std::size_t places_min = 16;

// Rows of a table have changed, or the thing itself.
enum class Done : std::uint8_t { within = 0, itself = 1 };

std::uint64_t name_of(const Bytes& key, Done done) {
  return Digest().add(key).add(static_cast<std::uint64_t>(done)).value();
}

}  // namespace

std::size_t ChangeIndex::Changes::place_of(std::uint64_t name) const {
  const std::size_t mask = places_.size() - 1;
  std::size_t place = name & mask;
  while (!places_[place].at.none() && places_[place].name != name) place = (place + 1) & mask;
  return place;
}

void ChangeIndex::Changes::put(std::uint64_t name, Index at) {
  if (2 * (used_ + 1) > places_.size()) grow();
  Place& place = places_[place_of(name)];
  if (place.at.none()) ++used_;
  place = {name, at};
}

Index ChangeIndex::Changes::last(std::uint64_t name) const {
  return places_.empty() ? Index() : places_[place_of(name)].at;
}

void ChangeIndex::Changes::grow() {
  const std::vector<Place> old =
      std::exchange(places_, std::vector<Place>(places_.empty() ? places_min : 2 * places_.size()));
  for (const Place& place : old) {
    if (!place.at.none()) places_[place_of(place.name)] = place;
  }
}

void ChangeIndex::begin(Index at) {
  recent_ = {};
  older_ = {};
  known_from_ = at;
  turned_ = at;
}

void ChangeIndex::note(std::span<const LockRequest> locks, Index at) {
  if (2 * (recent_.size() + locks.size()) > most_) {
    older_ = std::exchange(recent_, {});
    known_from_ = std::exchange(turned_, at);
  }
  for (const LockRequest& lock : locks) {
    if (lock.mode == LockMode::intention_exclusive) recent_.put(name_of(lock.key, Done::within), at);
    if (lock.mode == LockMode::exclusive || lock.mode == LockMode::escrow)
      recent_.put(name_of(lock.key, Done::itself), at);
  }
}

bool ChangeIndex::unchanged_since(std::span<const LockRequest> locks, Index since) const {
  if (since < known_from_) return false;
  const auto changed = [&](const Bytes& key, Done done) {
    const std::uint64_t name = name_of(key, done);
    return recent_.last(name) > since || older_.last(name) > since;
  };
  for (const LockRequest& lock : locks) {
    if (changed(lock.key, Done::itself)) return false;
    if (lock.mode == LockMode::shared && changed(lock.key, Done::within)) return false;
  }
  return true;
}

}  // namespace assent
