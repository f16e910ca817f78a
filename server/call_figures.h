// How many calls a node served and made, and how long they took: what /metrics shows of gRPC and of services that take
// part. Belongs to the loop's thread, on which calls arrive and end.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "observe/histogram.h"

namespace google::protobuf {
class Descriptor;
}

namespace assent {

// Of one unary method that the node serves.
struct ServedCalls {
  std::string service;  // "assent.v1.Coordinator"
  std::string method;   // "Execute"
  std::uint64_t started = 0;
  std::map<grpc::StatusCode, std::uint64_t> handled = {{grpc::StatusCode::OK, 0}};
  Histogram took = Histogram::of_micros();
};

struct CallFigures {
  std::list<ServedCalls> served;  // a method keeps its place
  // Prepare, Commit and Abort of services, by gRPC and by HTTP; by method and how it ended.
  std::map<std::pair<std::string_view, grpc::StatusCode>, Histogram> participants;

  std::uint64_t traces_malformed = 0;  // traceparent headers that are none; left out

  CallFigures();
  void participant(std::string_view method, grpc::StatusCode code, std::uint64_t micros);
};

// The place of the unary method that has these messages; made when it is not there.
[[nodiscard]] ServedCalls& counted(CallFigures& figures, const google::protobuf::Descriptor& request,
                                   const google::protobuf::Descriptor& response);

// As other servers name it in their metrics: "DeadlineExceeded".
[[nodiscard]] std::string_view metric_name_of(grpc::StatusCode code);

}  // namespace assent
