// The calls of assent.v1.Participant as HTTP (docs/SERVICES.md has the contract): what is sent, and how an answer is
// read as the gRPC status and response that the same answer would be. Pure; used by the node, which calls services, and
// by the conformance kit.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "assent/v1/participant.pb.h"

namespace assent {

struct HttpParticipantCall {
  std::string verb;            // prepare, commit, abort, status: the last part of the path
  v1::PrepareRequest request;  // of all: the fields that they have in common, and the payload of a prepare
};

struct HttpParticipantAnswer {
  grpc::Status status;
  v1::PrepareResponse response;  // of a prepare that is OK
};

[[nodiscard]] std::string body_of(const HttpParticipantCall& call);
// Of prepare, commit and abort.
[[nodiscard]] HttpParticipantAnswer read_answer(const HttpParticipantCall& call, int status, const std::string& body);

// Of status, which a service may leave out: UNIMPLEMENTED then.
struct HttpStatusAnswer {
  grpc::Status status;
  v1::BranchStatusResponse response;
};
[[nodiscard]] HttpStatusAnswer read_status_answer(int status, const std::string& body);

}  // namespace assent
