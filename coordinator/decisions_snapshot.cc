// The bytes of a Decisions snapshot, and of what stands beside an archive's outcomes: the same, but for the outcomes
// that the archive holds. docs/FORMATS.md has the layout; a change of it is a new version.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/byte_codec.h"
#include "base/planted.h"
#include "coordinator/decisions.h"
#include "txn_proto/record_codec.h"

namespace assent {
namespace {

// Of what is written: 8 once shards were admitted, and 7, which has none, until then; 6 has no traces, no retriable
// steps and nothing that was ended by hand, 5 has no recorded transactions, 4 no sequence numbers, 3 no services, 2 no
// ballots, 1 knows fewer protocols as well.
constexpr std::uint8_t version = 8;
constexpr std::uint8_t version_without_admitted = 7;
constexpr std::size_t open_bytes_least = 16 + 16 + 1 + 8 + 8 + 4;
constexpr std::size_t begun_bytes_least = 16 + 16 + 1 + 8 + 4 + 4;
constexpr std::size_t service_bytes_least = 4 + 4 + 4;
constexpr std::size_t step_bytes_least = 8 + 4;  // and of what was ended by hand
constexpr std::size_t ballot_bytes_least = 16 + 8 + 4 + 24 + 24 + 1;
constexpr std::uint64_t sequences_max = 1ULL << 62U;

void write(ByteWriter& out, const std::vector<ServiceAddress>& services) {
  out.u32(static_cast<std::uint32_t>(services.size()));
  for (const ServiceAddress& service : services) {
    out.bytes(service.name).bytes(service.target).bytes(service.participant);
  }
}

void write(ByteWriter& out, const std::vector<RetriableStep>& steps) {
  out.u32(static_cast<std::uint32_t>(steps.size()));
  for (const RetriableStep& step : steps) out.id(step.service).bytes(step.payload);
}

void write(ByteWriter& out, const TxnId& txn, const OpenOutcome& commit) {
  out.txn(txn);
  write(out, commit.attempt);
  out.u8(static_cast<std::uint8_t>(commit.protocol)).u64(commit.fingerprint).id(commit.decided_at);
  write(out, commit.participants);
  write(out, commit.services);
  out.u8(static_cast<std::uint8_t>(commit.outcome)).u8(static_cast<std::uint8_t>(commit.reason));
  out.u8(static_cast<std::uint8_t>(commit.mode)).bytes(commit.trace);
  write(out, commit.steps);
  out.u32(static_cast<std::uint32_t>(commit.by_hand.size()));
  for (const auto& [service, reason] : commit.by_hand) out.id(service).bytes(reason);
}

void write(ByteWriter& out, const TxnId& txn, const BegunTxn& begun) {
  out.txn(txn);
  write(out, begun.attempt);
  out.u8(static_cast<std::uint8_t>(begun.mode)).u64(begun.fingerprint);
  write(out, begun.participants);
  write(out, begun.services);
  out.bytes(begun.trace);
  write(out, begun.steps);
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

bool read_trace(ByteReader& in, std::uint8_t found, Bytes& trace) {
  if (found >= 7) trace = in.bytes();
  return in.ok() && trace.size() <= trace_bytes_max;
}

bool read_steps(ByteReader& in, std::vector<RetriableStep>& steps) {
  const std::uint32_t count = in.u32();
  if (!in.ok() || count > in.remaining() / step_bytes_least) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    RetriableStep& step = steps.emplace_back();
    step.service = in.id<GroupId>();
    step.payload = Bytes(in.bytes());
    if (!is_service(step.service)) return false;
  }
  return in.ok();
}

bool read_by_hand(ByteReader& in, std::map<GroupId, std::string>& by_hand) {
  const std::uint32_t count = in.u32();
  if (!in.ok() || count > in.remaining() / step_bytes_least) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto service = in.id<GroupId>();
    if (!by_hand.empty() && service <= by_hand.rbegin()->first) return false;
    by_hand.emplace_hint(by_hand.end(), service, std::string(in.bytes()));
  }
  return in.ok();
}

bool read(ByteReader& in, OpenOutcome& commit, std::uint8_t found) {
  if (!read(in, commit.attempt) || !read_protocol(in, commit.protocol)) return false;
  commit.fingerprint = in.u64();
  commit.decided_at = in.id<ClusterMillis>();
  if (!read(in, commit.participants)) return false;
  if (found >= 4 && !read_services(in, commit.services)) return false;
  if (found < 6) return true;
  const bool enums = read_enum(in, commit.outcome, Outcome::committed, Outcome::aborted) &&
                     read_enum(in, commit.reason, AbortReason::none, abort_reason_last) &&
                     read_enum(in, commit.mode, Mode::atomic, mode_last);
  if (!enums || found < 7) return enums;
  return read_trace(in, found, commit.trace) && read_steps(in, commit.steps) && read_by_hand(in, commit.by_hand);
}

bool read_begun(ByteReader& in, std::map<TxnId, BegunTxn>& begun, std::uint8_t found) {
  const std::uint64_t count = in.u64();
  if (!in.ok() || count > in.remaining() / begun_bytes_least) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    const TxnId txn = in.txn();
    BegunTxn one;
    if (!read(in, one.attempt) || !read_enum(in, one.mode, Mode::tcc, mode_last)) return false;
    one.fingerprint = in.u64();
    if (!read(in, one.participants) || !read_services(in, one.services)) return false;
    if (!read_trace(in, found, one.trace)) return false;
    if (found >= 7 && !read_steps(in, one.steps)) return false;
    if (!begun.empty() && txn <= begun.rbegin()->first) return false;
    begun.emplace_hint(begun.end(), txn, std::move(one));
  }
  return true;
}

