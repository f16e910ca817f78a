#include "coordinator/settled_outcome.h"

#include "txn_proto/record_codec.h"

namespace assent {

void write(ByteWriter& out, const SettledOutcome& record) {
  out.txn(record.txn);
  write(out, record.attempt);
  out.u64(record.fingerprint).id(record.decided_at).u8(static_cast<std::uint8_t>(record.outcome));
  out.u8(static_cast<std::uint8_t>(record.protocol)).u8(static_cast<std::uint8_t>(record.reason));
}

bool read_protocol(ByteReader& in, Protocol& protocol) {
  const std::uint8_t value = in.u8();
  if (value > static_cast<std::uint8_t>(Protocol::paxos_commit)) return false;
  protocol = static_cast<Protocol>(value);
  return in.ok();
}

bool read(ByteReader& in, SettledOutcome& record) {
  record.txn = in.txn();
  if (!read(in, record.attempt)) return false;
  record.fingerprint = in.u64();
  record.decided_at = in.id<ClusterMillis>();
  const std::uint8_t outcome = in.u8();
  if (outcome == 0 || outcome > static_cast<std::uint8_t>(Outcome::aborted)) return false;
  record.outcome = static_cast<Outcome>(outcome);
  if (!read_protocol(in, record.protocol)) return false;
  const std::uint8_t reason = in.u8();
  if (reason > static_cast<std::uint8_t>(abort_reason_last)) return false;
  record.reason = static_cast<AbortReason>(reason);
  return in.ok();
}

}  // namespace assent
