#include "txn_proto/record_codec.h"

#include <bit>

namespace assent {
namespace {

// A count that the remaining bytes could hold, each element being at least `least` bytes: no allocation beyond the
// input.
bool read_count(ByteReader& in, std::size_t least, std::size_t& count) {
  count = in.u32();
  return in.ok() && count <= in.remaining() / least;
}

bool read_text(ByteReader& in, std::string& out) {
  out = in.bytes();
  return in.ok();
}

struct WriteValue {
  ByteWriter& out;
  void operator()(const SqlNull&) const {}
  void operator()(std::int64_t value) const { out.u64(static_cast<std::uint64_t>(value)); }
  void operator()(double value) const { out.u64(std::bit_cast<std::uint64_t>(value)); }
  void operator()(const std::string& value) const { out.bytes(value); }
  void operator()(const SqlBlob& value) const { out.bytes(value.bytes); }
};

bool read_value(ByteReader& in, SqlValue& value) {
  switch (in.u8()) {
    case 0: value = SqlNull{}; break;
    case 1: value = static_cast<std::int64_t>(in.u64()); break;
    case 2: value = std::bit_cast<double>(in.u64()); break;
    case 3: value = std::string(in.bytes()); break;
    case 4: value = SqlBlob{Bytes(in.bytes())}; break;
    default: return false;
  }
  return in.ok();
}

bool read_operation(ByteReader& in, OperationResult& operation) {
  std::size_t count = 0;
  if (!read_count(in, 4, count)) return false;
  operation.columns.resize(count);
  for (std::string& column : operation.columns) {
    if (!read_text(in, column)) return false;
  }
  if (!read_count(in, 4, count)) return false;
  operation.rows.resize(count);
  for (std::vector<SqlValue>& row : operation.rows) {
    if (!read_count(in, 1, count)) return false;
    row.resize(count);
    for (SqlValue& value : row) {
      if (!read_value(in, value)) return false;
    }
  }
  operation.rows_affected = in.u64();
  return in.ok();
}

void write_count(ByteWriter& out, std::size_t count) { out.u32(static_cast<std::uint32_t>(count)); }

}  // namespace

void write(ByteWriter& out, const Attempt& attempt) { out.id(attempt.epoch).u64(attempt.number); }

bool read(ByteReader& in, Attempt& attempt) {
  attempt.epoch = in.id<Epoch>();
  attempt.number = in.u64();
  return in.ok();
}

void write(ByteWriter& out, const std::vector<GroupId>& groups) {
  write_count(out, groups.size());
  for (const GroupId group : groups) out.id(group);
}

bool read(ByteReader& in, std::vector<GroupId>& groups) {
  std::size_t count = 0;
  if (!read_count(in, 8, count)) return false;
  groups.resize(count);
  for (GroupId& group : groups) group = in.id<GroupId>();
  return in.ok();
}

void write(ByteWriter& out, const Acceptor& acceptor) {
  for (const Ballot& ballot : {acceptor.promised, acceptor.accepted}) {
    out.u64(ballot.round).id(ballot.by).id(ballot.epoch);
  }
  out.u8(static_cast<std::uint8_t>(acceptor.value));
}

bool read(ByteReader& in, Acceptor& acceptor) {
  for (Ballot* ballot : {&acceptor.promised, &acceptor.accepted}) {
    ballot->round = in.u64();
    ballot->by = in.id<GroupId>();
    ballot->epoch = in.id<Epoch>();
  }
  const std::uint8_t value = in.u8();
  if (value > static_cast<std::uint8_t>(Outcome::aborted)) return false;
  acceptor.value = static_cast<Outcome>(value);
  return in.ok();
}

void write(ByteWriter& out, const Refusal& refusal) {
  out.u8(static_cast<std::uint8_t>(refusal.reason)).id(refusal.participant).bytes(refusal.message);
  out.bytes(refusal.constraint).txn(refusal.holder);
}

bool read(ByteReader& in, Refusal& refusal) {
  const std::uint8_t reason = in.u8();
  if (reason > static_cast<std::uint8_t>(abort_reason_last)) return false;
  refusal.reason = static_cast<AbortReason>(reason);
  refusal.participant = in.id<GroupId>();
  if (!read_text(in, refusal.message) || !read_text(in, refusal.constraint)) return false;
  refusal.holder = in.txn();
  return in.ok();
}

void write(ByteWriter& out, const Effects& effects) {
  out.bytes(effects.change);
  write_count(out, effects.locks.size());
  for (const LockRequest& lock : effects.locks) out.bytes(lock.key).u8(static_cast<std::uint8_t>(lock.mode));
  write_count(out, effects.adds.size());
  for (const CounterAdd& add : effects.adds) {
    out.bytes(add.key).u64(static_cast<std::uint64_t>(add.delta));
    out.u64(static_cast<std::uint64_t>(add.low)).u64(static_cast<std::uint64_t>(add.high));
  }
}

bool read(ByteReader& in, Effects& effects) {
  if (!read_without_adds(in, effects)) return false;
  std::size_t count = 0;
  if (!read_count(in, 28, count)) return false;
  effects.adds.resize(count);
  for (CounterAdd& add : effects.adds) {
    if (!read_text(in, add.key)) return false;
    add.delta = static_cast<std::int64_t>(in.u64());
    add.low = static_cast<std::int64_t>(in.u64());
    add.high = static_cast<std::int64_t>(in.u64());
  }
  return in.ok();
}

bool read_without_adds(ByteReader& in, Effects& effects) {
  if (!read_text(in, effects.change)) return false;
  std::size_t count = 0;
  if (!read_count(in, 5, count)) return false;
  effects.locks.resize(count);
  for (LockRequest& lock : effects.locks) {
    if (!read_text(in, lock.key)) return false;
    const std::uint8_t mode = in.u8();
    if (mode > static_cast<std::uint8_t>(LockMode::escrow)) return false;
    lock.mode = static_cast<LockMode>(mode);
  }
  return in.ok();
}

void write(ByteWriter& out, const WorkResult& result) {
  write_count(out, result.size());
  for (const OperationResult& operation : result) {
    write_count(out, operation.columns.size());
    for (const std::string& column : operation.columns) out.bytes(column);
    write_count(out, operation.rows.size());
    for (const std::vector<SqlValue>& row : operation.rows) {
      write_count(out, row.size());
      for (const SqlValue& value : row) {
        out.u8(static_cast<std::uint8_t>(value.index()));
        std::visit(WriteValue{out}, value);
      }
    }
    out.u64(operation.rows_affected);
  }
}

bool read(ByteReader& in, WorkResult& result) {
  std::size_t count = 0;
  if (!read_count(in, 16, count)) return false;
  result.resize(count);
  for (OperationResult& operation : result) {
    if (!read_operation(in, operation)) return false;
  }
  return in.ok();
}

}  // namespace assent
