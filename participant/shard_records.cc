#include "participant/shard_records.h"

#include "base/byte_codec.h"
#include "txn_proto/record_codec.h"

namespace assent {
namespace {

constexpr std::uint8_t version = 6;  // of what is written. Read too: 1, before protocols were recorded; 2, before
                                     // counters; 3, before heuristics; 4, before ballots; 5, before traces
constexpr std::uint8_t machine_version = 2;  // Read too: 1, before heuristics were counted
enum class RecordKind : std::uint8_t { prepared = 1, finished = 2 };

enum Flag : std::uint8_t { flag_voted_yes = 1, flag_one_phase = 2, flag_result_dropped = 4, flag_all = 7 };

bool read_protocol(ByteReader& in, Protocol& protocol) {
  const std::uint8_t value = in.u8();
  if (value > static_cast<std::uint8_t>(Protocol::paxos_commit)) return false;
  protocol = static_cast<Protocol>(value);
  return in.ok();
}

void write_heuristic(ByteWriter& out, const std::optional<Heuristic>& heuristic) {
  out.u8(heuristic ? 1 : 0);
  if (heuristic) out.u8(heuristic->commit ? 1 : 0).id(heuristic->at).bytes(heuristic->reason);
}

bool read_heuristic(ByteReader& in, std::optional<Heuristic>& heuristic) {
  const std::uint8_t there = in.u8();
  if (!in.ok() || there > 1) return false;
  if (there == 0) return true;
  const std::uint8_t commit = in.u8();
  heuristic.emplace();
  heuristic->commit = commit == 1;
  heuristic->at = in.id<ClusterMillis>();
  heuristic->reason = in.bytes();
  return in.ok() && commit <= 1;
}

bool read_prepared(ByteReader& in, std::uint8_t found, PreparedTxn& prepared) {
  if (!read(in, prepared.attempt)) return false;
  prepared.coordinator = in.id<GroupId>();
  if (!read(in, prepared.participants)) return false;
  prepared.fingerprint = in.u64();
  prepared.age = in.txn();
  const bool effects = found >= 3 ? read(in, prepared.effects) : read_without_adds(in, prepared.effects);
  if (!effects || !read(in, prepared.result)) return false;
  prepared.prepared_at = in.id<ClusterMillis>();
  if (found >= 2 && !read_protocol(in, prepared.protocol)) return false;
  if (found >= 4 && !read_heuristic(in, prepared.heuristic)) return false;
  if (found >= 5 && ballots_decide(prepared.protocol) && !read(in, prepared.acceptor)) return false;
  if (found >= 6) prepared.trace = in.bytes();
  return in.complete() && prepared.trace.size() <= trace_bytes_max;
}

// What version 1 did not say follows from what it said.
Protocol protocol_of_version_1(const FinishedTxn& finished, bool one_phase) {
  if (one_phase) return Protocol::one_phase;
  const bool sealed = finished.fingerprint == 0 && finished.attempt == Attempt{};
  return sealed ? Protocol::automatic : Protocol::two_phase;
}

bool read_finished(ByteReader& in, std::uint8_t found, FinishedTxn& finished) {
  const std::uint8_t outcome = in.u8();
  const std::uint8_t flags = in.u8();
  if (outcome == 0 || outcome > static_cast<std::uint8_t>(Outcome::aborted) || flags > flag_all) return false;
  finished.outcome = static_cast<Outcome>(outcome);
  finished.voted_yes = (flags & flag_voted_yes) != 0;
  finished.result_dropped = (flags & flag_result_dropped) != 0;
  if (!read(in, finished.attempt)) return false;
  finished.fingerprint = in.u64();
  finished.finished_at = in.id<ClusterMillis>();
  finished.detail = in.bytes();
  if (found == 1) {
    finished.protocol = protocol_of_version_1(finished, (flags & flag_one_phase) != 0);
    return in.complete();
  }
  if (!read_protocol(in, finished.protocol)) return false;
  if (found >= 4 && !read_heuristic(in, finished.heuristic)) return false;
  if (!finished.is_asked_for()) return in.complete();
  finished.coordinator = in.id<GroupId>();
  return read(in, finished.participants) && in.complete();
}

}  // namespace

Bytes encode_record(const PreparedTxn& prepared) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(version).u8(static_cast<std::uint8_t>(RecordKind::prepared));
  write(out, prepared.attempt);
  out.id(prepared.coordinator);
  write(out, prepared.participants);
  out.u64(prepared.fingerprint).txn(prepared.age);
  write(out, prepared.effects);
  write(out, prepared.result);
  out.id(prepared.prepared_at).u8(static_cast<std::uint8_t>(prepared.protocol));
  write_heuristic(out, prepared.heuristic);
  if (ballots_decide(prepared.protocol)) write(out, prepared.acceptor);
  out.bytes(prepared.trace);
  return bytes;
}

