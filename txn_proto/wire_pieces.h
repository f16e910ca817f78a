// What the codecs of messages and of commands share: the smaller values inside them. For those two files alone.
#pragma once

#include <google/protobuf/arena.h>

#include <array>
#include <cstddef>
#include <limits>

#include "assent/wire/wire.pb.h"
#include "txn_proto/value_codec.h"
#include "txn_proto/wire_codec.h"

namespace assent::wire_pieces {

struct WireFamily {
  using Value = wire::Value;
  using Operation = wire::Operation;
  using OperationResult = wire::OperationResult;
  static constexpr bool text_is_utf8 = false;
};
using Values = ValueCodec<WireFamily>;

// A protobuf message between bytes and structs: made once, read once. Its parts lie together on the stack, not one by
// one on the heap; a large one goes on in blocks of the arena.
template <class Proto>
class Scratch {
 public:
  Scratch() : arena_(in(block_)), proto_(google::protobuf::Arena::CreateMessage<Proto>(&arena_)) {}
  Proto& operator*() { return *proto_; }

 private:
  using Block = std::array<char, 4096>;
  static google::protobuf::ArenaOptions in(Block& block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block.data();
    options.initial_block_size = block.size();
    return options;
  }

  alignas(std::max_align_t) Block block_;
  google::protobuf::Arena arena_;
  Proto* proto_;
};

template <class Proto>
inline Bytes serialize(const Proto& proto) {
  Bytes bytes;
  proto.SerializeToString(&bytes);
  return bytes;
}

template <class Proto>
inline bool parse(ByteView bytes, Proto& proto) {
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return false;
  return proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// ---- pieces: to_wire() never fails; a Reader remembers whether anything it read was out of range ----

inline void to_wire(const Attempt& from, wire::Attempt& to) {
  to.set_epoch(from.epoch.value);
  to.set_number(from.number);
}

inline void to_wire(const Refusal& from, wire::Refusal& to) {
  to.set_reason(static_cast<std::uint32_t>(from.reason));
  to.set_participant(from.participant.value);
  to.set_message(from.message);
  to.set_constraint(from.constraint);
  if (!from.holder.none()) to.set_holder(from.holder.to_raw());
}

inline void to_wire(const Effects& from, wire::Effects& to) {
  to.set_change(from.change);
  for (const LockRequest& lock : from.locks) {
    auto& out = *to.add_locks();
    out.set_key(lock.key);
    out.set_mode(static_cast<std::uint32_t>(lock.mode));
  }
  for (const CounterAdd& add : from.adds) {
    auto& out = *to.add_adds();
    out.set_key(add.key);
    out.set_delta(add.delta);
    out.set_low(add.low);
    out.set_high(add.high);
  }
}

inline void to_wire(const WorkResult& from, wire::WorkResult& to) {
  for (const OperationResult& result : from) Values::encode(result, *to.add_results());
}

template <class To>
inline void participants_to_wire(const std::vector<GroupId>& from, To& to) {
  for (const GroupId group : from) to.add_participants(group.value);
}

inline void to_wire(const Cost& from, wire::Cost& to) {
  to.set_rounds(from.rounds);
  to.set_messages(from.messages);
  to.set_entries(from.entries);
  to.set_syncs(from.syncs);
}

inline Cost cost_from_wire(const wire::Cost& from) {
  return {.rounds = from.rounds(), .messages = from.messages(), .entries = from.entries(), .syncs = from.syncs()};
}

class Reader {
 public:
  [[nodiscard]] bool ok() const { return ok_; }

  TxnId txn(const std::string& raw) {
    const auto id = TxnId::from_raw(raw);
    ok_ = ok_ && id.has_value();
    return id.value_or(TxnId{});
  }
  TxnId optional_txn(const std::string& raw) { return raw.empty() ? TxnId{} : txn(raw); }

  template <class Enum>
  Enum enumerator(std::uint32_t value, Enum last) {
    ok_ = ok_ && value <= static_cast<std::uint32_t>(last);
    return static_cast<Enum>(value);
  }

  // Only what reads it judges it; what nobody can have written is left out.
  template <class From>
  static Bytes trace(const From& from) {
    return from.trace().size() <= trace_bytes_max ? Bytes(from.trace()) : Bytes();
  }

  static Attempt attempt(const wire::Attempt& from) { return {Epoch(from.epoch()), from.number()}; }

  template <class From>
  static std::vector<GroupId> participants(const From& from) {
    std::vector<GroupId> groups;
    groups.reserve(static_cast<std::size_t>(from.participants_size()));
    for (const std::uint64_t group : from.participants()) groups.emplace_back(group);
    return groups;
  }

  Refusal refusal(const wire::Refusal& from) {
    return {enumerator(from.reason(), abort_reason_last), GroupId(from.participant()), from.message(),
            from.constraint(), optional_txn(from.holder())};
  }

  // Builds before the field had two-phase alone.
  Protocol protocol(std::uint32_t value) {
    const Protocol read = enumerator(value, Protocol::paxos_commit);
    return read == Protocol::automatic ? Protocol::two_phase : read;
  }

  template <class Repeated>
  std::vector<TxnId> txns(const Repeated& from) {
    std::vector<TxnId> to;
    to.reserve(static_cast<std::size_t>(from.size()));
    for (const auto& raw : from) to.push_back(txn(raw));
    return to;
  }

  Effects effects(const wire::Effects& from) {
    Effects to{from.change(), {}, {}};
    to.locks.reserve(static_cast<std::size_t>(from.locks_size()));
    for (const auto& lock : from.locks()) to.locks.push_back({lock.key(), enumerator(lock.mode(), LockMode::escrow)});
    for (const auto& add : from.adds()) to.adds.push_back({add.key(), add.delta(), add.low(), add.high()});
    return to;
  }

  static WorkResult result(const wire::WorkResult& from) {
    WorkResult to;
    to.reserve(static_cast<std::size_t>(from.results_size()));
    for (const auto& result : from.results()) to.push_back(Values::decode(result));
    return to;
  }

  Work work(const wire::Prepare& from) {
    Work to;
    to.reserve(static_cast<std::size_t>(from.work_size()));
    for (const auto& operation : from.work()) {
      auto decoded = Values::decode(operation);
      ok_ = ok_ && decoded.has_value();
      if (decoded) to.push_back(*std::move(decoded));
    }
    return to;
  }

 private:
  bool ok_ = true;
};

template <class T>
inline Result<T> finish(const Reader& reader, T value, const char* what) {
  if (!reader.ok()) return fail(ErrorCode::malformed, std::string(what) + " has a field out of range");
  return value;
}

inline tl::unexpected<Error> unreadable(const char* what) {
  return fail(ErrorCode::malformed, std::string("these bytes are not a ") + what);
}

inline std::uint32_t number(Protocol protocol) { return static_cast<std::uint32_t>(protocol); }

template <class To>
inline void trace_to_wire(const Bytes& trace, To& to) {
  if (!trace.empty()) to.set_trace(trace);
}

// ---- Finish has one shape in three roles ----

template <class From>
inline void finish_to_wire(const From& from, wire::Finish& to) {
  to.set_txn(from.txn.to_raw());
  to_wire(from.attempt, *to.mutable_attempt());
  to.set_commit(from.commit);
  to.set_protocol(number(from.protocol));
  to.set_fingerprint(from.fingerprint);
}

template <class To>
inline To finish_from_wire(Reader& reader, const wire::Finish& from) {
  return {reader.txn(from.txn()), Reader::attempt(from.attempt()), from.commit(), reader.protocol(from.protocol()),
          from.fingerprint()};
}

// The fields that PrepareWork, RefuseWork and Prepare share.
template <class From, class To>
inline void head_to_wire(const From& from, To& to) {
  to.set_txn(from.txn.to_raw());
  to_wire(from.attempt, *to.mutable_attempt());
  to.set_coordinator(from.coordinator.value);
  participants_to_wire(from.participants, to);
  to.set_fingerprint(from.fingerprint);
  to.set_protocol(number(from.protocol));
}

template <class From, class To>
inline void head_from_wire(Reader& reader, const From& from, To& to) {
  to.txn = reader.txn(from.txn());
  to.attempt = Reader::attempt(from.attempt());
  to.coordinator = GroupId(from.coordinator());
  to.participants = Reader::participants(from);
  to.fingerprint = from.fingerprint();
  to.protocol = reader.protocol(from.protocol());
}

inline void to_wire(const Ballot& from, wire::Ballot& to) {
  to.set_round(from.round);
  to.set_by(from.by.value);
  to.set_epoch(from.epoch.value);
}
inline Ballot ballot_from_wire(const wire::Ballot& from) {
  return {from.round(), GroupId(from.by()), Epoch(from.epoch())};
}

// A request and what a log carries of it.
template <class From>
inline void ballot_to_wire(const From& from, wire::BallotRequest& to) {
  to.set_txn(from.txn.to_raw());
  to_wire(from.ballot, *to.mutable_ballot());
  to.set_value(static_cast<std::uint32_t>(from.value));
  to.set_fingerprint(from.fingerprint);
  participants_to_wire(from.participants, to);
}

template <class To>
inline To ballot_from_wire(Reader& reader, const wire::BallotRequest& from) {
  return {reader.txn(from.txn()), ballot_from_wire(from.ballot()), reader.enumerator(from.value(), Outcome::aborted),
          from.fingerprint(), Reader::participants(from)};
}

inline BallotReply ballot_reply_from_wire(Reader& reader, const wire::BallotReply& from) {
  return {reader.txn(from.txn()),
          from.fingerprint(),
          reader.enumerator(from.standing(), Standing::aborted),
          ballot_from_wire(from.promised()),
          ballot_from_wire(from.accepted()),
          reader.enumerator(from.value(), Outcome::aborted),
          reader.refusal(from.refusal()),
          cost_from_wire(from.cost())};
}

}  // namespace assent::wire_pieces
