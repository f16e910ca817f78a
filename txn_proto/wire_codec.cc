#include "txn_proto/wire_codec.h"

#include "txn_proto/wire_pieces.h"

namespace assent {
namespace {

using namespace wire_pieces;  // NOLINT(google-build-using-namespace): one header made for this file

struct MessageToWire {
  wire::TxnMessage& to;
  void operator()(const Prepare& from) const {
    auto& out = *to.mutable_prepare();
    head_to_wire(from, out);
    out.set_age(from.age.to_raw());
    for (const Operation& operation : from.work) Values::encode(operation, *out.add_work());
    trace_to_wire(from.trace, out);
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
    trace_to_wire(from.trace, out);
  }
  void operator()(const Finish& from) const {
    finish_to_wire(from, *to.mutable_finish());
    trace_to_wire(from.trace, *to.mutable_finish());
  }
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
    trace_to_wire(from.trace, out);
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
    trace_to_wire(from.trace, out);
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
  void operator()(const Trouble& from) const {
    auto& out = *to.mutable_trouble();
    out.set_txn(from.txn.to_raw());
    to_wire(from.attempt, *out.mutable_attempt());
    out.set_message(from.message);
  }
};

Prepare prepare_from_wire(Reader& reader, const wire::Prepare& from) {
  Prepare to;
  head_from_wire(reader, from, to);
  to.age = reader.optional_txn(from.age());
  to.work = reader.work(from);
  to.trace = Reader::trace(from);
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
          cost_from_wire(from.cost()),
          Reader::trace(from)};
}

Finish finish_of(Reader& reader, const wire::Finish& from) {
  auto to = finish_from_wire<Finish>(reader, from);
  to.trace = Reader::trace(from);
  return to;
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
          cost_from_wire(from.cost()),
          Reader::trace(from)};
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
  Scratch<wire::TxnMessage> scratch;
  wire::TxnMessage& proto = *scratch;
  std::visit(MessageToWire{proto}, message);
  return serialize(proto);
}

Result<TxnMessage> decode_message(ByteView bytes) {
  constexpr auto what = "message between groups";
  Scratch<wire::TxnMessage> scratch;
  wire::TxnMessage& proto = *scratch;
  if (!parse(bytes, proto)) return unreadable(what);
  Reader reader;
  TxnMessage message;
  switch (proto.kind_case()) {
    case wire::TxnMessage::kPrepare: message = prepare_from_wire(reader, proto.prepare()); break;
    case wire::TxnMessage::kVote: message = vote_from_wire(reader, proto.vote()); break;
    case wire::TxnMessage::kFinish: message = finish_of(reader, proto.finish()); break;
    case wire::TxnMessage::kFinished: message = finished_from_wire(reader, proto.finished()); break;
    case wire::TxnMessage::kInquire:
      message = Inquire{reader.txn(proto.inquire().txn()), Reader::attempt(proto.inquire().attempt()),
                        reader.protocol(proto.inquire().protocol()), proto.inquire().fingerprint(),
                        Reader::trace(proto.inquire())};
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
    case wire::TxnMessage::kTrouble:
      message = Trouble{reader.txn(proto.trouble().txn()), Reader::attempt(proto.trouble().attempt()),
                        proto.trouble().message()};
      break;
    case wire::TxnMessage::KIND_NOT_SET: return unreadable(what);
  }
  return finish(reader, std::move(message), what);
}

Bytes encode(const WorkResult& result) {
  Scratch<wire::WorkResult> scratch;
  wire::WorkResult& proto = *scratch;
  to_wire(result, proto);
  return serialize(proto);
}

Result<WorkResult> decode_work_result(ByteView bytes) {
  Scratch<wire::WorkResult> scratch;
  wire::WorkResult& proto = *scratch;
  if (!parse(bytes, proto)) return unreadable("result of work");
  return Reader::result(proto);
}

Bytes encode(const Refusal& refusal) {
  Scratch<wire::Refusal> scratch;
  wire::Refusal& proto = *scratch;
  to_wire(refusal, proto);
  return serialize(proto);
}

Result<Refusal> decode_refusal(ByteView bytes) {
  Scratch<wire::Refusal> scratch;
  wire::Refusal& proto = *scratch;
  if (!parse(bytes, proto)) return unreadable("refusal");
  Reader reader;
  return finish(reader, reader.refusal(proto), "a refusal");
}

}  // namespace assent
