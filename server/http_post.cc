#include "server/http_post.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <utility>

namespace assent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds connect_time{2'000};
// A connection that is being made cannot be ended; it can a moment later.
constexpr milliseconds again_after{50};

}  // namespace

HttpPosts::HttpPosts() : watcher_([this] { watch(); }) {}

HttpPosts::~HttpPosts() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  watcher_.join();
}

tl::expected<httplib::Response, std::string> HttpPosts::post(httplib::Client& client, httplib::Request request,
                                                             const PostLimits& limits) {
  client.set_connection_timeout(std::min(connect_time, limits.time));
  client.set_read_timeout(limits.time);
  client.set_write_timeout(limits.time);
  const Instant until = std::chrono::steady_clock::now() + limits.time;
  request.method = "POST";
  std::string body;
  bool too_large = false;
  request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
    too_large = too_large || body.size() + size > limits.answer_bytes_max;
    if (!too_large) body.append(data, size);
    return !too_large;
  };
  if (!begin(client, until)) return tl::unexpected(std::string("the node stops"));
  httplib::Result result = client.send(request);
  end(client);
  if (too_large) {
    return tl::unexpected(fmt::format("it answered with more than {} bytes", limits.answer_bytes_max));
  }
  if (!result) {
    const bool late = std::chrono::steady_clock::now() >= until;
    return tl::unexpected(late ? fmt::format("it did not answer within {} ms", limits.time.count())
                               : fmt::format("it cannot be called: {}", httplib::to_string(result.error())));
  }
  result->body = std::move(body);
  return std::move(*result);
}

void HttpPosts::cut_off() {
  {
    const std::scoped_lock lock(mutex_);
    cut_ = true;
    for (auto& [client, until] : running_) until = Instant::min();
  }
  changed_.notify_all();
}

bool HttpPosts::begin(httplib::Client& client, Instant until) {
  const std::scoped_lock lock(mutex_);
  if (cut_) return false;
  running_.emplace(&client, until);
  changed_.notify_all();
  return true;
}

void HttpPosts::end(httplib::Client& client) {
  const std::scoped_lock lock(mutex_);
  running_.erase(&client);
}

void HttpPosts::watch() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const Instant now = std::chrono::steady_clock::now();
    Instant next = Instant::max();
    for (auto& [client, until] : running_) {
      if (until <= now) {
        client->stop();
        until = now + again_after;
      }
      next = std::min(next, until);
    }
    if (next == Instant::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, next);
    }
  }
}

}  // namespace assent
