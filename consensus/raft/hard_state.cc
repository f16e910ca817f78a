#include "consensus/raft/hard_state.h"

#include "base/byte_codec.h"

namespace assent::raft {
namespace {
constexpr std::uint8_t version = 1;
}  // namespace

Bytes encode_hard_state(const HardState& state) {
  Bytes bytes;
  ByteWriter(bytes).u8(version).id(state.term).id(state.vote);
  return bytes;
}

std::optional<HardState> decode_hard_state(ByteView bytes) {
  if (bytes.empty()) return HardState{};
  ByteReader reader(bytes);
  const bool known = reader.u8() == version;
  const HardState state{.term = reader.id<Epoch>(), .vote = reader.id<NodeId>()};
  if (!known || !reader.complete()) return std::nullopt;
  return state;
}

}  // namespace assent::raft
