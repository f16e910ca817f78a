#include "consensus/raft/hard_state.h"

#include "base/byte_codec.h"

namespace assent::raft {
namespace {
constexpr std::uint8_t founders_version = 1;
constexpr std::uint8_t version = 2;
}  // namespace

Bytes encode_hard_state(const HardState& state) {
  Bytes bytes;
  const bool founder = state.vote.incarnation == 0;
  ByteWriter out(bytes);
  out.u8(founder ? founders_version : version).id(state.term).id(state.vote.node);
  if (!founder) out.u64(state.vote.incarnation);
  return bytes;
}

std::optional<HardState> decode_hard_state(ByteView bytes) {
  if (bytes.empty()) return HardState{};
  ByteReader reader(bytes);
  const std::uint8_t found = reader.u8();
  HardState state{.term = reader.id<Epoch>(), .vote = reader.id<NodeId>()};
  if (found == version) state.vote.incarnation = reader.u64();
  if ((found != founders_version && found != version) || !reader.complete()) return std::nullopt;
  return state;
}

}  // namespace assent::raft
