#include "client/convert.h"
#include "client/operations.h"

namespace assent::client {

Task<Result<QueryResult>> query(Courier& courier, std::string shard, Work work, SteadyTime deadline) {
  if (work.empty()) co_return fail(ErrorCode::invalid, "the query is empty");
  v1::QueryRequest request;
  request.set_shard(shard);
  encode_work(work, *request.mutable_operations());
  Result<Delivery<v1::QueryResponse>> delivery =
      co_await ask_until_answered(courier, shard, &v1::Shard::Stub::AsyncQuery, std::as_const(request), deadline);
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
