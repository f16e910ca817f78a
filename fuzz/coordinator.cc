// A coordinator group's machine and driver: entries of any bytes, messages of any bytes, requests, elections, time.
#include "fuzz/application.h"
#include "fuzz/fuzz.h"
#include "fuzz/samples.h"
#include "node/coordinator_app.h"
#include "txn_proto/wire_codec.h"

namespace assent::fuzz {
namespace {

CoordinatorAppOptions small_options() {
  CoordinatorAppOptions options;
  options.decisions.window = {.retention_millis = 100'000, .clock_skew_max_millis = 50'000};
  options.conductor.timeout_ticks = 100;
  options.conductor.end_ticks = 10;
  options.conductor.tidy_ticks = 100;
  options.conductor.attempts_max = 3;
  options.conductor.waiters_max = 2;
  options.conductor.recent_aborts_max = 2;
  return options;
}

Bytes few_commands(Input& input) {
  const TxnId txn = few_txns(input);
  switch (input.below(6)) {
    case 0:
      return encode(CoordinatorCommand(Decide{txn, Attempt{Epoch(input.below(8)), input.below(3)}, Protocol::two_phase,
                                              few_groups(input), input.below(2)}));
    case 1: return encode(CoordinatorCommand(SealOutcome{txn, sample_refusal()}));
    case 3:
      return encode(CoordinatorCommand(BeginTxn{txn,
                                                Attempt{Epoch(input.below(8)), input.below(3)},
                                                static_cast<Mode>(1 + input.below(3)),
                                                few_groups(input),
                                                input.below(2),
                                                {},
                                                "trace",
                                                {{first_service, "step"}}}));
    case 4: return encode(CoordinatorCommand(EndBranch{txn, first_service, "by hand"}));
    case 2: return encode(CoordinatorCommand(EndTxns{{txn, few_txns(input)}}));
    default: return encode(CoordinatorCommand(Tidy{}));
  }
}

}  // namespace

void run_coordinator(ByteView bytes) {
  Input input(bytes);
  DrivenApplication([] { return make_coordinator_application(GroupId(9), small_options()); }, few_commands).run(input);
}

std::vector<Bytes> coordinator_seeds() {
  std::vector<Bytes> seeds;
  for (const auto& command : sample_coordinator_commands()) seeds.emplace_back(Seed().byte(0).piece(encode(command)));
  Seed life;  // lead, execute on two shards, two votes, decide, finish, end
  life.byte(2).byte(8).byte(0).byte(0).byte(0).byte(1).byte(0).byte(1).byte(0).byte(0).byte(3).byte(0).byte(0).byte(0);
  for (const auto& message : sample_messages())
    life.byte(6).byte(1).piece(encode(message)).byte(4).byte(0).byte(9).byte(30);
  seeds.emplace_back(life);
  return seeds;
}

}  // namespace assent::fuzz
