// A running 64-bit digest over values in the order in which they are added: each value is mixed with XXH3-64 seeded by
// the digest so far. For comparing states of replicas and runs, and for checksums; not cryptographic.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ids.h"

namespace assent {

// XXH3-64 of the bytes with the given seed.
[[nodiscard]] std::uint64_t xxh3(std::string_view bytes, std::uint64_t seed = 0);

class Digest {
 public:
  Digest& add(std::uint64_t value);
  Digest& add(std::string_view bytes);  // the length is mixed in, so "ab","c" differs from "a","bc"
  Digest& add(const char* text) { return add(std::string_view(text)); }
  Digest& add(const TxnId& id);
  template <class Tag>
  Digest& add(Id<Tag> id) {
    return add(id.value);
  }
  [[nodiscard]] std::uint64_t value() const { return state_; }
  bool operator==(const Digest&) const = default;

 private:
  std::uint64_t state_ = 0x243F6A8885A308D3ULL;
};

}  // namespace assent
