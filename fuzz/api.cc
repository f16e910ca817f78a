// Requests of clients as a node reads them, and answers of nodes as a client reads them. The first byte picks the
// message.
#include "base/check.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "fuzz/samples.h"
#include "txn_proto/api_codec.h"
#include "txn_proto/limits.h"

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

}  // namespace

void run_api(ByteView bytes) {
  static const GroupDirectory groups = directory();
  Input input(bytes);
  const std::uint64_t kind = input.below(5);
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
  const auto seed = [](std::uint64_t kind, const auto& message) {
    return Bytes(Seed().byte(kind).rest(message.SerializeAsString()));
  };
  return {seed(0, to_api(execute, groups)), seed(1, to_api(GetOutcome{sample_txn(1), true, 10}, "c0")),
          seed(2, to_api(Query{{SqlStatement{"SELECT 1", {}}, KvGet{"k"}}}, "s1")),
          seed(3, to_api(answer, groups, "c0")), seed(4, to_api(QueryAnswer{sample_result(), Index(7)}))};
}

}  // namespace assent::fuzz
