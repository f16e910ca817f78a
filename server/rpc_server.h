// Unary calls that a server takes on the node's completion queue. Each method keeps some calls waiting to be made; a
// call that arrives is handed to its handler, which finishes it at once or keeps it and finishes it later.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <functional>
#include <memory>

#include "server/call_figures.h"
#include "server/rpc_queue.h"

namespace assent {

// A call that waits for its end, whatever its messages are.
class UnaryCall {
 public:
  // Once, from any thread. The call may be gone when this returns.
  virtual void finish(const grpc::Status& status) = 0;
  [[nodiscard]] const grpc::ServerContext& context() const { return context_; }

 protected:
  ~UnaryCall() = default;
  grpc::ServerContext context_;
};

// Deletes itself when it is over, or when the server stops before anybody made the call.
template <class Request, class Response>
class TypedCall final : public UnaryCall {
 public:
  using Responder = grpc::ServerAsyncResponseWriter<Response>;

  struct Method {
    RpcQueue& queue;
    // RequestX of the generated asynchronous service.
    std::function<void(grpc::ServerContext*, Request*, Responder*, void* tag)> await;
    std::function<void(TypedCall&)> handle;
    ServedCalls* figures;  // null: not counted
  };

  static void await(const std::shared_ptr<const Method>& method) {
    auto* const call = new TypedCall(method);
    method->await(&call->context_, &call->request_, &call->responder_, static_cast<RpcTag*>(&call->arrived_));
  }

  [[nodiscard]] const Request& request() const { return request_; }
  [[nodiscard]] Response& response() { return response_; }

  void finish(const grpc::Status& status) override {
    code_ = status.error_code();
    ended_ = std::chrono::steady_clock::now();
    if (method_->queue.draining()) {
      delete this;
    } else if (status.ok()) {
      responder_.Finish(response_, status, static_cast<RpcTag*>(&finished_));
    } else {
      responder_.FinishWithError(status, static_cast<RpcTag*>(&finished_));
    }
  }

 private:
  explicit TypedCall(std::shared_ptr<const Method> method) : method_(std::move(method)) {}

  void arrived(bool ok) {
    if (!ok || method_->queue.draining()) {  // the server stops
      delete this;
      return;
    }
    await(method_);
    if (method_->figures != nullptr) {
      ++method_->figures->started;
      began_ = std::chrono::steady_clock::now();
    }
    method_->handle(*this);
  }
  void finished(bool /*ok*/) {
    if (ServedCalls* figures = method_->figures) {
      ++figures->handled[code_];
      figures->took.add(
          static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(ended_ - began_).count()));
    }
    delete this;
  }

  const std::shared_ptr<const Method> method_;
  std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::time_point ended_;
  grpc::StatusCode code_ = grpc::StatusCode::OK;
  Request request_;
  Response response_;
  Responder responder_{&context_};
  RpcStep<TypedCall> arrived_{*this, &TypedCall::arrived};
  RpcStep<TypedCall> finished_{*this, &TypedCall::finished};
};

// Begins to take calls of one method: serve(service, &Service::RequestX, queue, handler). The queue is the server's
// own.
template <class Service, class Base, class Request, class Response>
void serve(Service& service,
           void (Base::*request)(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                                 grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
           RpcQueue& queue, std::function<void(TypedCall<Request, Response>&)> handle) {
  constexpr int waiting = 16;  // calls that can arrive together without one having to wait for the next turn
  using Call = TypedCall<Request, Response>;
  const auto method = std::make_shared<const typename Call::Method>(typename Call::Method{
      queue,
      [&service, request, &queue](grpc::ServerContext* context, Request* message, typename Call::Responder* responder,
                                  void* tag) {
        (service.*request)(context, message, responder, queue.arrivals(), queue.arrivals(), tag);
      },
      std::move(handle),
      queue.figures() == nullptr ? nullptr
                                 : &counted(*queue.figures(), *Request::descriptor(), *Response::descriptor())});
  for (int i = 0; i < waiting; ++i) Call::await(method);
}

}  // namespace assent
