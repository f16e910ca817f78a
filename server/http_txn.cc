#include "server/http_txn.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "assent/v1/assent.grpc.pb.h"
#include "server/http_actions.h"
#include "server/http_bodies.h"
#include "txn_proto/api_error.h"

namespace assent {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds patience_default = 10s;
constexpr milliseconds patience_max = 60s;
constexpr milliseconds wait_max = 20s;      // of one question about an outcome
constexpr milliseconds look_again = 50ms;   // at a node that knows no leader
constexpr milliseconds stop_looks = 100ms;  // between two looks whether the node stops

// A call on the node's completion queue, which somebody waits for on another thread.
template <class Request>
class Outgoing final : public RpcTag {
 public:
  using Begin = std::unique_ptr<grpc::ClientAsyncResponseReader<v1::Transaction>> (v1::Coordinator::Stub::*)(
      grpc::ClientContext*, const Request&, grpc::CompletionQueue*);

  static std::shared_ptr<Outgoing> send(const std::shared_ptr<grpc::Channel>& channel, Begin begin,
                                        const Request& request, const TraceHeaders& trace, milliseconds patience,
                                        RpcQueue& queue) {
    std::shared_ptr<Outgoing> call(new Outgoing(channel));
    if (!trace.traceparent.empty()) call->context_.AddMetadata(traceparent_header, trace.traceparent);
    if (!trace.tracestate.empty()) call->context_.AddMetadata(tracestate_header, trace.tracestate);
    call->self_ = call;
    call->context_.set_deadline(std::chrono::system_clock::now() + patience);
    call->reader_ = (call->stub_.*begin)(&call->context_, request, &queue.completions());
    call->reader_->Finish(&call->response_, &call->status_, static_cast<RpcTag*>(call.get()));
    return call;
  }
  void end(bool /*ok*/) override {
    const std::shared_ptr<Outgoing> self = std::move(self_);  // until here gRPC writes into it
    over_.set_value();
  }
  // Cut off when the node stops.
  void wait(const std::atomic<bool>& stops) {
    auto over = over_.get_future();
    while (over.wait_for(stop_looks) != std::future_status::ready) {
      if (stops) context_.TryCancel();
    }
  }
  [[nodiscard]] const grpc::Status& status() const { return status_; }
  [[nodiscard]] const v1::Transaction& response() const { return response_; }

 private:
  explicit Outgoing(const std::shared_ptr<grpc::Channel>& channel) : stub_(channel) {}

  v1::Coordinator::Stub stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::Transaction>> reader_;
  grpc::Status status_;
  v1::Transaction response_;
  std::promise<void> over_;
  std::shared_ptr<Outgoing> self_;
};

int http_status(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE: return 400;
    case grpc::StatusCode::NOT_FOUND: return 404;
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::FAILED_PRECONDITION: return 409;
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return 429;
    case grpc::StatusCode::UNAVAILABLE: return 503;
    case grpc::StatusCode::DEADLINE_EXCEEDED: return 504;
    default: return 500;
  }
}

HttpAnswer document(const google::protobuf::Message& message) {
  std::optional<std::string> text = write_json(message);
  if (!text) return http_error(500, "INTERNAL", "the answer cannot be written as JSON");
  HttpAnswer answer;
  answer.body = std::move(*text) + "\n";
  return answer;
}

HttpAnswer error_answer(const grpc::Status& status, const std::string& txn) {
  const ApiError error = from_status(status);
  nlohmann::ordered_json body;
  body["error"]["code"] = error.reason.empty() ? std::string(reason_of(error.code)) : error.reason;
  body["error"]["message"] = error.message;
  for (const auto& [key, value] : error.metadata) body["error"][key] = value;
  if (error.retry_after_millis > 0) body["error"]["retry_after_millis"] = error.retry_after_millis;
  if (!txn.empty()) body["txn_id"] = txn;
  return {.status = http_status(status.error_code()),
          .type = "application/json",
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
          .cache = {}};
}

std::string new_txn_id() {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto millis = static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(now).count());
  return TxnId::make(ClusterMillis(millis), random(), random()).to_hex();
}

class TxnCalls {
 public:
  explicit TxnCalls(const HttpTxnSources& sources) : sources_(sources) {}

  HttpAnswer begin() const {
    return {.status = 200, .type = "application/json", .body = fmt::format("{{\"txn_id\":\"{}\"}}\n", new_txn_id())};
  }

  HttpAnswer execute(const HttpRequest& asked) {
    auto read = read_execute_body(asked.body);
    if (!read) return http_bad_request(read.error().message);
    v1::ExecuteRequest& request = *read;
    if (request.txn_id().empty()) request.set_txn_id(new_txn_id());
    const milliseconds timeout(request.timeout_millis());
    // A little more than the transaction has, so that its own answer is heard.
    const milliseconds patience = timeout == 0ms ? patience_default : std::min(timeout + 2s, patience_max);
    return ask<v1::ExecuteRequest>(&v1::Coordinator::Stub::AsyncExecute, request, asked.trace, patience);
  }

