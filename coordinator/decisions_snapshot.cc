// The bytes of a Decisions snapshot. docs/FORMATS.md has the layout; a change of it is a new version.
#include "base/byte_codec.h"
#include "base/planted.h"
#include "coordinator/decisions.h"
#include "txn_proto/record_codec.h"

namespace assent {
namespace {

constexpr std::uint8_t version = 4;  // of what is written; 3 has no services, 2 no ballots, 1 knows fewer protocols
constexpr std::size_t open_bytes_least = 16 + 16 + 1 + 8 + 8 + 4;
constexpr std::size_t service_bytes_least = 4 + 4 + 4;
constexpr std::size_t ballot_bytes_least = 16 + 8 + 4 + 24 + 24 + 1;
constexpr std::size_t settled_bytes = 16 + 16 + 8 + 8 + 1 + 1 + 1;

void write(ByteWriter& out, const TxnId& txn, const OpenCommit& commit) {
  out.txn(txn);
  write(out, commit.attempt);
  out.u8(static_cast<std::uint8_t>(commit.protocol)).u64(commit.fingerprint).id(commit.decided_at);
  write(out, commit.participants);
  out.u32(static_cast<std::uint32_t>(commit.services.size()));
  for (const ServiceAddress& service : commit.services) {
    out.bytes(service.name).bytes(service.target).bytes(service.participant);
  }
}

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

bool read_services(ByteReader& in, std::vector<ServiceAddress>& services) {
  const std::uint32_t count = in.u32();
  if (!in.ok() || count > in.remaining() / service_bytes_least) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    ServiceAddress& service = services.emplace_back();
    service.name = Bytes(in.bytes());
    service.target = Bytes(in.bytes());
    service.participant = Bytes(in.bytes());
  }
  return in.ok();
}

bool read(ByteReader& in, OpenCommit& commit, std::uint8_t found) {
  if (!read(in, commit.attempt) || !read_protocol(in, commit.protocol)) return false;
  commit.fingerprint = in.u64();
  commit.decided_at = in.id<ClusterMillis>();
  if (!read(in, commit.participants)) return false;
  return found < 4 || read_services(in, commit.services);
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

bool read_open(ByteReader& in, std::map<TxnId, OpenCommit>& open, std::uint8_t found) {
  const std::uint64_t count = in.u64();
  if (!in.ok() || count > in.remaining() / open_bytes_least) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    const TxnId txn = in.txn();
    OpenCommit commit;
    if (!read(in, commit, found)) return false;
    if (!open.empty() && txn <= open.rbegin()->first) return false;
    open.emplace_hint(open.end(), txn, std::move(commit));
  }
  return true;
}

bool read_ballots(ByteReader& in, std::map<TxnId, BallotRecord>& ballots) {
  const std::uint64_t count = in.u64();
  if (!in.ok() || count > in.remaining() / ballot_bytes_least) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    const TxnId txn = in.txn();
    BallotRecord record;
    record.fingerprint = in.u64();
    if (!read(in, record.participants) || !read(in, record.acceptor)) return false;
    if (!ballots.empty() && txn <= ballots.rbegin()->first) return false;
    ballots.emplace_hint(ballots.end(), txn, std::move(record));
  }
  return true;
}

bool read_history(ByteReader& in, std::deque<SettledOutcome>& records, std::optional<ClusterMillis>& forgotten) {
  const bool has_forgotten = in.u8() != 0;
  const auto forgotten_up_to = in.id<ClusterMillis>();
  if (has_forgotten) forgotten = forgotten_up_to;
  const std::uint64_t count = in.u64();
  if (!in.ok() || count > in.remaining() / settled_bytes) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!read(in, records.emplace_back())) return false;
  }
  return true;
}

}  // namespace

Bytes Decisions::snapshot() const {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(version).id(stamp_).u64(open_.size());
  for (const auto& [txn, commit] : open_) write(out, txn, commit);
  const auto forgotten = history_.forgotten_up_to();
  out.u8(forgotten ? 1 : 0).id(forgotten.value_or(ClusterMillis()));
  const bool without = planted(Bug::snapshot_without_outcomes);
  out.u64(without ? 0 : history_.size());
  for (const SettledOutcome& record : history_.records()) {
    if (!without) write(out, record);
  }
  out.u64(ballots_.size());
  for (const auto& [txn, record] : ballots_) {
    out.txn(txn).u64(record.fingerprint);
    write(out, record.participants);
    write(out, record.acceptor);
  }
  return bytes;
}

Result<void> Decisions::restore(ByteView snapshot) {
  ByteReader in(snapshot);
  const std::uint8_t found = in.u8();
  if (!in.ok() || found == 0 || found > version)
    return fail(ErrorCode::corruption, "not a snapshot of decisions, or of a newer build");
  const auto stamp = in.id<ClusterMillis>();
  std::map<TxnId, OpenCommit> open;
  std::deque<SettledOutcome> records;
  std::optional<ClusterMillis> forgotten;
  std::map<TxnId, BallotRecord> ballots;
  const bool read = read_open(in, open, found) && read_history(in, records, forgotten) &&
                    (found < 3 || read_ballots(in, ballots)) && in.complete();
  if (!read) {
    return fail(ErrorCode::corruption, "the snapshot of decisions is damaged");
  }
  stamp_ = stamp;
  open_ = std::move(open);
  history_.restore(std::move(records), forgotten);
  ballots_ = std::move(ballots);
  if (planted(Bug::promise_forgotten)) {
    for (auto& [txn, record] : ballots_) record.acceptor = {};
  }
  return {};
}

}  // namespace assent
