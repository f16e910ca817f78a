#include "base/running_checksum.h"

#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace assent {

struct RunningChecksum::State {
  XXH3_state_t xxh;  // asks for an alignment of 64 bytes, which the type itself brings
};

// Seeded states keep their secret inside, so a copy of the bytes is a copy of the state.
RunningChecksum::RunningChecksum(std::uint64_t seed) : state_(std::make_unique<State>()) {
  XXH3_INITSTATE(&state_->xxh);
  XXH3_64bits_reset_withSeed(&state_->xxh, seed);
}
RunningChecksum::RunningChecksum(const RunningChecksum& other) : state_(std::make_unique<State>()) {
  XXH3_copyState(&state_->xxh, &other.state_->xxh);
}
RunningChecksum::RunningChecksum(RunningChecksum&& other) noexcept = default;
RunningChecksum& RunningChecksum::operator=(RunningChecksum other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
RunningChecksum::~RunningChecksum() = default;

void RunningChecksum::add(std::string_view bytes) {
  if (!bytes.empty()) XXH3_64bits_update(&state_->xxh, bytes.data(), bytes.size());
}

std::uint64_t RunningChecksum::value() const { return XXH3_64bits_digest(&state_->xxh); }

}  // namespace assent
