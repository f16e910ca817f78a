// What a service's answer to a call means for the coordinator that had it called: Vote or Finished, or Trouble when it
// settles nothing. Pure and total: the answer is a stranger's. Called by the service gateway, whichever way it called.
#pragma once

#include <grpcpp/support/status.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "assent/v1/participant.pb.h"
#include "txn_proto/types.h"

namespace assent {

// Of assent.v1.Participant. message is a Prepare or a Finish.
[[nodiscard]] std::string_view method_of(const TxnMessage& message);

// response: of a Prepare that is OK.
[[nodiscard]] TxnMessage service_answer(const ServiceCall& call, const grpc::Status& status,
                                        const v1::PrepareResponse& response, std::size_t result_bytes_max);
// The call came to nothing: in words for people.
[[nodiscard]] Trouble service_trouble(const ServiceCall& call, std::string message);

}  // namespace assent
