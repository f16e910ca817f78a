#include "client/convert.h"

#include <algorithm>

#include "txn_proto/api_codec.h"

namespace assent::client {

namespace {

Mode decode_mode(v1::Mode mode) {
  switch (mode) {
    case v1::TCC: return Mode::tcc;
    case v1::SAGA: return Mode::saga;
    case v1::CONCURRENT_SAGA: return Mode::concurrent_saga;
    default: return Mode::atomic;
  }
}

Protocol decode_protocol(v1::Protocol protocol) {
  switch (protocol) {
    case v1::ONE_PHASE: return Protocol::one_phase;
    case v1::TWO_PHASE: return Protocol::two_phase;
    case v1::THREE_PHASE: return Protocol::three_phase;
    case v1::PAXOS_COMMIT: return Protocol::paxos_commit;
    default: return Protocol::automatic;
  }
}

TxnState decode_state(v1::TxnState state) {
  switch (state) {
    case v1::RUNNING: return TxnState::running;
    case v1::PREPARED: return TxnState::prepared;
    case v1::COMMITTED: return TxnState::committed;
    case v1::ABORTED: return TxnState::aborted;
    case v1::EXPIRED: return TxnState::expired;
    default: return TxnState::unknown;
  }
}

// A value that this build cannot read becomes an empty result: the outcome beside it stands.
WorkResult decode_results(const google::protobuf::RepeatedPtrField<v1::OperationResult>& results) {
  WorkResult out;
  out.reserve(static_cast<std::size_t>(results.size()));
  for (const v1::OperationResult& result : results) out.push_back(from_api(result).value_or(OperationResult{}));
  return out;
}

ReplicaStatus decode_replica(const v1::Replica& replica) {
  ReplicaStatus out;
  out.group = replica.group();
  out.role = replica.role();
  out.members.assign(replica.members().begin(), replica.members().end());
  out.leader = replica.leader();
  out.leads = replica.leads();
  out.epoch = replica.epoch();
  out.last_index = replica.last_index();
  out.committed_index = replica.committed_index();
  out.applied_index = replica.applied_index();
  out.snapshot_index = replica.snapshot_index();
  out.prepared = replica.prepared();
  out.locks = replica.locks();
  out.active = replica.active();
  out.records = replica.records();
  out.oldest_prepared_age_millis = replica.oldest_prepared_age_millis();
  out.heuristics = replica.heuristics().listed();
  out.heuristic_commits = replica.heuristics().commits();
  out.heuristic_aborts = replica.heuristics().aborts();
  out.heuristics_forgotten = replica.heuristics().forgotten();
  out.digest = replica.digest();
  out.active_peers.assign(replica.active_peers().begin(), replica.active_peers().end());
  for (const v1::ReplicaMember& member : replica.membership()) {
    out.membership.push_back({member.node(), member.disk(), member.role(), member.match_index(), member.active()});
  }
  out.membership_committed = replica.membership_committed();
  out.halted = replica.halted();
  out.level = replica.level();
  out.damaged = replica.damaged();
  return out;
}

}  // namespace

void encode_work(const Work& work, google::protobuf::RepeatedPtrField<v1::Operation>& out) {
  out.Reserve(static_cast<int>(work.size()));
  for (const Operation& operation : work) *out.Add() = to_api(operation);
}

v1::ExecuteRequest encode(const Transaction& transaction) {
  v1::ExecuteRequest out;
  out.set_txn_id(transaction.id.to_hex());
  if (!transaction.first_id.none()) out.set_first_txn_id(transaction.first_id.to_hex());
  out.set_protocol(to_api(transaction.protocol));
  out.set_mode(to_api(transaction.mode));
  for (const Branch& branch : transaction.branches) {
    v1::Branch& one = *out.add_branches();
    one.set_shard(branch.shard);
    encode_work(branch.work, *one.mutable_operations());
  }
  for (const ServiceCall& service : transaction.services) {
    v1::ServiceBranch& one = *out.add_services();
    one.set_name(service.name);
    one.set_target(service.target);
    one.set_payload(service.payload);
    one.set_participant(service.participant);
    one.set_retriable(service.retriable);
    one.set_timeout_millis(static_cast<std::uint32_t>(std::clamp<std::int64_t>(service.timeout.count(), 0, 3'600'000)));
    one.set_max_calls(service.max_calls);
  }
  return out;
}

TxnOutcome decode(const v1::Transaction& message) {
  TxnOutcome out;
  out.id = TxnId::from_hex(message.txn_id()).value_or(TxnId{});
  out.state = decode_state(message.state());
  out.protocol = decode_protocol(message.protocol());
  out.mode = decode_mode(message.mode());
  if (out.aborted()) {
    const v1::Abort& abort = message.abort();
    Refusal refusal = from_api(abort);
    out.abort = Abort{refusal.reason, abort.participant(), std::move(refusal.message), std::move(refusal.constraint),
                      refusal.holder};
  }
  for (const v1::BranchResult& branch : message.results()) {
    out.results.push_back(BranchResult{branch.shard(), decode_results(branch.results())});
  }
  out.participants.assign(message.participants().begin(), message.participants().end());
  out.decided_at = ClusterMillis(static_cast<std::uint64_t>(std::max<std::int64_t>(0, message.decided_at_millis())));
  out.answered_by = message.answered_by();
  out.attempt = {Epoch(message.attempt().epoch()), message.attempt().number()};
  out.bill = from_api(message.bill());
  out.by_hand = message.by_hand();
  return out;
}

QueryResult decode(const v1::QueryResponse& message) {
  QueryResult out{decode_results(message.results()), Index(message.index()), {}, {}};
  if (message.has_age_millis_max()) {
    out.age_max = std::chrono::milliseconds(static_cast<std::int64_t>(message.age_millis_max()));
  }
  return out;
}

NodeStatus decode(const v1::StatusResponse& message) {
  NodeStatus out;
  out.node = message.node();
  out.version = message.version();
  out.disk = message.disk();
  for (const v1::Node& node : message.nodes()) {
    out.nodes.push_back({node.name(), node.client_endpoint(), node.peer_endpoint()});
  }
  for (const v1::Replica& replica : message.replicas()) out.replicas.push_back(decode_replica(replica));
  out.map_epoch = message.map_epoch();
  out.level = message.level();
  out.uses_level = message.uses_level();
  out.damaged_files.assign(message.damaged_files().begin(), message.damaged_files().end());
  if (message.has_map_replica()) out.map_replica = decode_replica(message.map_replica());
  const v1::NodeCounters& counters = message.counters();
  out.counters =
      NodeCounters{counters.wal_syncs(),        counters.wal_bytes(),  counters.wal_records(),   counters.frames_sent(),
                   counters.frame_bytes_sent(), counters.cpu_micros(), counters.resident_bytes()};
  return out;
}

}  // namespace assent::client
