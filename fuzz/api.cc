// Requests of clients as a node reads them, answers of nodes as a client reads them, and what a service reads of those
// that it called. The first byte picks the message.
#include "base/check.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "fuzz/samples.h"
#include "service/propagation.h"
#include "txn_proto/api_codec.h"
#include "txn_proto/limits.h"
#include "txn_proto/sight_codec.h"

namespace assent::fuzz {
namespace {

GroupDirectory directory() {
  GroupDirectory groups;
  for (const auto& [name, kind] : {std::pair{"c0", GroupKind::coordinator}, std::pair{"s1", GroupKind::shard},
                                   std::pair{"s2", GroupKind::shard}}) {
    ASSENT_CHECK(groups.add(name, kind), "the sample names are good");
  }
  return groups;
}

template <class Message>
std::optional<Message> parse(ByteView bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return message;
}

// An API message and what it becomes inside: there and back again. Compared as bytes, since a NaN is unequal to itself.
template <class Message, class Decode, class Encode>
void there_and_back(ByteView bytes, const Decode& decode, const Encode& encode) {
  const auto message = parse<Message>(bytes);
  if (!message) return;
  const auto value = decode(*message);
  if (!value) return require(!value.error().message.empty(), "an error names the field at fault");
  const Message shown = encode(*value);
  const auto again = parse<Message>(shown.SerializeAsString());
  require(again.has_value(), "what is sent can be parsed");
  const auto back = decode(*again);
  require(back && encode(*back).SerializeAsString() == shown.SerializeAsString(), "from_api(to_api(x)) is x");
}

void read_execute(ByteView bytes, const GroupDirectory& groups) {
  there_and_back<api::ExecuteRequest>(
      bytes,
      [&](const api::ExecuteRequest& request) {
        auto execute = from_api(request, groups);
        if (execute) {
          static_cast<void>(find_fault(*execute, TxnLimits{}));
          static_cast<void>(fingerprint(*execute));
        }
        return execute;
      },
      [&](const Execute& execute) { return to_api(execute, groups); });
}

void read_override(ByteView bytes, const GroupDirectory& groups) {
  const auto message = parse<api::OverrideRequest>(bytes);
  if (!message) return;
  const auto call = from_api(*message, groups);
  if (!call) return require(!call.error().message.empty(), "an error names the field at fault");
  require(call->body.txn.to_hex() == message->txn_id() && call->body.reason == message->reason(),
          "an override says of which transaction it is, and why");
}

// Total: any message gives a value. Not there and back: the name of a group that is not known here is lost.
void read_sight(ByteView bytes, const GroupDirectory& groups) {
  const auto message = parse<v1::Sight>(bytes);
  if (!message) return;
  const v1::Sight shown = to_api(from_api(*message), groups);
  require(parse<v1::Sight>(shown.SerializeAsString()).has_value(), "what is shown can be parsed");
}

void read_enlistment(ByteView bytes) {
  const auto enlistment = service::decode(bytes);
  if (!enlistment) return require(!enlistment.error().message.empty(), "an error says what is wrong");
  const auto encoded = service::encode(*enlistment);
  require(encoded && service::decode(*encoded) == *enlistment, "decode(encode(x)) is x");
}

}  // namespace

void run_api(ByteView bytes) {
  static const GroupDirectory groups = directory();
  Input input(bytes);
  const std::uint64_t kind = input.below(8);
  const ByteView rest = input.rest();
  switch (kind) {
    case 0: return read_execute(rest, groups);
    case 1:
      return there_and_back<api::GetOutcomeRequest>(
          rest, [&](const api::GetOutcomeRequest& request) { return from_api(request, groups); },
          [&](const GetOutcomeCall& call) { return to_api(call.body, groups.name(call.group)); });
    case 2:
      return there_and_back<api::QueryRequest>(
          rest, [&](const api::QueryRequest& request) { return from_api(request, groups); },
          [&](const QueryCall& call) { return to_api(call.body, groups.name(call.shard)); });
    case 3: {
      const auto message = parse<api::Transaction>(rest);
      if (message) static_cast<void>(from_api(*message));
      return;
    }
    case 5: return read_override(rest, groups);
    case 6: return read_sight(rest, groups);
    case 7: return read_enlistment(rest);
    default:
      return there_and_back<api::QueryResponse>(
          rest, [](const api::QueryResponse& response) { return from_api(response); },
          [](const QueryAnswer& answer) { return to_api(answer); });
  }
}

std::vector<Bytes> api_seeds() {
  const GroupDirectory groups = directory();
  const GroupId s1 = group_id("s1");
  const GroupId s2 = group_id("s2");
  const Execute execute{
      sample_txn(1), sample_txn(2), Protocol::two_phase, {{s1, sample_work()}, {s2, sample_work()}}, 100};
  TxnAnswer answer;
  answer.txn = sample_txn(1);
  answer.state = TxnState::aborted;
  answer.protocol = Protocol::two_phase;
  answer.refusal = sample_refusal();
  answer.results = {{s1, sample_result()}};
  answer.participants = {s1, s2};
  answer.decided_at = ClusterMillis(sample_millis);
  api::OverrideRequest forced;
  forced.set_txn_id(sample_txn(1).to_hex());
  forced.set_shard("s1");
  forced.set_reason("the coordinator's group is gone");
  Sight sight;
  sight.txn = sample_txn(1);
  sight.protocol = Protocol::two_phase;
  sight.coordinator = group_id("c0");
  sight.participants = sight.missing = {s1, s2};
  sight.waits_for = {sample_txn(2)};
  sight.troubles = {"it does not answer"};
  sight.heuristic = Heuristic{.commit = true, .at = ClusterMillis(sample_millis), .reason = "asked for"};
  const service::Enlistment enlistment{
      .branch = "b1", .participant = "ledger", .address = "10.0.0.5:7000", .payload = "credit 5"};
  const auto seed = [](std::uint64_t kind, const auto& message) {
    return Bytes(Seed().byte(kind).rest(message.SerializeAsString()));
  };
  return {seed(0, to_api(execute, groups)),
          seed(1, to_api(GetOutcome{sample_txn(1), true, 10}, "c0")),
          seed(2, to_api(Query{{SqlStatement{"SELECT 1", {}}, KvGet{"k"}}}, "s1")),
          seed(3, to_api(answer, groups, "c0")),
          seed(4, to_api(QueryAnswer{sample_result(), Index(7)})),
          seed(5, forced),
          seed(6, to_api(sight, groups)),
          Bytes(Seed().byte(7).rest(service::encode(enlistment).value_or("")))};
}

}  // namespace assent::fuzz
