// Where spans are exported to, and which: from the node's configuration and OpenTelemetry's environment variables,
// which are stronger. Pure: the caller reads the environment.
//
// A variable that cannot be understood is left alone and gives a warning; it never stops a node.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "observe/otlp.h"
#include "observe/trace_sampler.h"
#include "server/config.h"

namespace assent {

enum class OtlpProtocol : std::uint8_t { http_json, http_protobuf, grpc };

struct TraceOptions {
  bool exports = false;
  OtlpProtocol protocol = OtlpProtocol::http_json;
  Endpoint endpoint;
  std::string path;         // of http
  bool secure = false;      // https; the next are files in PEM
  std::string certificate;  // of authorities to be trusted; empty: the system's
  std::string client_certificate;
  std::string client_key;
  bool gzip = false;
  std::vector<std::pair<std::string, std::string>> headers;
  std::chrono::milliseconds timeout{10'000};  // of one request
  std::chrono::milliseconds delay{1'000};     // until a batch that is not full is sent
  std::size_t batch_spans_max = 512;
  std::size_t queue_spans_max = 8'192;
  SamplerOptions sampler;
  OtlpResource resource;
  std::vector<std::string> warnings;

  [[nodiscard]] std::string text() const;  // "http://localhost:4318/v1/traces (http/json)", or "off"
};

[[nodiscard]] TraceOptions trace_options(const ServerConfig& config,
                                         const std::map<std::string, std::string>& environment);

}  // namespace assent
