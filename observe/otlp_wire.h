// OTLP's protobuf form (opentelemetry-proto 1.11), written by hand: the messages of one request are few, and generated
// classes of that package would clash in a process that links OpenTelemetry itself. Pure.
//
// And what a receiver answers, in either form: how many spans it did not take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/otlp.h"

namespace assent {

// An ExportTraceServiceRequest. Ids that are not hex of the right length are left out, and text that is no UTF-8 has
// its bytes replaced: a strict receiver would refuse the whole request for one of them.
[[nodiscard]] std::string otlp_protobuf(const std::vector<OtlpBatch>& batches);

// An ExportTraceServiceResponse with a partial success.
struct OtlpAnswer {
  std::uint64_t rejected = 0;  // spans that were not taken, and are not to be sent again
  std::string message;
};
// What cannot be read says nothing was rejected: the request was accepted by its status.
[[nodiscard]] OtlpAnswer otlp_answer_of_json(std::string_view body);
[[nodiscard]] OtlpAnswer otlp_answer_of_protobuf(std::string_view body);
// The message of a google.rpc.Status, as which errors are answered; empty when there is none.
[[nodiscard]] std::string status_message_of_json(std::string_view body);
[[nodiscard]] std::string status_message_of_protobuf(std::string_view body);

}  // namespace assent
