// The service Cluster of the public API: what the answering node sees of itself, and handing over leadership. The
// questions run as tasks on the loop's thread, between events; answers are made there too. Called by gRPC's threads.
#pragma once

#include "assent/v1/assent.grpc.pb.h"
#include "server/cluster_view.h"
#include "server/inbox.h"

namespace assent {

class ClusterService final : public v1::Cluster::CallbackService {
 public:
  ClusterService(const ClusterView& cluster, Inbox& inbox) : cluster_(cluster), inbox_(inbox) {}

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context, const v1::StatusRequest* request,
                                   v1::StatusResponse* response) override;
  grpc::ServerUnaryReactor* TransferLeader(grpc::CallbackServerContext* context,
                                           const v1::TransferLeaderRequest* request,
                                           v1::TransferLeaderResponse* response) override;

 private:
  const ClusterView& cluster_;
  Inbox& inbox_;
};

}  // namespace assent
