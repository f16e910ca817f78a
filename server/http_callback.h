// Calls to services that take part by HTTP call-back: a POST for each of Prepare, Commit and Abort
// (txn_proto/participant_http.h).
//
// It blocks in threads of its own, made when they are needed: a service that hangs keeps one for as long as the call
// may take and no longer (server/http_post.h), and when all are kept, calls are turned away; the coordinator comes
// again. Safe from any thread; `done` runs on one of those threads, also for what stop() cut off.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "observe/trace_context.h"
#include "server/http_post.h"
#include "server/service_tls.h"
#include "txn_proto/participant_http.h"
#include "txn_proto/service_target.h"

namespace assent {

struct HttpCallbackOptions {
  std::size_t threads_max = 16;
  std::size_t waiting_max = 1'000;
  std::size_t answer_bytes_max = 1UL << 20U;
  ServiceTls tls = {};
};

struct HttpCallback {
  HttpTarget target;
  HttpParticipantCall call;
  std::chrono::milliseconds time;  // for all of it
  TraceHeaders trace = {};
};

class HttpCallbacks {
 public:
  using Done = std::function<void(HttpParticipantAnswer)>;

  explicit HttpCallbacks(HttpCallbackOptions options = {}) : options_(options) {}
  ~HttpCallbacks();
  HttpCallbacks(const HttpCallbacks&) = delete;
  HttpCallbacks& operator=(const HttpCallbacks&) = delete;

  // false: too many wait already, or it stops; done is not called.
  [[nodiscard]] bool call(HttpCallback call, Done done);
  // Cuts off what runs, drops what waits; no call after that.
  void stop();

 private:
  struct Waiting {
    HttpCallback call;
    Done done;
  };

  [[nodiscard]] bool add_thread();
  void serve();
  [[nodiscard]] HttpParticipantAnswer post(const HttpCallback& call);

  const HttpCallbackOptions options_;
  HttpPosts posts_;
  std::mutex mutex_;  // protects all below
  std::condition_variable put_;
  std::deque<Waiting> waiting_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace assent
