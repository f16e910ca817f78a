// The service Cluster of the public API: what the answering node sees of itself, handing over leadership, and changing
// the members of a group. The questions run as tasks on the loop's thread, between events; answers are made there too.
#pragma once

#include "assent/v1/assent.grpc.pb.h"
#include "server/cluster_view.h"
#include "server/inbox.h"
#include "server/peer_latency.h"
#include "server/rpc_server.h"

namespace assent {

// What this node sees of itself; on the loop's thread. digests: of each replica's state, which takes long.
void write_status(const ClusterView& cluster, Loop& loop, const PeerLatencies& latencies, bool digests,
                  v1::StatusResponse& out);

class ClusterService {
 public:
  // The latencies belong to the loop's thread.
  ClusterService(const ClusterView& cluster, Inbox& inbox, const PeerLatencies& latencies)
      : cluster_(cluster), inbox_(inbox), latencies_(latencies) {}
  [[nodiscard]] v1::Cluster::AsyncService& service() { return service_; }
  // Once the server runs: begins to take calls.
  void open(RpcQueue& queue);

 private:
  void status(TypedCall<v1::StatusRequest, v1::StatusResponse>& call) const;
  void explain(TypedCall<v1::ExplainRequest, v1::ExplainResponse>& call) const;
  void transfer_leader(TypedCall<v1::TransferLeaderRequest, v1::TransferLeaderResponse>& call) const;
  void get_map(TypedCall<v1::GetMapRequest, v1::GetMapResponse>& call) const;
  void change_map(TypedCall<v1::ChangeMapRequest, v1::ChangeMapResponse>& call) const;
  void change_members(TypedCall<v1::ChangeMembersRequest, v1::ChangeMembersResponse>& call) const;

  const ClusterView& cluster_;
  Inbox& inbox_;
  const PeerLatencies& latencies_;
  v1::Cluster::AsyncService service_;
};

}  // namespace assent
