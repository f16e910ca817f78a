// Calls to services that take part by HTTP call-back: a POST for each of Prepare, Commit and Abort, whose answer is
// read as the gRPC status and response that the same answer of assent.v1.Participant would be. docs/SERVICES.md has the
// contract.
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
#include <thread>
#include <vector>

#include "server/http_callback_codec.h"
#include "server/http_post.h"

namespace assent {

struct HttpCallbackOptions {
  std::size_t threads_max = 16;
  std::size_t waiting_max = 1'000;
  std::size_t answer_bytes_max = 1UL << 20U;
};

class HttpCallbacks {
 public:
  using Done = std::function<void(HttpCallbackAnswer)>;

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

  void serve();
  [[nodiscard]] HttpCallbackAnswer post(const HttpCallback& call);

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