bool read_open(ByteReader& in, std::map<TxnId, OpenOutcome>& open, std::uint8_t found) {
  const std::uint64_t count = in.u64();
  if (!in.ok() || count > in.remaining() / open_bytes_least) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    const TxnId txn = in.txn();
    OpenOutcome commit;
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

// Of versions below 5: they count from where they begin.
bool read_old_history(ByteReader& in, OutcomeHistory::Content& history) {
  const std::uint64_t count = in.u64();
  if (!in.ok() || count > in.remaining() / settled_outcome_bytes) return false;
  history.records = in.raw(count * settled_outcome_bytes);
  return in.ok();
}

bool read_history(ByteReader& in, OutcomeHistory::Content& history) {
  history.first = in.u64();
  history.records_from = in.u64();
  const std::uint64_t end = in.u64();
  const bool ascending = history.first <= history.records_from && history.records_from <= end && end < sequences_max;
  if (!in.ok() || !ascending) return false;
  const std::uint64_t count = end - history.records_from;
  if (count > in.remaining() / settled_outcome_bytes) return false;
  history.records = in.raw(count * settled_outcome_bytes);
  return in.ok();
}

bool read_admitted(ByteReader& in, std::vector<GroupId>& admitted) {
  return read(in, admitted) &&
         std::adjacent_find(admitted.begin(), admitted.end(), std::greater_equal<>()) == admitted.end();
}

bool records_are_good(ByteView records) {
  ByteReader in(records);
  SettledOutcome record;
  while (in.remaining() > 0) {
    if (!read(in, record)) return false;
  }
  return true;
}

struct Parts {
  ClusterMillis stamp;
  std::map<TxnId, OpenOutcome> open;
  OutcomeHistory::Content history;
  std::map<TxnId, BallotRecord> ballots;
  std::map<TxnId, BegunTxn> begun;
  std::vector<GroupId> admitted;
};

Result<Parts> parse(ByteView bytes) {
  ByteReader in(bytes);
  const std::uint8_t found = in.u8();
  if (!in.ok() || found == 0) return fail(ErrorCode::corruption, "not a snapshot of decisions");
  if (found > version) {
    return fail(ErrorCode::unsupported,
                fmt::format("the snapshot of decisions has version {}, and this build knows {}: use a newer build",
                            found, version));
  }
  Parts parts;
  parts.stamp = in.id<ClusterMillis>();
  bool good = read_open(in, parts.open, found);
  const bool has_forgotten = in.u8() != 0;
  const auto forgotten = in.id<ClusterMillis>();
  if (has_forgotten) parts.history.forgotten_up_to = forgotten;
  good = good && (found < 5 ? read_old_history(in, parts.history) : read_history(in, parts.history));
  good = good && records_are_good(parts.history.records);
  good = good && (found < 3 || read_ballots(in, parts.ballots));
  good = good && (found < 6 || read_begun(in, parts.begun, found));
  good = good && (found < 8 || read_admitted(in, parts.admitted)) && in.complete();
  if (!good) return fail(ErrorCode::corruption, "the snapshot of decisions is damaged");
  if (planted(Bug::promise_forgotten)) {
    for (auto& [txn, record] : parts.ballots) record.acceptor = {};
  }
  return parts;
}

// As another replica sends it: with all of the history.
Result<Parts> parse_whole(ByteView bytes) {
  auto parts = parse(bytes);
  if (!parts || parts->history.first == parts->history.records_from) return parts;
  if (!planted(Bug::snapshot_without_outcomes)) {
    return fail(ErrorCode::corruption, "the snapshot of decisions holds a part of the history only");
  }
  parts->history.first = parts->history.records_from;
  return parts;
}

}  // namespace