  HttpAnswer outcome(const HttpRequest& asked, bool seal) {
    // What is no text would not even reach the node that judges it.
    const std::optional<TxnId> txn = TxnId::from_hex(asked.path.at("id"));
    if (!txn) return http_bad_request("this is not a transaction id (32 hex digits)");
    v1::GetOutcomeRequest request;
    request.set_txn_id(txn->to_hex());
    request.set_seal(seal);
    if (const auto group = asked.query.find("group"); group != asked.query.end()) {
      if (sources_.cluster.get()->groups.find(group->second) == nullptr) return http_no_group(group->second);
      request.set_group(group->second);
    }
    if (const auto wait = asked.query.find("wait_millis"); wait != asked.query.end()) {
      std::uint32_t millis = 0;
      const char* const end = wait->second.data() + wait->second.size();
      const auto [read, trouble] = std::from_chars(wait->second.data(), end, millis);
      if (trouble != std::errc() || read != end || milliseconds(millis) > wait_max) {
        return http_bad_request(fmt::format("wait_millis is a number from 0 to {}", wait_max.count()));
      }
      request.set_wait_millis(millis);
    }
    return ask<v1::GetOutcomeRequest>(&v1::Coordinator::Stub::AsyncGetOutcome, request, asked.trace,
                                      milliseconds(request.wait_millis()) + 5s);
  }

  HttpAnswer retry(const HttpRequest& asked) {
    const std::optional<TxnId> txn = TxnId::from_hex(asked.path.at("id"));
    if (!txn) return http_bad_request("this is not a transaction id (32 hex digits)");
    v1::RetryRequest request;
    request.set_txn_id(txn->to_hex());
    return ask<v1::RetryRequest>(&v1::Coordinator::Stub::AsyncRetry, request, asked.trace, 5s);
  }

 private:
  // A place among those that wait.
  class Place {
   public:
    Place(std::atomic<std::size_t>& taken, std::size_t most) : taken_(taken), had_(++taken <= most) {}
    ~Place() { --taken_; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    [[nodiscard]] bool had() const { return had_; }

   private:
    std::atomic<std::size_t>& taken_;
    const bool had_;
  };

  template <class Request>
  HttpAnswer ask(typename Outgoing<Request>::Begin method, const Request& request, const TraceHeaders& trace,
                 milliseconds patience) {
    const Place place(waiting_, sources_.waiting_max);
    if (!place.had()) {
      return http_error(503, "OVERLOADED",
                        fmt::format("{} requests wait on this node already; come again", sources_.waiting_max));
    }
    const auto until = Clock::now() + patience;
    std::string target = sources_.own_endpoint;
    grpc::Status last(grpc::StatusCode::UNAVAILABLE, "the node stops");
    for (std::size_t tries = 0; !sources_.draining; ++tries) {
      const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now());
      if (left <= 0ms) break;
      const auto call = Outgoing<Request>::send(channel(target), method, request, trace, left, sources_.queue);
      call->wait(sources_.draining);
      if (call->status().ok()) return document(call->response());
      last = call->status();
      if (last.error_code() != grpc::StatusCode::UNAVAILABLE) break;
      target = next_target(last, tries);
      std::this_thread::sleep_for(std::min(look_again, left));
    }
    return error_answer(last, request.txn_id());
  }

  // Where the leader is said to be; or any node, in turn.
  [[nodiscard]] std::string next_target(const grpc::Status& status, std::size_t tries) const {
    const ApiError error = from_status(status);
    const auto hint = error.metadata.find(metadata_endpoint);
    if (error.code == ErrorCode::not_leader && hint != error.metadata.end() && !hint->second.empty()) {
      return hint->second;
    }
    std::vector<std::string> known;
    const auto cluster = sources_.cluster.get();
    for (const auto& [id, node] : cluster->nodes) {
      if (!node.client_endpoint.empty()) known.push_back(node.client_endpoint);
    }
    return known.empty() ? sources_.own_endpoint : known[tries % known.size()];
  }

  // Of nodes of the cluster alone: few.
  [[nodiscard]] std::shared_ptr<grpc::Channel> channel(const std::string& target) {
    const std::scoped_lock lock(mutex_);
    std::shared_ptr<grpc::Channel>& one = channels_[target];
    if (!one) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
      one = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
    }
    return one;
  }

  const HttpTxnSources sources_;
  std::atomic<std::size_t> waiting_ = 0;
  std::mutex mutex_;  // protects channels_
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

}  // namespace

void add_txn_routes(HttpPort& port, const HttpTxnSources& sources) {
  const auto calls = std::make_shared<TxnCalls>(sources);
  const auto act = [&](std::string_view pattern, std::function<HttpAnswer(const HttpRequest&)> run) {
    port.action(pattern, [&tokens = sources.tokens, run = std::move(run)](const HttpRequest& asked) {
      if (auto no = refuse_without_token(tokens, asked)) return *no;
      return run(asked);
    });
  };
  act("/api/v1/transactions", [calls](const HttpRequest& asked) { return calls->execute(asked); });
  act("/api/v1/transactions/begin", [calls](const HttpRequest&) { return calls->begin(); });
  act("/api/v1/transactions/{id}/seal", [calls](const HttpRequest& asked) { return calls->outcome(asked, true); });
  act("/api/v1/transactions/{id}/retry", [calls](const HttpRequest& asked) { return calls->retry(asked); });
  port.route("/api/v1/transactions/{id}", {"wait_millis", "group"},
             [calls](const HttpRequest& asked) { return calls->outcome(asked, false); });
}

}  // namespace assent
