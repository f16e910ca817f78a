// The bodies of POSTs to the http port, as a node reads them, and transactions as it writes them. The first byte picks
// the route.
#include "server/http_bodies.h"

#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "fuzz/samples.h"
#include "txn_proto/api_codec.h"
#include "txn_proto/limits.h"

namespace assent::fuzz {
namespace {

GroupDirectory directory() {
  GroupDirectory groups;
  for (const auto& [name, kind] : {std::pair{"c0", GroupKind::coordinator}, std::pair{"s1", GroupKind::shard}}) {
    require(groups.add(name, kind).has_value(), "the sample names are good");
  }
  return groups;
}

void read_execute(const std::string& body) {
  const auto request = read_execute_body(body);
  if (!request) return require(!request.error().message.empty(), "an error says what is wrong");
  const auto text = write_json(*request);
  require(text.has_value(), "what was read can be written");
  const auto again = read_execute_body(*text);
  require(again && again->SerializeAsString() == request->SerializeAsString(), "read(write(x)) is x");
  static const GroupDirectory groups = directory();
  if (const auto execute = from_api(*request, groups)) static_cast<void>(find_fault(*execute, TxnLimits{}));
}

void read_transfer(const std::string& body) {
  const auto to = read_transfer_body(body);
  if (!to) return require(!to.error().message.empty(), "an error says what the body should be");
  const nlohmann::json said{{"to", *to}};
  require(read_transfer_body(said.dump()) == *to, "a name comes back as it was");
}

void read_faults(const std::string& body) {
  const auto faults = read_faults_body(body);
  if (!faults) return require(!faults.error().message.empty(), "an error says what the body should be");
  require(faults->sync_delay.count() >= 0 && faults->sync_delay.count() <= 10'000,
          "a delay is no longer than it may be");
}

void write_transaction(ByteView bytes) {
  v1::Transaction transaction;
  if (!transaction.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto text = write_json(transaction);
  require(text && nlohmann::json::parse(*text, nullptr, false).is_object(), "a transaction is written as JSON");
}

}  // namespace

void run_http_bodies(ByteView bytes) {
  Input input(bytes);
  const std::uint64_t kind = input.below(4);
  const ByteView rest = input.rest();
  switch (kind) {
    case 0: return read_execute(std::string(rest));
    case 1: return read_transfer(std::string(rest));
    case 2: return read_faults(std::string(rest));
    default: return write_transaction(rest);
  }
}

std::vector<Bytes> http_bodies_seeds() {
  const GroupDirectory groups = directory();
  const GroupId s1 = group_id("s1");
  const Execute execute{sample_txn(1), {}, Protocol::two_phase, {{s1, sample_work()}}, 100};
  TxnAnswer answer;
  answer.txn = sample_txn(1);
  answer.state = TxnState::aborted;
  answer.refusal = sample_refusal();
  answer.results = {{s1, sample_result()}};
  answer.participants = {s1};
  const auto seed = [](std::uint64_t kind, ByteView body) { return Bytes(Seed().byte(kind).rest(body)); };
  return {seed(0, write_json(to_api(execute, groups)).value_or("")),
          seed(0, R"({"branches": [{"shard": "s1", "operations": [{"get": {"key": "a"}}]}], "timeout_millis": 50})"),
          seed(1, R"({"to": "n2"})"), seed(2, R"({"cut": ["n2", "n3"], "syncDelayMillis": 50})"),
          seed(3, to_api(answer, groups, "c0").SerializeAsString())};
}

}  // namespace assent::fuzz
