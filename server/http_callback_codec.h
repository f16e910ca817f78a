// What is sent to a service that takes part by HTTP call-back, and how its answer is read: as the gRPC status and
// response that the same answer of assent.v1.Participant would be. docs/SERVICES.md has the contract. Pure, and reading
// is total: the answer is a stranger's.
#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <string>

#include "assent/v1/participant.pb.h"
#include "observe/trace_context.h"
#include "txn_proto/service_target.h"

namespace assent {

struct HttpCallback {
  HttpTarget target;
  std::string verb;                // prepare, commit, abort
  v1::PrepareRequest request;      // of all three: the fields that they have in common, and the payload of a prepare
  std::chrono::milliseconds time;  // for all of it
  TraceHeaders trace = {};
};

struct HttpCallbackAnswer {
  grpc::Status status;
  v1::PrepareResponse response;  // of a prepare that is OK
};

[[nodiscard]] std::string body_of(const HttpCallback& call);
[[nodiscard]] HttpCallbackAnswer read_answer(const HttpCallback& call, int status, const std::string& body);

}  // namespace assent