Bytes encode_record(const FinishedTxn& finished) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(version).u8(static_cast<std::uint8_t>(RecordKind::finished)).u8(static_cast<std::uint8_t>(finished.outcome));
  out.u8(static_cast<std::uint8_t>((finished.voted_yes ? flag_voted_yes : 0) |
                                   (finished.protocol == Protocol::one_phase ? flag_one_phase : 0) |
                                   (finished.result_dropped ? flag_result_dropped : 0)));
  write(out, finished.attempt);
  out.u64(finished.fingerprint).id(finished.finished_at).bytes(finished.detail);
  out.u8(static_cast<std::uint8_t>(finished.protocol));
  write_heuristic(out, finished.heuristic);
  if (!finished.is_asked_for()) return bytes;
  out.id(finished.coordinator);
  write(out, finished.participants);
  return bytes;
}

Result<std::variant<PreparedTxn, FinishedTxn>> decode_record(ByteView bytes) {
  ByteReader in(bytes);
  const std::uint8_t found = in.u8();
  const bool known = found >= 1 && found <= version;
  const std::uint8_t kind = in.u8();
  if (known && in.ok() && kind == static_cast<std::uint8_t>(RecordKind::prepared)) {
    PreparedTxn prepared;
    if (read_prepared(in, found, prepared)) return prepared;
  }
  if (known && in.ok() && kind == static_cast<std::uint8_t>(RecordKind::finished)) {
    FinishedTxn finished;
    if (read_finished(in, found, finished)) return finished;
  }
  return fail(ErrorCode::corruption, "a transaction's record in the shard's store is damaged, or of a newer build");
}

Bytes encode_machine_record(const MachineRecord& record) {
  Bytes bytes;
  const HeuristicCounts& counts = record.heuristics;
  ByteWriter out(bytes);
  out.u8(machine_version).id(record.stamp).u64(counts.commits).u64(counts.aborts).u64(counts.forgotten);
  return bytes;
}

Result<MachineRecord> decode_machine_record(ByteView bytes) {
  if (bytes.empty()) return MachineRecord{};
  ByteReader in(bytes);
  const std::uint8_t found = in.u8();
  MachineRecord record{.stamp = in.id<ClusterMillis>()};
  if (found >= 2) {
    record.heuristics.commits = in.u64();
    record.heuristics.aborts = in.u64();
    record.heuristics.forgotten = in.u64();
  }
  if (found < 1 || found > machine_version || !in.complete()) {
    return fail(ErrorCode::corruption, "the machine's record in the shard's store is damaged, or of a newer build");
  }
  return record;
}

Bytes encode_detail(const Refusal& refusal) {
  Bytes bytes;
  ByteWriter out(bytes);
  write(out, refusal);
  return bytes;
}

Bytes encode_detail(const WorkResult& result) {
  Bytes bytes;
  ByteWriter out(bytes);
  write(out, result);
  return bytes;
}

}  // namespace assent
