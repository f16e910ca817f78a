#include "server/http_callback.h"

#include <httplib.h>

#include <system_error>
#include <utility>

namespace assent {

HttpCallbacks::~HttpCallbacks() {
  stop();
  for (std::thread& thread : threads_) thread.join();  // nobody adds one any more
}

void HttpCallbacks::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    waiting_.clear();
  }
  posts_.cut_off();
  put_.notify_all();
}

bool HttpCallbacks::call(HttpCallback call, Done done) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_ || waiting_.size() >= options_.waiting_max) return false;
    if (waiting_.size() >= idle_ && threads_.size() < options_.threads_max && !add_thread() && threads_.empty()) {
      return false;
    }
    waiting_.push_back({std::move(call), std::move(done)});
  }
  put_.notify_one();
  return true;
}

// False when the system has none left.
bool HttpCallbacks::add_thread() {
  try {
    threads_.emplace_back([this] { serve(); });
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

void HttpCallbacks::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    put_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    --idle_;
    if (stopping_) return;
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    next.done(post(next.call));
    lock.lock();
  }
}

HttpParticipantAnswer HttpCallbacks::post(const HttpCallback& call) {
  httplib::Client client(call.target.origin(), options_.tls.cert_file, options_.tls.key_file);
  if (call.target.tls) client.set_ca_cert_path(options_.tls.ca_file);
  client.set_follow_location(false);
  client.set_tcp_nodelay(true);
  httplib::Request request;
  request.path = call.target.path + "/" + call.call.verb;
  request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
  if (!call.trace.traceparent.empty()) request.headers.emplace(traceparent_header, call.trace.traceparent);
  if (!call.trace.tracestate.empty()) request.headers.emplace(tracestate_header, call.trace.tracestate);
  request.body = body_of(call.call);
  const auto answer =
      posts_.post(client, std::move(request), {.time = call.time, .answer_bytes_max = options_.answer_bytes_max});
  if (!answer) return {grpc::Status(grpc::StatusCode::UNAVAILABLE, answer.error()), {}};
  return read_answer(call.call, answer->status, answer->body);
}

}  // namespace assent
