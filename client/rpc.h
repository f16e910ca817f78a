// One unary gRPC call that a coroutine awaits, and the channel to one endpoint. Internal to the client.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "assent/v1/assent.grpc.pb.h"
#include "client/runtime.h"
#include "txn_proto/api_error.h"

namespace assent::client {

// The channel to one endpoint, and the stubs on it. Shared by all operations; safe from any thread.
class Peer {
 public:
  explicit Peer(const std::string& endpoint);

  template <class Stub>
  [[nodiscard]] Stub& stub() {
    return *std::get<std::unique_ptr<Stub>>(stubs_);
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::tuple<std::unique_ptr<v1::Coordinator::Stub>, std::unique_ptr<v1::Shard::Stub>,
             std::unique_ptr<v1::Cluster::Stub>>
      stubs_;
};

template <class Stub, class Request, class Response>
using Method = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*)(grpc::ClientContext*,
                                                                                    const Request&,
                                                                                    grpc::CompletionQueue*);

template <class Response>
struct Reply {
  grpc::Status status;
  Response response;
};

// co_await Rpc(...) gives a Reply. The request must outlive the await.
template <class Stub, class Request, class Response>
class Rpc final : public Pending {
 public:
  Rpc(Runtime& runtime, std::shared_ptr<Peer> peer, Method<Stub, Request, Response> method, const Request& request,
      SteadyTime deadline)
      : Pending(runtime), peer_(std::move(peer)), method_(method), request_(request) {
    const auto left =
        std::chrono::duration_cast<std::chrono::microseconds>(deadline - std::chrono::steady_clock::now());
    context_.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(left.count(), GPR_TIMESPAN)));
  }

  // The epoch of the cluster map that this request goes by: a node that goes by another one may refuse it.
  void goes_by(std::uint64_t map_epoch) { context_.AddMetadata(header_map_epoch, std::to_string(map_epoch)); }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    runtime_.track(*this, [this](bool closing) {
      if (closing) context_.TryCancel();  // cancels the call as soon as it exists
    });
    reader_ = (peer_->template stub<Stub>().*method_)(&context_, request_, &runtime_.queue());
    reader_->Finish(&reply_.response, &reply_.status, static_cast<Pending*>(this));
    // From here on the runtime's thread may resume the waiter, which destroys this.
  }
  Reply<Response> await_resume() { return std::move(reply_); }
  void cancel() override { context_.TryCancel(); }

 private:
  std::shared_ptr<Peer> peer_;
  Method<Stub, Request, Response> method_;
  const Request& request_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader_;
  Reply<Response> reply_;
};

}  // namespace assent::client
