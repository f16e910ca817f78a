// A receiver of OpenTelemetry spans, by http and by gRPC, that judges what it is sent by the rules for receivers and
// answers what a test tells it to.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <httplib.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "otlp_test.pb.h"

namespace assent::testing {

// What it answers to one request. Without one: it takes everything.
struct ReceiverAnswer {
  int status = 200;          // of http
  std::string retry_after;   // of http
  grpc::Status grpc_status;  // of gRPC
  std::uint64_t rejected = 0;
};

class OtlpReceiver {
 public:
  // With TLS when the files are named.
  explicit OtlpReceiver(const std::string& certificate = {}, const std::string& key = {});
  ~OtlpReceiver();
  OtlpReceiver(const OtlpReceiver&) = delete;
  OtlpReceiver& operator=(const OtlpReceiver&) = delete;

  [[nodiscard]] std::uint16_t http_port() const { return http_port_; }
  [[nodiscard]] std::uint16_t grpc_port() const { return static_cast<std::uint16_t>(grpc_port_); }
  void answer_next(ReceiverAnswer answer);

  struct Seen {
    std::size_t requests = 0;
    std::set<std::string> traces;                                // of spans in accepted requests
    std::map<std::string, std::size_t> spans;                    // by name
    std::map<std::string, std::multiset<std::string>> span_ids;  // by trace
    [[nodiscard]] std::multiset<std::string> ids_of(const std::string& trace) const {
      const auto found = span_ids.find(trace);
      return found == span_ids.end() ? std::multiset<std::string>() : found->second;
    }
    std::vector<std::string> violations;              // of the rules
    std::map<std::string, std::string> last_headers;  // lower case
    std::map<std::string, std::string> resource;      // attributes of the last one
  };
  [[nodiscard]] Seen seen() const;

 private:
  void serve_http(const httplib::Request& request, httplib::Response& response);
  void serve_grpc();
  ReceiverAnswer judge(const std::string& body, bool json);
  void judge_json(const nlohmann::json& document, Seen& seen);
  void judge_message(const test::otlp::ExportTraceServiceRequest& request, Seen& seen);

  std::unique_ptr<httplib::Server> http_;
  std::uint16_t http_port_ = 0;
  std::thread http_thread_;
  grpc::AsyncGenericService service_;
  int grpc_port_ = 0;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  std::thread grpc_thread_;

  std::mutex ending_mutex_;
  bool ending_ = false;  // guarded by ending_mutex_: no further call is awaited

  mutable std::mutex mutex_;  // guards the rest
  std::deque<ReceiverAnswer> answers_;
  Seen seen_;
};

}  // namespace assent::testing