Bytes Decisions::snapshot_head(std::uint64_t from) const {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(admitted_.empty() ? version_without_admitted : version).id(stamp_).u64(open_.size());
  for (const auto& [txn, commit] : open_) write(out, txn, commit);
  const auto forgotten = history_.forgotten_up_to();
  out.u8(forgotten ? 1 : 0).id(forgotten.value_or(ClusterMillis()));
  out.u64(history_.first()).u64(from).u64(history_.end());
  return bytes;
}

Result<Bytes> Decisions::snapshot_settled(std::uint64_t from, std::uint64_t to) const {
  Bytes bytes;
  bytes.reserve((to - std::min(from, to)) * settled_outcome_bytes);
  ByteWriter out(bytes);
  history_.each(from, to, [&out](const SettledOutcome& record) { write(out, record); });
  if (failure()) return fail(*failure());
  return bytes;
}

Bytes Decisions::snapshot_tail() const {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u64(ballots_.size());
  for (const auto& [txn, record] : ballots_) {
    out.txn(txn).u64(record.fingerprint);
    write(out, record.participants);
    write(out, record.acceptor);
  }
  out.u64(begun_.size());
  for (const auto& [txn, begun] : begun_) write(out, txn, begun);
  if (!admitted_.empty()) write(out, admitted_);
  return bytes;
}

Bytes Decisions::bytes_with_history_from(std::uint64_t sequence) const {
  Bytes bytes = snapshot_head(sequence);
  bytes.reserve(bytes.size() + (history_.end() - sequence) * settled_outcome_bytes);
  ByteWriter out(bytes);
  history_.each(sequence, [&out](const SettledOutcome& record) { write(out, record); });
  bytes += snapshot_tail();
  return bytes;
}

Result<Bytes> Decisions::snapshot() const {
  Bytes bytes = bytes_with_history_from(planted(Bug::snapshot_without_outcomes) ? history_.end() : history_.first());
  if (failure()) return fail(*failure());
  return bytes;
}

Result<void> Decisions::restorable(ByteView snapshot) {
  const auto parts = parse_whole(snapshot);
  return parts ? Result<void>() : fail(parts.error());
}

Result<void> Decisions::restore(ByteView snapshot, Index applied) {
  auto parts = parse_whole(snapshot);
  if (!parts) return fail(parts.error());
  OutcomeHistory::Content& history = parts->history;
  stamp_ = parts->stamp;
  begun_ = std::move(parts->begun);
  open_ = std::move(parts->open);
  ballots_ = std::move(parts->ballots);
  admitted_ = std::move(parts->admitted);
  return history_.restore(history, applied, [this](std::uint64_t from) { return bytes_with_history_from(from); });
}

// ---- the archive ----

Result<Index> Decisions::load() {
  const ArchiveMark& mark = history_.archive()->mark();
  if (mark.machine.empty()) {
    if (auto loaded = history_.load({}); !loaded) return fail(loaded.error());
    return Index(0);
  }
  auto parts = parse(mark.machine);
  if (!parts) return fail(parts.error().code, "what the archive of outcomes holds beside them is damaged");
  if (auto loaded = history_.load(parts->history); !loaded) return fail(loaded.error());
  stamp_ = parts->stamp;
  begun_ = std::move(parts->begun);
  open_ = std::move(parts->open);
  ballots_ = std::move(parts->ballots);
  admitted_ = std::move(parts->admitted);
  return mark.applied;
}

Result<void> Decisions::checkpoint(Index applied) {
  if (failure()) return fail(*failure());
  if (!history_.write_due()) return {};
  return history_.write(applied, false, [this](std::uint64_t from) { return bytes_with_history_from(from); });
}

Result<void> Decisions::save(Index applied) {
  if (failure()) return fail(*failure());
  if (history_.archive() == nullptr) return {};
  return history_.write(applied, true, [this](std::uint64_t from) { return bytes_with_history_from(from); });
}

Result<DecisionsSummary> summarize_machine(ByteView machine) {
  const auto parts = parse(machine);
  if (!parts) return fail(parts.error());
  return DecisionsSummary{.stamp = parts->stamp,
                          .open = parts->open.size(),
                          .balloted = parts->ballots.size(),
                          .settled = parts->history.end() - parts->history.first,
                          .forgotten_up_to = parts->history.forgotten_up_to};
}

}  // namespace assent
