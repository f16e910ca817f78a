#include "server/service_gateway.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "assent/v1/participant.grpc.pb.h"
#include "server/service_answer.h"
#include "txn_proto/api_codec.h"

namespace assent {

namespace {

namespace v1 = ::assent::v1;

constexpr int reconnect_millis_max = 1'000;
constexpr int keepalive_millis = 30'000;
constexpr int keepalive_timeout_millis = 10'000;

std::shared_ptr<grpc::ChannelCredentials> credentials_for(const GrpcTarget& target, const ServiceTls& tls) {
  if (!target.tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = tls.ca;
  options.pem_cert_chain = tls.cert;
  options.pem_private_key = tls.key;
  return grpc::SslCredentials(options);
}

std::shared_ptr<grpc::Channel> connect(const GrpcTarget& target, const ServiceTls& tls, std::size_t message_bytes_max) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, reconnect_millis_max);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_millis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_timeout_millis);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // the coordinator asks again
  arguments.SetMaxReceiveMessageSize(static_cast<int>(message_bytes_max));
  return grpc::CreateCustomChannel(target.endpoint, credentials_for(target, tls), arguments);
}

template <class Request>
void write_head(const ServiceCall& call, const TxnId& txn, const Attempt& attempt, const GroupDirectory& groups,
                Request& request) {
  request.set_txn_id(txn.to_hex());
  request.set_branch(call.at.name);
  request.mutable_attempt()->set_epoch(attempt.epoch.value);
  request.mutable_attempt()->set_number(attempt.number);
  request.set_coordinator(groups.name(call.from));
  request.set_participant(call.at.participant);
}

}  // namespace

// One call, from its sending to its end. Deletes itself.
class ServiceGateway::Call final : public RpcTag {
 public:
  Call(ServiceGateway& gateway, Key key, ServiceCall call, std::shared_ptr<grpc::Channel> channel)
      : gateway_(gateway), key_(std::move(key)), call_(std::move(call)), stub_(std::move(channel)) {}

  void send() {
    grpc::CompletionQueue& queue = gateway_.queue_.completions();
    if (const auto* prepare = std::get_if<Prepare>(&call_.message)) {
      add_trace(prepare->txn);
      v1::PrepareRequest request;
      write_head(call_, prepare->txn, prepare->attempt, gateway_.groups_, request);
      request.set_payload(call_.payload);
      const auto left = std::chrono::milliseconds(millis_of_ticks(std::max<std::uint64_t>(1, call_.ticks)));
      request.set_time_left_millis(static_cast<std::uint32_t>(left.count()));
      context_.set_deadline(std::chrono::system_clock::now() + left);
      prepare_ = stub_.AsyncPrepare(&context_, request, &queue);
      return prepare_->Finish(&prepared_, &status_, static_cast<RpcTag*>(this));
    }
    const Finish& finish = std::get<Finish>(call_.message);
    context_.set_deadline(std::chrono::system_clock::now() + gateway_.options_.finish_timeout);
    add_trace(finish.txn);
    if (finish.commit) {
      v1::CommitRequest request;
      write_head(call_, finish.txn, finish.attempt, gateway_.groups_, request);
      commit_ = stub_.AsyncCommit(&context_, request, &queue);
      commit_->Finish(&committed_, &status_, static_cast<RpcTag*>(this));
    } else {
      v1::AbortRequest request;
      write_head(call_, finish.txn, finish.attempt, gateway_.groups_, request);
      abort_ = stub_.AsyncAbort(&context_, request, &queue);
      abort_->Finish(&aborted_, &status_, static_cast<RpcTag*>(this));
    }
  }
  void cancel() { context_.TryCancel(); }

  void end(bool /*ok*/) override {
    gateway_.heard(call_, began_, status_, prepared_);
    gateway_.ended(key_, call_);
    delete this;
  }

 private:
  void add_trace(const TxnId& txn) {
    const TraceHeaders trace = gateway_.trace(txn, method_of(call_.message), call_.at.name);
    if (!trace.traceparent.empty()) context_.AddMetadata(traceparent_header, trace.traceparent);
    if (!trace.tracestate.empty()) context_.AddMetadata(tracestate_header, trace.tracestate);
  }

  ServiceGateway& gateway_;
  const Key key_;
  const ServiceCall call_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  v1::Participant::Stub stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::PrepareResponse>> prepare_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::CommitResponse>> commit_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::AbortResponse>> abort_;
  v1::PrepareResponse prepared_;
  v1::CommitResponse committed_;
  v1::AbortResponse aborted_;
  grpc::Status status_;
};

