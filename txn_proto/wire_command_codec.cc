// The commands of the groups' logs, in bytes.
#include "txn_proto/wire_codec.h"
#include "txn_proto/wire_pieces.h"

namespace assent {
namespace {

using namespace wire_pieces;  // NOLINT(google-build-using-namespace): one header made for this file

template <class Message>
void services_to_wire(const std::vector<ServiceAddress>& services, Message& out) {
  for (const ServiceAddress& service : services) {
    auto& one = *out.add_services();
    one.set_name(service.name);
    one.set_target(service.target);
    one.set_participant(service.participant);
  }
}

struct CoordinatorToWire {
  wire::CoordinatorCommand& to;
  void operator()(const Decide& from) const {
    auto& out = *to.mutable_decide();
    out.set_txn(from.txn.to_raw());
    to_wire(from.attempt, *out.mutable_attempt());
    out.set_protocol(static_cast<std::uint32_t>(from.protocol));
    participants_to_wire(from.participants, out);
    out.set_fingerprint(from.fingerprint);
    services_to_wire(from.services, out);
    trace_to_wire(from.trace, out);
  }
  void operator()(const BeginTxn& from) const {
    auto& out = *to.mutable_begin();
    out.set_txn(from.txn.to_raw());
    to_wire(from.attempt, *out.mutable_attempt());
    out.set_mode(static_cast<std::uint32_t>(from.mode));
    participants_to_wire(from.participants, out);
    out.set_fingerprint(from.fingerprint);
    services_to_wire(from.services, out);
    trace_to_wire(from.trace, out);
    for (const RetriableStep& step : from.steps) {
      auto& one = *out.add_steps();
      one.set_service(step.service.value);
      one.set_payload(step.payload);
    }
  }
  void operator()(const EndBranch& from) const {
    auto& out = *to.mutable_end_branch();
    out.set_txn(from.txn.to_raw());
    out.set_service(from.service.value);
    out.set_reason(from.reason);
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
  void operator()(const AdmitShards& from) const {
    auto& out = *to.mutable_admit();
    for (const GroupId shard : from.shards) out.add_shards(shard.value);
  }
};

struct ShardToWire {
  wire::ShardCommand& to;
  void operator()(const PrepareWork& from) const {
    auto& out = *to.mutable_prepare();
    head_to_wire(from, out);
    out.set_age(from.age.to_raw());
    to_wire(from.effects, *out.mutable_effects());
    to_wire(from.result, *out.mutable_result());
    trace_to_wire(from.trace, out);
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
  void operator()(const ForgetOverride& from) const {
    wire::ForgetOverride& out = *to.mutable_forget_override();
    out.set_txn(from.txn.to_raw());
    out.set_reason(from.reason);
  }
  void operator()(const ForgetTxns& from) const {
    auto& out = *to.mutable_forget();
    for (const TxnId& txn : from.txns) out.add_txns(txn.to_raw());
  }
  void operator()(const Tidy&) const { to.mutable_tidy(); }
  void operator()(const BallotWork& from) const { ballot_to_wire(from, *to.mutable_ballot()); }
};

PrepareWork prepare_work_from_wire(Reader& reader, const wire::PrepareWork& from) {
  PrepareWork to;
  head_from_wire(reader, from, to);
  to.age = reader.optional_txn(from.age());
  to.effects = reader.effects(from.effects());
  to.result = Reader::result(from.result());
  to.trace = Reader::trace(from);
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

template <class Message>
std::vector<ServiceAddress> services_from_wire(const Message& from) {
  std::vector<ServiceAddress> services;
  for (const auto& service : from.services()) {
    services.push_back({service.name(), service.target(), service.participant()});
  }
  return services;
}

Decide decide_from_wire(Reader& reader, const wire::Decide& from) {
  return {reader.txn(from.txn()),
          Reader::attempt(from.attempt()),
          reader.protocol(from.protocol()),
          Reader::participants(from),
          from.fingerprint(),
          services_from_wire(from),
          Reader::trace(from)};
}

BeginTxn begin_from_wire(Reader& reader, const wire::BeginTxn& from) {
  BeginTxn to{reader.txn(from.txn()),
              Reader::attempt(from.attempt()),
              reader.enumerator(from.mode(), mode_last),
              Reader::participants(from),
              from.fingerprint(),
              services_from_wire(from),
              Reader::trace(from)};
  to.steps.reserve(static_cast<std::size_t>(from.steps_size()));
  for (const auto& step : from.steps()) to.steps.push_back({GroupId(step.service()), step.payload()});
  return to;
}

NoteOutcomes note_from_wire(Reader& reader, const wire::NoteOutcomes& from) {
  NoteOutcomes to;
  to.notes.reserve(static_cast<std::size_t>(from.notes_size()));
  for (const auto& note : from.notes()) {
    to.notes.push_back({reader.txn(note.txn()), note.fingerprint(), note.commit(), reader.protocol(note.protocol()),
                        reader.enumerator(note.reason(), abort_reason_last)});
  }
  return to;
}

AdmitShards admit_from_wire(const wire::AdmitShards& from) {
  AdmitShards to;
  to.shards.reserve(static_cast<std::size_t>(from.shards_size()));
  for (const std::uint64_t shard : from.shards()) to.shards.emplace_back(shard);
  return to;
}

}  // namespace

Bytes encode(const CoordinatorCommand& command) {
  Scratch<wire::CoordinatorCommand> scratch;
  wire::CoordinatorCommand& proto = *scratch;
  std::visit(CoordinatorToWire{proto}, command);
  return serialize(proto);
}

Result<CoordinatorCommand> decode_coordinator_command(ByteView bytes) {
  constexpr auto what = "command of a coordinator's log";
  Scratch<wire::CoordinatorCommand> scratch;
  wire::CoordinatorCommand& proto = *scratch;
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
    case wire::CoordinatorCommand::kBegin: command = begin_from_wire(reader, proto.begin()); break;
    case wire::CoordinatorCommand::kEndBranch:
      command = EndBranch{reader.txn(proto.end_branch().txn()), GroupId(proto.end_branch().service()),
                          proto.end_branch().reason()};
      break;
    case wire::CoordinatorCommand::kBallot: command = ballot_from_wire<BallotWork>(reader, proto.ballot()); break;
    case wire::CoordinatorCommand::kAdmit: command = admit_from_wire(proto.admit()); break;
    case wire::CoordinatorCommand::KIND_NOT_SET: return unreadable(what);
  }
  return finish(reader, std::move(command), what);
}

Bytes encode(const ShardCommand& command) {
  Scratch<wire::ShardCommand> scratch;
  wire::ShardCommand& proto = *scratch;
  std::visit(ShardToWire{proto}, command);
  return serialize(proto);
}

Result<ShardCommand> decode_shard_command(ByteView bytes) {
  constexpr auto what = "command of a shard's log";
  Scratch<wire::ShardCommand> scratch;
  wire::ShardCommand& proto = *scratch;
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
    case wire::ShardCommand::kForgetOverride:
      command = ForgetOverride{reader.txn(proto.forget_override().txn()), proto.forget_override().reason()};
      break;
    case wire::ShardCommand::kForget: command = ForgetTxns{reader.txns(proto.forget().txns())}; break;
    case wire::ShardCommand::kTidy: command = Tidy{}; break;
    case wire::ShardCommand::kBallot: command = ballot_from_wire<BallotWork>(reader, proto.ballot()); break;
    case wire::ShardCommand::KIND_NOT_SET: return unreadable(what);
  }
  return finish(reader, std::move(command), what);
}

}  // namespace assent
