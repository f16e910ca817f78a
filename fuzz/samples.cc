#include "fuzz/samples.h"

namespace assent::fuzz {
namespace {

constexpr Attempt attempt{Epoch(1), 2};
constexpr GroupId coordinator{9};
const std::vector<GroupId> participants{GroupId(1), GroupId(2)};

}  // namespace

TxnId sample_txn(std::uint64_t number) { return TxnId::make(ClusterMillis(sample_millis), number, number); }

Work sample_work() {
  return {SqlStatement{"UPDATE t SET a = ?",
                       {SqlNull{}, std::int64_t{-7}, 2.5, std::string("x"), SqlBlob{Bytes("\0\xFF", 2)}}},
          KvGet{"k"},
          KvPut{"k", Bytes("\0v", 2)},
          KvErase{"k"},
          KvExpect{"k", std::nullopt},
          KvExpect{"k", ""},
          KvAdd{"k", -5, std::nullopt, std::nullopt},
          KvAdd{"k", 5, 0, 100}};
}

WorkResult sample_result() {
  return {OperationResult{{"id", "n"}, {{std::string("a"), std::int64_t{1}}, {SqlNull{}, 0.5}}, 0},
          OperationResult{{}, {}, 3}};
}

Refusal sample_refusal() {
  return {AbortReason::constraint, GroupId(2), "balance would be negative", "balance >= 0", sample_txn(4)};
}

std::vector<TxnMessage> sample_messages() {
  const TxnId txn = sample_txn(1);
  return {Prepare{txn, attempt, coordinator, participants, 7, sample_txn(2), sample_work()},
          Vote{txn, attempt, true, {}, sample_result()},
          Vote{txn, attempt, false, sample_refusal(), {}},
          Finish{txn, attempt, true},
          Finished{txn, attempt, false},
          Inquire{txn, attempt}};
}

std::vector<CoordinatorCommand> sample_coordinator_commands() {
  const TxnId txn = sample_txn(1);
  return {Decide{txn, attempt, Protocol::two_phase, participants, 77},
          SealOutcome{sample_txn(2), sample_refusal()},
          EndTxns{{txn, sample_txn(3)}},
          Tidy{},
          BeginTxn{sample_txn(4), attempt, Mode::saga, participants, 78},
          EndBranch{txn, first_service, "by hand"},
          AdmitShards{{GroupId(3), GroupId(4)}}};
}

std::vector<ShardCommand> sample_shard_commands() {
  const TxnId txn = sample_txn(1);
  const Effects effects{{}, {{"a", LockMode::intention_exclusive}, {"b", LockMode::exclusive}}, {{"n", -5, 0, 9}}};
  return {PrepareWork{txn, attempt, coordinator, participants, 8, txn, effects, sample_result()},
          RefuseWork{sample_txn(2), attempt, coordinator, participants, 8, sample_refusal()},
          ExecuteWork{sample_txn(3), 8, effects, sample_result(), {}},
          ExecuteWork{sample_txn(4), 8, {}, {}, sample_refusal()},
          FinishWork{txn, attempt, true},
          SealWork{sample_txn(5)},
          OverrideWork{txn, true, "the other half is lost"},
          ForgetOverride{txn, "repaired by hand"},
          Tidy{}};
}

}  // namespace assent::fuzz
