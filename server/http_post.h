// POSTs of this node to strangers: an answer is bounded in bytes and in time, whatever the other side does. The library
// limits the time of each reading alone, so whoever sends a byte now and then could keep a thread for ever.
//
// post() blocks its caller; from any thread, for a client that no other post uses meanwhile. A thread of its own ends
// those whose time is up. cut_off() from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <tl/expected.hpp>

namespace httplib {
class Client;
struct Request;
struct Response;
}  // namespace httplib

namespace assent {

struct PostLimits {
  std::chrono::milliseconds time;  // of all of it
  std::size_t answer_bytes_max;
};

class HttpPosts {
 public:
  HttpPosts();  // throws std::system_error when the system has no thread left
  ~HttpPosts();
  HttpPosts(const HttpPosts&) = delete;
  HttpPosts& operator=(const HttpPosts&) = delete;

  // The answer with its body; or, in words, why there is none. request: path, headers and body.
  [[nodiscard]] tl::expected<httplib::Response, std::string> post(httplib::Client& client, httplib::Request request,
                                                                  const PostLimits& limits);
  // Those that run end soon, all later ones at once.
  void cut_off();

 private:
  using Instant = std::chrono::steady_clock::time_point;

  [[nodiscard]] bool begin(httplib::Client& client, Instant until);
  void end(httplib::Client& client);
  void watch();

  std::mutex mutex_;  // protects all below
  std::condition_variable changed_;
  std::map<httplib::Client*, Instant> running_;  // until when
  bool cut_ = false;
  bool ending_ = false;
  std::thread watcher_;  // at last
};

}  // namespace assent
