// How one batch of spans reaches a receiver: by http or by gRPC. A seam, so that the exporter's rules are tested
// without sockets.
//
// send() is called on the exporter's thread, one at a time, and ends within its timeout; cancel() from any thread makes
// one that waits end soon, and all later ones at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/rpc_queue.h"
#include "server/trace_options.h"

namespace assent {

struct SpanReply {
  enum class Kind : std::uint8_t {
    accepted,
    retry,   // the receiver cannot take it now, or was not reached
    refused  // it never will
  };
  Kind kind = Kind::accepted;
  std::uint64_t rejected = 0;                      // of an accepted batch: spans that were not taken
  std::string message;                             // what the receiver said
  std::optional<std::chrono::milliseconds> after;  // it says when to come again
};

class SpanSender {
 public:
  virtual ~SpanSender() = default;
  SpanSender() = default;
  SpanSender(const SpanSender&) = delete;
  SpanSender& operator=(const SpanSender&) = delete;
  // body: one ExportTraceServiceRequest, JSON for http/json, protobuf otherwise.
  [[nodiscard]] virtual SpanReply send(const std::string& body) = 0;
  virtual void cancel() = 0;
};

[[nodiscard]] std::unique_ptr<SpanSender> http_span_sender(const TraceOptions& options);

// Calls are made on the node's completion queue; post runs a function on the thread that waits on it, and says no when
// it never will. Both outlive the sender.
using PostToQueue = std::function<bool(std::function<void()>)>;
[[nodiscard]] std::unique_ptr<SpanSender> grpc_span_sender(const TraceOptions& options, RpcQueue& queue,
                                                           PostToQueue post);

// "120" or "Wed, 21 Oct 2015 07:28:00 GMT"; nullopt for anything else.
[[nodiscard]] std::optional<std::chrono::milliseconds> retry_after(const std::string& text,
                                                                   std::chrono::system_clock::time_point now);

}  // namespace assent
