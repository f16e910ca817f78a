#include <fmt/format.h>

#include "client/convert.h"
#include "client/operations.h"
#include "txn_proto/sight_codec.h"

namespace assent::client {

Task<Result<QueryResult>> query(Courier& courier, std::string shard, Work work, SteadyTime deadline,
                                std::optional<std::uint64_t> routed_by) {
  if (work.empty()) co_return fail(ErrorCode::invalid, "the query is empty");
  v1::QueryRequest request;
  request.set_shard(shard);
  encode_work(work, *request.mutable_operations());
  Result<Delivery<v1::QueryResponse>> delivery = co_await ask_until_answered(
      courier, shard, &v1::Shard::Stub::AsyncQuery, std::as_const(request), deadline, routed_by);
  if (!delivery) co_return tl::unexpected(delivery.error());
  co_return decode(delivery->response);
}

Task<Result<ClusterStatus>> cluster_status(Courier& courier, bool digests, SteadyTime deadline) {
  std::vector<NodeAnswer> answers = co_await courier.ask_all_nodes(digests, deadline);
  const bool any =
      std::any_of(answers.begin(), answers.end(), [](const NodeAnswer& a) { return a.status.has_value(); });
  if (!any) co_return tl::unexpected(courier.directory().nobody(""));
  co_return merge(std::move(answers));
}

namespace {

GroupSight decode(const std::string& group, const v1::Sight& message) {
  GroupSight out{group, from_api(message), message.coordinator(), {}, {}, {}};
  out.participants.assign(message.participants().begin(), message.participants().end());
  out.missing.assign(message.missing().begin(), message.missing().end());
  out.failing.assign(message.failing().begin(), message.failing().end());
  return out;
}

// A group of which no node answers is in nobody's status: it is found out when somebody names it.
void add_silent_groups(const ClusterStatus& status, Sights& sights) {
  for (const GroupSight& one : sights.seen) {
    std::vector<std::string> named = one.missing;
    named.push_back(one.coordinator);
    for (const std::string& name : named) {
      if (!name.empty() && status.group(name) == nullptr) sights.unreachable[name] = "no node that carries it answers";
    }
  }
}

}  // namespace

Task<Result<Sights>> ask_sights(Courier& courier, TxnId txn, SteadyTime deadline) {
  Result<ClusterStatus> status = co_await cluster_status(courier, false, deadline);
  if (!status) co_return tl::unexpected(status.error());
  Sights sights;
  for (const GroupView& group : status->groups) {
    if (group.leader.empty()) {
      sights.unreachable[group.name] =
          fmt::format("it has no leader; {} of its {} nodes answer", group.replicas.size(), group.members.size());
      continue;
    }
    v1::ExplainRequest request;
    request.set_group(group.name);
    if (!txn.none()) request.set_txn_id(txn.to_hex());
    const SteadyTime soon = std::min(deadline, std::chrono::steady_clock::now() + std::chrono::seconds(2));
    const Result<Delivery<v1::ExplainResponse>> delivery = co_await ask_until_answered(
        courier, group.name, &v1::Cluster::Stub::AsyncExplain, std::as_const(request), soon);
    if (!delivery) {
      sights.unreachable[group.name] = delivery.error().message;
      continue;
    }
    for (const v1::Sight& sight : delivery->response.sights()) sights.seen.push_back(decode(group.name, sight));
  }
  add_silent_groups(*status, sights);
  co_return sights;
}

Task<Result<TxnOutcome>> force(Courier& courier, ForceRequest asked, SteadyTime deadline) {
  v1::OverrideRequest request;
  request.set_txn_id(asked.id.to_hex());
  request.set_shard(asked.shard);
  request.set_commit(asked.commit);
  request.set_reason(asked.reason);
  const Result<Delivery<v1::Transaction>> delivery = co_await ask_until_answered(
      courier, asked.shard, &v1::Shard::Stub::AsyncOverride, std::as_const(request), deadline);
  if (!delivery) co_return tl::unexpected(delivery.error());
  co_return decode(delivery->response);
}

namespace {

// Of the leader of the coordinator group that has the transaction.
template <class Request>
Task<Result<TxnOutcome>> ask_coordinator(Courier& courier, TxnId txn,
                                         Method<v1::Coordinator::Stub, Request, v1::Transaction> method,
                                         Request request, SteadyTime deadline) {
  request.set_txn_id(txn.to_hex());
  const Result<std::string> coordinator = co_await courier.find_coordinator(txn, deadline);
  if (!coordinator) co_return tl::unexpected(coordinator.error());
  const Result<Delivery<v1::Transaction>> delivery =
      co_await ask_until_answered(courier, *coordinator, method, std::as_const(request), deadline);
  if (!delivery) co_return tl::unexpected(delivery.error());
  co_return client::decode(delivery->response);
}

}  // namespace

Task<Result<TxnOutcome>> retry(Courier& courier, TxnId txn, SteadyTime deadline) {
  return ask_coordinator<v1::RetryRequest>(courier, txn, &v1::Coordinator::Stub::AsyncRetry, {}, deadline);
}

Task<Result<TxnOutcome>> end_service(Courier& courier, EndServiceRequest asked, SteadyTime deadline) {
  v1::OverrideServiceRequest request;
  request.set_service(asked.service);
  request.set_commit(asked.commit);
  request.set_reason(asked.reason);
  return ask_coordinator<v1::OverrideServiceRequest>(courier, asked.id, &v1::Coordinator::Stub::AsyncOverrideService,
                                                     std::move(request), deadline);
}

Task<Result<TxnOutcome>> forget(Courier& courier, ForgetRequest asked, SteadyTime deadline) {
  v1::ForgetRequest request;
  request.set_txn_id(asked.id.to_hex());
  request.set_shard(asked.shard);
  request.set_reason(asked.reason);
  const Result<Delivery<v1::Transaction>> delivery = co_await ask_until_answered(
      courier, asked.shard, &v1::Shard::Stub::AsyncForget, std::as_const(request), deadline);
  if (!delivery) co_return tl::unexpected(delivery.error());
  co_return decode(delivery->response);
}

Task<Result<Position>> change_members(Courier& courier, MembersChange change, SteadyTime deadline) {
  v1::ChangeMembersRequest request;
  request.set_group(change.group);
  for (const MemberChange& one : change.changes) {
    v1::MemberChange& out = *request.add_changes();
    out.set_action(one.action);
    out.set_node(one.node);
    out.set_disk(one.disk);
  }
  const Result<Delivery<v1::ChangeMembersResponse>> delivery = co_await ask_until_answered(
      courier, change.group, &v1::Cluster::Stub::AsyncChangeMembers, std::as_const(request), deadline);
  if (!delivery) co_return tl::unexpected(delivery.error());
  co_return Position{Epoch(delivery->response.epoch()), Index(delivery->response.index())};
}

Task<Result<LeaderTransfer>> transfer_leader(Courier& courier, LeaderTransfer transfer, SteadyTime deadline) {
  v1::TransferLeaderRequest request;
  request.set_group(transfer.group);
  request.set_to(transfer.to);
  const Result<Delivery<v1::TransferLeaderResponse>> delivery = co_await ask_until_answered(
      courier, transfer.group, &v1::Cluster::Stub::AsyncTransferLeader, std::as_const(request), deadline);
  if (!delivery) co_return tl::unexpected(delivery.error());
  co_return transfer;
}

}  // namespace assent::client
