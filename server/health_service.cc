#include "server/health_service.h"

#include <grpcpp/support/async_stream.h>

#include <optional>

#include "server/rpc_server.h"

namespace assent {

namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

}  // namespace

// One watcher: is told the status when it comes and whenever it changes; what changes twice while a message is on its
// way is told once. Deletes itself when the caller is gone.
class HealthService::Watch final {
 public:
  static void await(HealthService& health, RpcQueue& queue) {
    auto* const watch = new Watch(health, queue);
    watch->context_.AsyncNotifyWhenDone(static_cast<RpcTag*>(&watch->gone_));
    health.service_.RequestWatch(&watch->context_, &watch->request_, &watch->writer_, queue.arrivals(),
                                 queue.arrivals(), static_cast<RpcTag*>(&watch->opened_));
  }

  void tell() {
    const Status::ServingStatus status = health_.status(request_.service());
    if (writing_ || gone_already_ || queue_.draining() || told_ == status) return;
    told_ = status;
    response_.set_status(status);
    writing_ = true;
    writer_.Write(response_, static_cast<RpcTag*>(&told_step_));
  }

 private:
  Watch(HealthService& health, RpcQueue& queue) : health_(health), queue_(queue) {}

  void opened(bool ok) {
    if (!ok) {  // the server stops; gRPC does not tell of the end of a call that never was
      delete this;
      return;
    }
    open_ = true;
    if (!queue_.draining()) await(health_, queue_);
    health_.watches_.insert(this);
    tell();
    leave();
  }
  void told(bool ok) {
    writing_ = false;
    if (ok) tell();
    leave();
  }
  void gone(bool /*ok*/) {
    gone_already_ = true;
    leave();
  }
  void leave() {
    if (!gone_already_ || writing_ || !open_) return;
    health_.watches_.erase(this);
    delete this;
  }

  HealthService& health_;
  RpcQueue& queue_;
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  HealthCheckResponse response_;
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_{&context_};
  std::optional<Status::ServingStatus> told_;
  bool open_ = false;
  bool writing_ = false;
  bool gone_already_ = false;
  RpcStep<Watch> opened_{*this, &Watch::opened};
  RpcStep<Watch> told_step_{*this, &Watch::told};
  RpcStep<Watch> gone_{*this, &Watch::gone};
};

void HealthService::open(RpcQueue& queue) {
  serve<Health::AsyncService, Health::AsyncService, HealthCheckRequest, HealthCheckResponse>(
      service_, &Health::AsyncService::RequestCheck, queue,
      [this](TypedCall<HealthCheckRequest, HealthCheckResponse>& call) {
        const Status::ServingStatus now = status(call.request().service());
        if (now == Status::SERVICE_UNKNOWN)
          return call.finish({grpc::StatusCode::NOT_FOUND, "there is no such service here"});
        call.response().set_status(now);
        call.finish(grpc::Status::OK);
      });
  Watch::await(*this, queue);
}

void HealthService::set(const std::string& name, bool serving) {
  serving_[name] = serving;
  for (Watch* watch : watches_) watch->tell();
}

HealthService::Status::ServingStatus HealthService::status(const std::string& name) const {
  const auto found = serving_.find(name);
  if (found == serving_.end()) return Status::SERVICE_UNKNOWN;
  return found->second ? Status::SERVING : Status::NOT_SERVING;
}

}  // namespace assent