void ServiceGateway::heard(const ServiceCall& call, std::chrono::steady_clock::time_point began,
                           const grpc::Status& status, const v1::PrepareResponse& response) {
  if (stopping_) return;
  if (options_.figures != nullptr) {
    const auto took = std::chrono::steady_clock::now() - began;
    options_.figures->participant(
        method_of(call.message), status.error_code(),
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  }
  answer(call, service_answer(call, status, response, options_.result_bytes_max));
}

ServiceGateway::ServiceGateway(RpcQueue& queue, Inbox& inbox, const GroupDirectory& groups,
                               ServiceGatewayOptions options)
    : queue_(queue),
      inbox_(inbox),
      groups_(groups),
      options_(std::move(options)),
      callbacks_(HttpCallbackOptions{.tls = options_.tls}) {}

ServiceGateway::~ServiceGateway() = default;

void ServiceGateway::call(ServiceCall call) {
  if (stopping_ || queue_.draining()) return;
  const auto* prepare = std::get_if<Prepare>(&call.message);
  const auto* finish = std::get_if<Finish>(&call.message);
  if (prepare == nullptr && finish == nullptr) return;
  const TxnId txn = prepare != nullptr ? prepare->txn : finish->txn;
  const Attempt attempt = prepare != nullptr ? prepare->attempt : finish->attempt;
  const std::size_t kind = prepare != nullptr ? 0 : (finish->commit ? 1 : 2);
  Key key{txn, call.number, kind, attempt};
  if (calls_.contains(key) || callbacks_under_way_.contains(key)) return;
  if (const auto at = http_target(call.at.target)) return call_back(std::move(key), std::move(call), *at);
  Target* const to = target(call.at.target);
  if (to == nullptr || calls_.size() >= options_.calls_max || to->calls >= options_.calls_per_target_max) {
    return answer(call, service_trouble(call, "this node has as many calls to services under way as it may"));
  }
  to->calls += 1;
  to->used = ++uses_;
  auto* one = new Call(*this, key, std::move(call), to->channel);  // deletes itself
  calls_.emplace(std::move(key), one);
  one->send();
}

// Its answer comes on another thread, and goes to the loop's by the inbox, which drops it when the node stops.
void ServiceGateway::call_back(Key key, ServiceCall call, const HttpTarget& at) {
  HttpCallback one{at, {"prepare", {}}, options_.finish_timeout, {}};
  v1::PrepareRequest& request = one.call.request;
  if (const auto* prepare = std::get_if<Prepare>(&call.message)) {
    write_head(call, prepare->txn, prepare->attempt, groups_, request);
    one.trace = trace(prepare->txn, method_of(call.message), call.at.name);
    request.set_payload(call.payload);
    one.time = std::chrono::milliseconds(millis_of_ticks(std::max<std::uint64_t>(1, call.ticks)));
    request.set_time_left_millis(static_cast<std::uint32_t>(one.time.count()));
  } else {
    const Finish& finish = std::get<Finish>(call.message);
    one.call.verb = finish.commit ? "commit" : "abort";
    write_head(call, finish.txn, finish.attempt, groups_, request);
    one.trace = trace(finish.txn, method_of(call.message), call.at.name);
  }
  callbacks_under_way_.insert(key);
  const auto began = std::chrono::steady_clock::now();
  const auto done = [this, key, call, began](HttpParticipantAnswer answer) {
    static_cast<void>(inbox_.post([this, key, call, began, answer = std::move(answer)](Loop&) {
      callbacks_under_way_.erase(key);
      heard(call, began, answer.status, answer.response);
    }));
  };
  if (callbacks_.call(std::move(one), done)) return;
  callbacks_under_way_.erase(key);
  answer(call, service_trouble(call, "this node has as many calls to services by HTTP under way as it may"));
}

TraceHeaders ServiceGateway::trace(const TxnId& txn, std::string_view method, const std::string& branch) const {
  return options_.trace ? options_.trace(txn, method, branch) : TraceHeaders();
}

ServiceGateway::Target* ServiceGateway::target(const std::string& address) {
  if (const auto found = targets_.find(address); found != targets_.end()) return &found->second;
  if (targets_.size() >= options_.targets_max) {
    auto oldest = targets_.end();
    for (auto one = targets_.begin(); one != targets_.end(); ++one) {
      if (one->second.calls == 0 && (oldest == targets_.end() || one->second.used < oldest->second.used)) oldest = one;
    }
    if (oldest == targets_.end()) return nullptr;
    targets_.erase(oldest);
  }
  Target& made = targets_[address];
  made.channel = connect(grpc_target(address).value_or(GrpcTarget{address, false}), options_.tls,
                         options_.result_bytes_max + 65'536);
  return &made;
}

void ServiceGateway::answer(const ServiceCall& call, TxnMessage message) {
  inbox_.push(ServiceAnswered{call.from, call.number, std::move(message)});
}

void ServiceGateway::ended(const Key& key, const ServiceCall& call) {
  calls_.erase(key);
  if (const auto found = targets_.find(call.at.target); found != targets_.end()) found->second.calls -= 1;
}

void ServiceGateway::stop() {
  stopping_ = true;
  for (const auto& [key, call] : calls_) call->cancel();
  callbacks_.stop();
}

}  // namespace assent
