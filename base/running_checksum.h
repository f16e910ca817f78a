// XXH3-64 over bytes that come piece by piece: the same number as xxh3() over all of them at once, with the same seed.
// A value; copies go on by themselves.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace assent {

class RunningChecksum {
 public:
  RunningChecksum() : RunningChecksum(0) {}
  explicit RunningChecksum(std::uint64_t seed);
  RunningChecksum(const RunningChecksum& other);
  RunningChecksum(RunningChecksum&& other) noexcept;
  RunningChecksum& operator=(RunningChecksum other) noexcept;
  ~RunningChecksum();

  void add(std::string_view bytes);
  // Of what was added so far.
  [[nodiscard]] std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assent
