// Messages between groups and commands of logs (wire.proto). The first byte picks the kind; F2: what was read comes
// back.
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "fuzz/samples.h"
#include "txn_proto/wire_codec.h"

namespace assent::fuzz {
namespace {

template <class Value>
void require_round_trip(const Result<Value>& value, Result<Value> (*decode)(ByteView)) {
  if (!value) return require(!value.error().message.empty(), "an error says what it is about");
  const Result<Value> again = decode(encode(*value));
  // Through the bytes: a NaN is not equal to itself.
  require(again && encode(*again) == encode(*value), "decode(encode(x)) is x");
}

}  // namespace

void run_wire(ByteView bytes) {
  Input input(bytes);
  const std::uint64_t kind = input.below(5);
  const ByteView rest = input.rest();
  switch (kind) {
    case 0: return require_round_trip(decode_message(rest), decode_message);
    case 1: return require_round_trip(decode_coordinator_command(rest), decode_coordinator_command);
    case 2: return require_round_trip(decode_shard_command(rest), decode_shard_command);
    case 3: return require_round_trip(decode_work_result(rest), decode_work_result);
    default: return require_round_trip(decode_refusal(rest), decode_refusal);
  }
}

std::vector<Bytes> wire_seeds() {
  std::vector<Bytes> seeds;
  for (const TxnMessage& message : sample_messages()) seeds.emplace_back(Seed().byte(0).rest(encode(message)));
  for (const auto& command : sample_coordinator_commands()) seeds.emplace_back(Seed().byte(1).rest(encode(command)));
  for (const auto& command : sample_shard_commands()) seeds.emplace_back(Seed().byte(2).rest(encode(command)));
  seeds.emplace_back(Seed().byte(3).rest(encode(sample_result())));
  seeds.emplace_back(Seed().byte(4).rest(encode(sample_refusal())));
  return seeds;
}

}  // namespace assent::fuzz
