#include "txn_proto/wire_codec.h"

#include <limits>

#include "assent/wire/wire.pb.h"
#include "txn_proto/value_codec.h"

namespace assent {
namespace {

struct WireFamily {
  using Value = wire::Value;
  using Operation = wire::Operation;
  using OperationResult = wire::OperationResult;
  static constexpr bool text_is_utf8 = false;
};
using Values = ValueCodec<WireFamily>;

template <class Proto>
Bytes serialize(const Proto& proto) {
  Bytes bytes;
  proto.SerializeToString(&bytes);
  return bytes;
}

template <class Proto>
bool parse(ByteView bytes, Proto& proto) {
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return false;
  return proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// ---- pieces: to_wire() never fails; a Reader remembers whether anything it read was out of range ----

void to_wire(const Attempt& from, wire::Attempt& to) {
  to.set_epoch(from.epoch.value);
  to.set_number(from.number);
}

void to_wire(const Refusal& from, wire::Refusal& to) {
  to.set_reason(static_cast<std::uint32_t>(from.reason));
  to.set_participant(from.participant.value);
  to.set_message(from.message);
  to.set_constraint(from.constraint);
  if (!from.holder.none()) to.set_holder(from.holder.to_raw());
}

void to_wire(const Effects& from, wire::Effects& to) {
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

void to_wire(const WorkResult& from, wire::WorkResult& to) {
  for (const OperationResult& result : from) Values::encode(result, *to.add_results());
}

template <class To>
void participants_to_wire(const std::vector<GroupId>& from, To& to) {
  for (const GroupId group : from) to.add_participants(group.value);
}

void to_wire(const Cost& from, wire::Cost& to) {
  to.set_rounds(from.rounds);
  to.set_messages(from.messages);
  to.set_entries(from.entries);
  to.set_syncs(from.syncs);
}

Cost cost_from_wire(const wire::Cost& from) {
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

  static Attempt attempt(const wire::Attempt& from) { return {Epoch(from.epoch()), from.number()}; }

  template <class From>
  static std::vector<GroupId> participants(const From& from) {
    std::vector<GroupId> groups;
    groups.reserve(static_cast<std::size_t>(from.participants_size()));
    for (const std::uint64_t group : from.participants()) groups.emplace_back(group);
    return groups;
  }

  Refusal refusal(const wire::Refusal& from) {
    return {enumerator(from.reason(), AbortReason::presumed), GroupId(from.participant()), from.message(),
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
Result<T> finish(const Reader& reader, T value, const char* what) {
  if (!reader.ok()) return fail(ErrorCode::malformed, std::string(what) + " has a field out of range");
  return value;
}

tl::unexpected<Error> unreadable(const char* what) {
  return fail(ErrorCode::malformed, std::string("these bytes are not a ") + what);
}

std::uint32_t number(Protocol protocol) { return static_cast<std::uint32_t>(protocol); }

// ---- Finish has one shape in three roles ----

template <class From>
void finish_to_wire(const From& from, wire::Finish& to) {
  to.set_txn(from.txn.to_raw());
  to_wire(from.attempt, *to.mutable_attempt());
  to.set_commit(from.commit);
  to.set_protocol(number(from.protocol));
  to.set_fingerprint(from.fingerprint);
}

template <class To>
To finish_from_wire(Reader& reader, const wire::Finish& from) {
  return {reader.txn(from.txn()), Reader::attempt(from.attempt()), from.commit(), reader.protocol(from.protocol()),
          from.fingerprint()};
}

// The fields that PrepareWork, RefuseWork and Prepare share.
template <class From, class To>
void head_to_wire(const From& from, To& to) {
  to.set_txn(from.txn.to_raw());
  to_wire(from.attempt, *to.mutable_attempt());
  to.set_coordinator(from.coordinator.value);
  participants_to_wire(from.participants, to);
  to.set_fingerprint(from.fingerprint);
  to.set_protocol(number(from.protocol));
}

template <class From, class To>
void head_from_wire(Reader& reader, const From& from, To& to) {
  to.txn = reader.txn(from.txn());
  to.attempt = Reader::attempt(from.attempt());
  to.coordinator = GroupId(from.coordinator());
  to.participants = Reader::participants(from);
  to.fingerprint = from.fingerprint();
  to.protocol = reader.protocol(from.protocol());
}

void to_wire(const Ballot& from, wire::Ballot& to) {
  to.set_round(from.round);
  to.set_by(from.by.value);
  to.set_epoch(from.epoch.value);
}
Ballot ballot_from_wire(const wire::Ballot& from) { return {from.round(), GroupId(from.by()), Epoch(from.epoch())}; }

// A request and what a log carries of it.
template <class From>
void ballot_to_wire(const From& from, wire::BallotRequest& to) {
  to.set_txn(from.txn.to_raw());
  to_wire(from.ballot, *to.mutable_ballot());
  to.set_value(static_cast<std::uint32_t>(from.value));
  to.set_fingerprint(from.fingerprint);
  participants_to_wire(from.participants, to);
}

template <class To>
To ballot_from_wire(Reader& reader, const wire::BallotRequest& from) {
  return {reader.txn(from.txn()), ballot_from_wire(from.ballot()), reader.enumerator(from.value(), Outcome::aborted),
          from.fingerprint(), Reader::participants(from)};
}

BallotReply ballot_reply_from_wire(Reader& reader, const wire::BallotReply& from) {
  return {reader.txn(from.txn()),
          from.fingerprint(),
          reader.enumerator(from.standing(), Standing::aborted),
          ballot_from_wire(from.promised()),
          ballot_from_wire(from.accepted()),
          reader.enumerator(from.value(), Outcome::aborted),
          reader.refusal(from.refusal()),
          cost_from_wire(from.cost())};
}

struct MessageToWire {
  wire::TxnMessage& to;
  void operator()(const Prepare& from) const {
    auto& out = *to.mutable_prepare();
    head_to_wire(from, out);
    out.set_age(from.age.to_raw());
    for (const Operation& operation : from.work) Values::encode(operation, *out.add_work());
  }
  void operator()(const Vote& from) const {
    auto& out = *to.mutable_vote();
    out.set_txn(from.txn.to_raw());
    to_wire(from.attempt, *out.mutable_attempt());
    out.set_yes(from.yes);
    if (from.refusal != Refusal{}) to_wire(from.refusal, *out.mutable_refusal());
    if (!from.result.empty()) to_wire(from.result, *out.mutable_result());
    out.set_protocol(number(from.protocol));
    out.set_fingerprint(from.fingerprint);
    if (from.cost != Cost{}) to_wire(from.cost, *out.mutable_cost());
  }
  void operator()(const Finish& from) const { finish_to_wire(from, *to.mutable_finish()); }
  void operator()(const Finished& from) const {
    auto& out = *to.mutable_finished();
    finish_to_wire(from, out);
    if (from.cost != Cost{}) to_wire(from.cost, *out.mutable_cost());
    out.set_locked_millis(from.locked_millis);
  }
  void operator()(const Inquire& from) const {
    auto& out = *to.mutable_inquire();
    out.set_txn(from.txn.to_raw());
    to_wire(from.attempt, *out.mutable_attempt());
    out.set_protocol(number(from.protocol));
    out.set_fingerprint(from.fingerprint);
  }
  void operator()(const Attended& from) const {
    to.mutable_attended()->set_txn(from.txn.to_raw());
    to.mutable_attended()->set_running(from.running);
  }
  void operator()(const Seal& from) const {
    to.mutable_seal()->set_txn(from.txn.to_raw());
    to.mutable_seal()->set_look(from.look);
  }
  void operator()(const Report& from) const {
    auto& out = *to.mutable_report();
    out.set_txn(from.txn.to_raw());
    out.set_standing(static_cast<std::uint32_t>(from.standing));
    out.set_protocol(number(from.protocol));
    to_wire(from.attempt, *out.mutable_attempt());
    out.set_fingerprint(from.fingerprint);
    participants_to_wire(from.participants, out);
    if (from.refusal != Refusal{}) to_wire(from.refusal, *out.mutable_refusal());
    if (from.cost != Cost{}) to_wire(from.cost, *out.mutable_cost());
  }
  void operator()(const Confirm& from) const {
    auto& out = *to.mutable_confirm();
    for (const OldCommit& commit : from.commits) {
      auto& one = *out.add_commits();
      one.set_txn(commit.txn.to_raw());
      one.set_fingerprint(commit.fingerprint);
      one.set_protocol(number(commit.protocol));
    }
  }
  void operator()(const Confirmed& from) const {
    auto& out = *to.mutable_confirmed();
    for (const TxnId& txn : from.txns) out.add_txns(txn.to_raw());
  }
  void operator()(const BallotRequest& from) const { ballot_to_wire(from, *to.mutable_ballot()); }
  void operator()(const BallotReply& from) const {
    auto& out = *to.mutable_ballot_reply();
    out.set_txn(from.txn.to_raw());
    out.set_fingerprint(from.fingerprint);
    out.set_standing(static_cast<std::uint32_t>(from.standing));
    to_wire(from.promised, *out.mutable_promised());
    to_wire(from.accepted, *out.mutable_accepted());
    out.set_value(static_cast<std::uint32_t>(from.value));
    if (from.refusal != Refusal{}) to_wire(from.refusal, *out.mutable_refusal());
    if (from.cost != Cost{}) to_wire(from.cost, *out.mutable_cost());
  }
};

struct CoordinatorToWire {
  wire::CoordinatorCommand& to;
  void operator()(const Decide& from) const {
    auto& out = *to.mutable_decide();
    out.set_txn(from.txn.to_raw());
    to_wire(from.attempt, *out.mutable_attempt());
    out.set_protocol(static_cast<std::uint32_t>(from.protocol));
    participants_to_wire(from.participants, out);
    out.set_fingerprint(from.fingerprint);
  }
  void operator()(const SealOutcome& from) const {
    to.mutable_seal()->set_txn(from.txn.to_raw());
    to_wire(from.refusal, *to.mutable_seal()->mutable_refusal());
    to.mutable_seal()->set_fingerprint(from.fingerprint);
  }
  void operator()(const NoteOutcomes& from) const {
    auto& out = *to.mutable_note();
    for (const OutcomeNote& note : from.notes) {
      auto& one = *out.add_notes();
      one.set_txn(note.txn.to_raw());
      one.set_fingerprint(note.fingerprint);
      one.set_commit(note.commit);
      one.set_protocol(number(note.protocol));
      one.set_reason(static_cast<std::uint32_t>(note.reason));
    }
  }
  void operator()(const EndTxns& from) const {
    auto& out = *to.mutable_end();
    for (const TxnId& txn : from.txns) out.add_txns(txn.to_raw());
  }
  void operator()(const Tidy&) const { to.mutable_tidy(); }
  void operator()(const BallotWork& from) const { ballot_to_wire(from, *to.mutable_ballot()); }
};

struct ShardToWire {
  wire::ShardCommand& to;
  void operator()(const PrepareWork& from) const {
    auto& out = *to.mutable_prepare();
    head_to_wire(from, out);
    out.set_age(from.age.to_raw());
    to_wire(from.effects, *out.mutable_effects());
    to_wire(from.result, *out.mutable_result());
  }
  void operator()(const RefuseWork& from) const {
    head_to_wire(from, *to.mutable_refuse());
    to_wire(from.refusal, *to.mutable_refuse()->mutable_refusal());
  }
  void operator()(const ExecuteWork& from) const {
    auto& out = *to.mutable_execute();
    out.set_txn(from.txn.to_raw());
    out.set_fingerprint(from.fingerprint);
    to_wire(from.effects, *out.mutable_effects());
    to_wire(from.result, *out.mutable_result());
    to_wire(from.refusal, *out.mutable_refusal());
  }
  void operator()(const FinishWork& from) const { finish_to_wire(from, *to.mutable_finish()); }
  void operator()(const SealWork& from) const { to.mutable_seal()->set_txn(from.txn.to_raw()); }
  void operator()(const OverrideWork& from) const {
    wire::OverrideWork& out = *to.mutable_override();
    out.set_txn(from.txn.to_raw());
    out.set_commit(from.commit);
    out.set_reason(from.reason);
  }
  void operator()(const ForgetTxns& from) const {
    auto& out = *to.mutable_forget();
    for (const TxnId& txn : from.txns) out.add_txns(txn.to_raw());
  }
  void operator()(const Tidy&) const { to.mutable_tidy(); }
  void operator()(const BallotWork& from) const { ballot_to_wire(from, *to.mutable_ballot()); }
};

Prepare prepare_from_wire(Reader& reader, const wire::Prepare& from) {
  Prepare to;
  head_from_wire(reader, from, to);
  to.age = reader.optional_txn(from.age());
  to.work = reader.work(from);
  return to;
}

PrepareWork prepare_work_from_wire(Reader& reader, const wire::PrepareWork& from) {
  PrepareWork to;
  head_from_wire(reader, from, to);
  to.age = reader.optional_txn(from.age());
  to.effects = reader.effects(from.effects());
  to.result = Reader::result(from.result());
  return to;
}

RefuseWork refuse_work_from_wire(Reader& reader, const wire::RefuseWork& from) {
  RefuseWork to;
  head_from_wire(reader, from, to);
  to.refusal = reader.refusal(from.refusal());
  return to;
}

ExecuteWork execute_work_from_wire(Reader& reader, const wire::ExecuteWork& from) {
  return {reader.txn(from.txn()), from.fingerprint(), reader.effects(from.effects()), Reader::result(from.result()),
          reader.refusal(from.refusal())};
}

Decide decide_from_wire(Reader& reader, const wire::Decide& from) {
  return {reader.txn(from.txn()), Reader::attempt(from.attempt()), reader.protocol(from.protocol()),
          Reader::participants(from), from.fingerprint()};
}

NoteOutcomes note_from_wire(Reader& reader, const wire::NoteOutcomes& from) {
  NoteOutcomes to;
  to.notes.reserve(static_cast<std::size_t>(from.notes_size()));
  for (const auto& note : from.notes()) {
    to.notes.push_back({reader.txn(note.txn()), note.fingerprint(), note.commit(), reader.protocol(note.protocol()),
                        reader.enumerator(note.reason(), AbortReason::presumed)});
  }
  return to;
}

Vote vote_from_wire(Reader& reader, const wire::Vote& from) {
  return {reader.txn(from.txn()),
          Reader::attempt(from.attempt()),
          from.yes(),
          reader.refusal(from.refusal()),
          Reader::result(from.result()),
          reader.protocol(from.protocol()),
          from.fingerprint(),
          cost_from_wire(from.cost())};
}

Finished finished_from_wire(Reader& reader, const wire::Finish& from) {
  auto to = finish_from_wire<Finished>(reader, from);
  to.cost = cost_from_wire(from.cost());
  to.locked_millis = from.locked_millis();
  return to;
}

Report report_from_wire(Reader& reader, const wire::Report& from) {
  return {reader.txn(from.txn()),
          reader.enumerator(from.standing(), Standing::aborted),
          reader.enumerator(from.protocol(), Protocol::paxos_commit),
          Reader::attempt(from.attempt()),
          from.fingerprint(),
          Reader::participants(from),
          reader.refusal(from.refusal()),
          cost_from_wire(from.cost())};
}

Confirm confirm_from_wire(Reader& reader, const wire::Confirm& from) {
  Confirm to;
  to.commits.reserve(static_cast<std::size_t>(from.commits_size()));
  for (const auto& commit : from.commits()) {
    const Protocol protocol = commit.protocol() == 0 ? Protocol::paxos_commit : reader.protocol(commit.protocol());
    to.commits.push_back({reader.txn(commit.txn()), commit.fingerprint(), protocol});
  }
  return to;
}

}  // namespace

Bytes encode(const TxnMessage& message) {
  wire::TxnMessage proto;
  std::visit(MessageToWire{proto}, message);
  return serialize(proto);
}

Result<TxnMessage> decode_message(ByteView bytes) {
  constexpr auto what = "message between groups";
  wire::TxnMessage proto;
  if (!parse(bytes, proto)) return unreadable(what);
  Reader reader;
  TxnMessage message;
  switch (proto.kind_case()) {
    case wire::TxnMessage::kPrepare: message = prepare_from_wire(reader, proto.prepare()); break;
    case wire::TxnMessage::kVote: message = vote_from_wire(reader, proto.vote()); break;
    case wire::TxnMessage::kFinish: message = finish_from_wire<Finish>(reader, proto.finish()); break;
    case wire::TxnMessage::kFinished: message = finished_from_wire(reader, proto.finished()); break;
    case wire::TxnMessage::kInquire:
      message = Inquire{reader.txn(proto.inquire().txn()), Reader::attempt(proto.inquire().attempt()),
                        reader.protocol(proto.inquire().protocol()), proto.inquire().fingerprint()};
      break;
    case wire::TxnMessage::kAttended:
      message = Attended{reader.txn(proto.attended().txn()), proto.attended().running()};
      break;
    case wire::TxnMessage::kSeal: message = Seal{reader.txn(proto.seal().txn()), proto.seal().look()}; break;
    case wire::TxnMessage::kReport: message = report_from_wire(reader, proto.report()); break;
    case wire::TxnMessage::kConfirm: message = confirm_from_wire(reader, proto.confirm()); break;
    case wire::TxnMessage::kConfirmed: message = Confirmed{reader.txns(proto.confirmed().txns())}; break;
    case wire::TxnMessage::kBallot: message = ballot_from_wire<BallotRequest>(reader, proto.ballot()); break;
    case wire::TxnMessage::kBallotReply: message = ballot_reply_from_wire(reader, proto.ballot_reply()); break;
    case wire::TxnMessage::KIND_NOT_SET: return unreadable(what);
  }
  return finish(reader, std::move(message), what);
}

Bytes encode(const CoordinatorCommand& command) {
  wire::CoordinatorCommand proto;
  std::visit(CoordinatorToWire{proto}, command);
  return serialize(proto);
}

Result<CoordinatorCommand> decode_coordinator_command(ByteView bytes) {
  constexpr auto what = "command of a coordinator's log";
  wire::CoordinatorCommand proto;
  if (!parse(bytes, proto)) return unreadable(what);
  Reader reader;
  CoordinatorCommand command;
  switch (proto.kind_case()) {
    case wire::CoordinatorCommand::kDecide: command = decide_from_wire(reader, proto.decide()); break;
    case wire::CoordinatorCommand::kSeal:
      command = SealOutcome{reader.txn(proto.seal().txn()), reader.refusal(proto.seal().refusal()),
                            proto.seal().fingerprint()};
      break;
    case wire::CoordinatorCommand::kEnd: command = EndTxns{reader.txns(proto.end().txns())}; break;
    case wire::CoordinatorCommand::kNote: command = note_from_wire(reader, proto.note()); break;
    case wire::CoordinatorCommand::kTidy: command = Tidy{}; break;
    case wire::CoordinatorCommand::kBallot: command = ballot_from_wire<BallotWork>(reader, proto.ballot()); break;
    case wire::CoordinatorCommand::KIND_NOT_SET: return unreadable(what);
  }
  return finish(reader, std::move(command), what);
}

Bytes encode(const ShardCommand& command) {
  wire::ShardCommand proto;
  std::visit(ShardToWire{proto}, command);
  return serialize(proto);
}

Result<ShardCommand> decode_shard_command(ByteView bytes) {
  constexpr auto what = "command of a shard's log";
  wire::ShardCommand proto;
  if (!parse(bytes, proto)) return unreadable(what);
  Reader reader;
  ShardCommand command;
  switch (proto.kind_case()) {
    case wire::ShardCommand::kPrepare: command = prepare_work_from_wire(reader, proto.prepare()); break;
    case wire::ShardCommand::kRefuse: command = refuse_work_from_wire(reader, proto.refuse()); break;
    case wire::ShardCommand::kExecute: command = execute_work_from_wire(reader, proto.execute()); break;
    case wire::ShardCommand::kFinish: command = finish_from_wire<FinishWork>(reader, proto.finish()); break;
    case wire::ShardCommand::kSeal: command = SealWork{reader.txn(proto.seal().txn())}; break;
    case wire::ShardCommand::kOverride:
      command = OverrideWork{reader.txn(proto.override().txn()), proto.override().commit(), proto.override().reason()};
      break;
    case wire::ShardCommand::kForget: command = ForgetTxns{reader.txns(proto.forget().txns())}; break;
    case wire::ShardCommand::kTidy: command = Tidy{}; break;
    case wire::ShardCommand::kBallot: command = ballot_from_wire<BallotWork>(reader, proto.ballot()); break;
    case wire::ShardCommand::KIND_NOT_SET: return unreadable(what);
  }
  return finish(reader, std::move(command), what);
}

Bytes encode(const WorkResult& result) {
  wire::WorkResult proto;
  to_wire(result, proto);
  return serialize(proto);
}

Result<WorkResult> decode_work_result(ByteView bytes) {
  wire::WorkResult proto;
  if (!parse(bytes, proto)) return unreadable("result of work");
  return Reader::result(proto);
}

Bytes encode(const Refusal& refusal) {
  wire::Refusal proto;
  to_wire(refusal, proto);
  return serialize(proto);
}

Result<Refusal> decode_refusal(ByteView bytes) {
  wire::Refusal proto;
  if (!parse(bytes, proto)) return unreadable("refusal");
  Reader reader;
  return finish(reader, reader.refusal(proto), "a refusal");
}

}  // namespace assent
