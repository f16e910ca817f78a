// The JSON API of the http port: /api/v1. Its documents are the messages of observe.proto as protobuf writes JSON: the
// fields in lowerCamelCase, zeros written out, 64-bit integers as strings. docs/OBSERVABILITY.md lists the routes.
#pragma once

#include <string>
#include <vector>

#include "assent/v1/observe.pb.h"
#include "server/http_port.h"
#include "server/http_routes.h"
#include "server/observe_service.h"

namespace assent {

// What there is to be read, with the parameters of each: for whoever hands questions on. Without the stream.
struct ApiRead {
  const char* path;
  std::vector<std::string> parameters;
};
[[nodiscard]] const std::vector<ApiRead>& api_reads();

// All of it outlives the port.
void add_api_routes(HttpPort& port, const HttpSources& sources, ObserveService& observe);

[[nodiscard]] std::string to_json(const google::protobuf::Message& message);
// What the nodes say of their replicas, by group; those of the configuration of which nobody says anything, too.
[[nodiscard]] v1::GroupPage groups_of(const v1::ClusterPage& page, const ClusterView& cluster);

}  // namespace assent
