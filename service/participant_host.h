// The gRPC service assent.v1.Participant over a participant and its barrier, for the service's own gRPC server.
//
//   ParticipantHost host({.name = "ledger"}, ledger, *barrier);
//   grpc::ServerBuilder builder;
//   builder.AddListeningPort(...);
//   builder.RegisterService(&host.service());
//
// Health checking and reflection are the server's business: see docs/SERVICES.md. The calls run on the server's threads
// and block while the database does. Participant and barrier must outlive the host, and the host must outlive the
// server.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>
#include <utility>

#include "service/barrier.h"
#include "service/branches.h"

namespace assent::service {

class ParticipantHost {
 public:
  template <class Connection>
  ParticipantHost(BranchesOptions options, Participant<Connection>& participant, Barrier<Connection>& barrier)
      : ParticipantHost(std::move(options), std::make_unique<EnrolledOn<Connection>>(participant, barrier)) {}
  ParticipantHost(BranchesOptions options, std::unique_ptr<Enrolled> enrolled);
  ~ParticipantHost();
  ParticipantHost(const ParticipantHost&) = delete;
  ParticipantHost& operator=(const ParticipantHost&) = delete;

  [[nodiscard]] grpc::Service& service();
  // For a Resolver, and for a program's own look at its branches.
  [[nodiscard]] Branches& branches() { return branches_; }

 private:
  class Service;

  Branches branches_;
  std::unique_ptr<Service> service_;
};

}  // namespace assent::service
