#include "coordinator/settled_outcome.h"

#include "txn_proto/record_codec.h"

namespace assent {
namespace {
// The byte of the protocol holds the mode, too, and whether an operator had to do with it.
constexpr unsigned mode_shift = 4;
constexpr unsigned by_hand_bit = 1U << 7U;
}  // namespace

void write(ByteWriter& out, const SettledOutcome& record) {
  out.txn(record.txn);
  write(out, record.attempt);
  out.u64(record.fingerprint).id(record.decided_at).u8(static_cast<std::uint8_t>(record.outcome));
  const auto mode = static_cast<unsigned>(record.mode) << mode_shift;
  const unsigned by_hand = record.by_hand ? by_hand_bit : 0;
  out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(record.protocol) | mode | by_hand));
  out.u8(static_cast<std::uint8_t>(record.reason));
}

bool read_protocol(ByteReader& in, Protocol& protocol) {
  return read_enum(in, protocol, Protocol::automatic, Protocol::paxos_commit);
}

bool read(ByteReader& in, SettledOutcome& record) {
  record.txn = in.txn();
  if (!read(in, record.attempt)) return false;
  record.fingerprint = in.u64();
  record.decided_at = in.id<ClusterMillis>();
  if (!read_enum(in, record.outcome, Outcome::committed, Outcome::aborted)) return false;
  const unsigned both = in.u8();
  const unsigned protocol = both & ((1U << mode_shift) - 1);
  const unsigned mode = (both & ~by_hand_bit) >> mode_shift;
  if (protocol > static_cast<unsigned>(Protocol::paxos_commit) || mode > static_cast<unsigned>(mode_last)) return false;
  record.protocol = static_cast<Protocol>(protocol);
  record.mode = static_cast<Mode>(mode);
  record.by_hand = (both & by_hand_bit) != 0;
  return read_enum(in, record.reason, AbortReason::none, abort_reason_last);
}

}  // namespace assent
