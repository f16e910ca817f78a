#include "server/http_port.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <httplib.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "server/log.h"
#include "server/peer_limits.h"

namespace assent {
namespace {

using namespace std::chrono_literals;

constexpr auto read_timeout = 5s;         // of one reading, not of a whole request
constexpr auto write_timeout = 5s;        // a reader that takes nothing for so long is cut off
constexpr time_t keep_alive_seconds = 1;  // stop() waits so long for an idle connection
constexpr std::size_t keep_alive_requests = 1'000;
constexpr std::size_t request_body_max = 64UL << 10U;

// Threads as they are needed, up to a number; beyond it the accepting thread waits, and others in the listen queue.
class Threads final : public httplib::TaskQueue {
 public:
  explicit Threads(std::size_t most) : most_(most) {}
  ~Threads() override { shutdown(); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    task_taken_.wait(lock, [this] { return ending_ || tasks_.size() < idle_ || threads_.size() < most_; });
    tasks_.push_back(std::move(task));
    if (tasks_.size() > idle_ && threads_.size() < most_) threads_.emplace_back([this] { run(); });
    task_put_.notify_one();
  }
  // What was put in is done before the threads end: each task owns a connection.
  void shutdown() override {
    std::vector<std::thread> threads;
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      threads.swap(threads_);
    }
    task_put_.notify_all();
    task_taken_.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      task_taken_.notify_one();
      task_put_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
      --idle_;
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.erase(tasks_.begin());
      lock.unlock();
      task();
      lock.lock();
    }
  }

  const std::size_t most_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable task_put_;
  std::condition_variable task_taken_;
  std::vector<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool ending_ = false;
};

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at <= path.size()) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    parts.emplace_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  return parts;
}

bool is_variable(const std::string& part) { return part.size() > 2 && part.front() == '{' && part.back() == '}'; }

// Somebody's words, cut and made harmless for a document and a terminal.
std::string printable(std::string_view text, std::size_t most = 100) {
  std::string out;
  for (const char c : text.substr(0, most)) out += c >= ' ' && c < 127 ? c : '?';
  return out;
}

// Who reads a traceparent judges it; a state that could not be handed on as it is is left out.
TraceHeaders trace_of(const httplib::Request& request) {
  const std::string state = request.get_header_value(tracestate_header);
  return {.traceparent = printable(request.get_header_value(traceparent_header)),
          .tracestate = printable(state, tracestate_bytes_max) == state ? state : std::string()};
}

// "*", or a list of tags, strong or weak: W/"1", "2".
bool names_tag(std::string_view list, std::string_view tag) {
  while (!list.empty()) {
    std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(one.size() + 1, list.size()));
    one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
    one = one.substr(0, one.find_last_not_of(" \t") + 1);
    if (one == "*") return true;
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == tag) return true;
  }
  return false;
}

}  // namespace

HttpAnswer http_error(int status, std::string_view code, std::string_view message) {
  const nlohmann::ordered_json body{{"error", {{"code", code}, {"message", message}}}};
  return {.status = status,
          .type = "application/json",
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
          .cache = {}};
}

HttpAnswer http_bad_request(std::string_view message) { return http_error(400, "BAD_REQUEST", message); }

struct HttpPort::Route {
  std::vector<std::string> parts;
  std::vector<std::string> parameters;
  Handler handler;
  StreamHandler stream;
  bool acts = false;  // asked with POST

  [[nodiscard]] bool matches(const std::vector<std::string>& path, HttpRequest& request) const {
    if (path.size() != parts.size()) return false;
    request.path.clear();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (is_variable(parts[i])) {
        request.path[parts[i].substr(1, parts[i].size() - 2)] = path[i];
      } else if (parts[i] != path[i]) {
        return false;
      }
    }
    return true;
  }
};

class HttpPort::Server {
 public:
  Server(const std::vector<Route>& routes, const HttpLimits& limits) : routes_(routes), limits_(limits) {
    server_.new_task_queue = [threads = limits.threads_max] { return new Threads(threads); };
    server_.set_read_timeout(read_timeout);
    server_.set_write_timeout(write_timeout);
    server_.set_keep_alive_timeout(keep_alive_seconds);
    server_.set_keep_alive_max_count(keep_alive_requests);
    server_.set_payload_max_length(request_body_max);
    server_.set_tcp_nodelay(true);
    // Not the library's own, which let two processes listen on one port.
    server_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    server_.set_default_headers({{"Cache-Control", "no-store"},
                                 {"X-Content-Type-Options", "nosniff"},
                                 {"Content-Security-Policy", "default-src 'self'"},
                                 {"Referrer-Policy", "no-referrer"}});
    server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      const bool body_follows = handle(request, response);
      return body_follows ? httplib::Server::HandlerResponse::Unhandled : httplib::Server::HandlerResponse::Handled;
    });
    // Of a POST that may be read, the body is here. Its path has been matched by then and is short.
    server_.Post(".*",
                 [this](const httplib::Request& request, httplib::Response& response) { act(request, response); });
    // What the library refuses by itself: a line that is no request, a path that is too long.
    server_.set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (!response.body.empty()) return;
      const HttpAnswer answer = http_error(response.status, "BAD_REQUEST",
                                           response.status == 414 ? "the path and query are longer than 8192 bytes"
                                                                  : "this is not a request that can be read");
      response.set_content(answer.body, answer.type.c_str());
    });
  }

  Result<void> start(const Endpoint& listen) {
    if (!server_.bind_to_port(listen.host, listen.port)) {
      return fail(ErrorCode::io, fmt::format("cannot listen on {}", listen.text()));
    }
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "assent-http");
      server_.listen_after_bind();
      ended_ = true;
    });
    while (!server_.is_running() && !ended_) std::this_thread::yield();  // or stop() would find nothing to stop
    return {};
  }

  void stop() {
    stopping_ = true;
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  // Of a stream, among those that may be open. Freed once, however the stream goes.
  class Place {
   public:
    explicit Place(std::atomic<std::size_t>& taken) : taken_(taken) { ++taken_; }
    ~Place() { free(); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    void free() {
      if (!freed_.exchange(true)) --taken_;
    }

   private:
    std::atomic<std::size_t>& taken_;
    std::atomic<bool> freed_ = false;
  };

  // True: it is a POST that is allowed, and its body is to be read.
  bool handle(const httplib::Request& request, httplib::Response& response) {
    bool body_follows = false;
    guarded(request, response, [&] { body_follows = answer(request, response); });
    return body_follows;
  }

  void act(const httplib::Request& request, httplib::Response& response) {
    guarded(request, response, [&] {
      HttpRequest asked;
      const Route* route = find(parts_of(request.path), true, asked);
      if (route == nullptr) return put(http_error(404, "NOT_FOUND", "there is nothing to do here"), response);
      asked.authorization = request.get_header_value("Authorization").substr(0, limits_.parameter_bytes_max);
      asked.trace = trace_of(request);
      asked.body = request.body;
      put(route->handler(asked), response);
    });
  }

  template <class Run>
  static void guarded(const httplib::Request& request, httplib::Response& response, const Run& run) {
    try {
      run();
    } catch (const std::exception& error) {
      LogEvent(LogLevel::error, "http", "a request could not be answered")
          .field("path", printable(request.path))
          .field("error", error.what())
          .write();
      put(http_error(500, "INTERNAL", "the node failed to make the answer; its log says more"), response);
    }
  }

  static void put(const HttpAnswer& answer, httplib::Response& response) {
    response.status = answer.status;
    response.set_content(answer.body, answer.type.c_str());
    if (answer.cache.empty()) return;
    response.headers.erase("Cache-Control");
    response.set_header("Cache-Control", answer.cache);
  }

  [[nodiscard]] const Route* find(const std::vector<std::string>& path, bool acts, HttpRequest& asked) const {
    const auto route = std::find_if(routes_.begin(), routes_.end(),
                                    [&](const Route& one) { return one.acts == acts && one.matches(path, asked); });
    return route == routes_.end() ? nullptr : &*route;
  }

  bool answer(const httplib::Request& request, httplib::Response& response) {
    HttpRequest asked;
    const std::vector<std::string> path = parts_of(request.path);
    const Route* const shows = find(path, false, asked);
    HttpRequest of_action;
    const bool acts = find(path, true, of_action) != nullptr && request.path.size() <= limits_.action_path_bytes_max;
    if (shows == nullptr && !acts) {
      put(http_error(404, "NOT_FOUND",
                     fmt::format("there is nothing at {}; docs/OBSERVABILITY.md lists what there is",
                                 printable(request.path))),
          response);
      return false;
    }
    if (request.method == "POST" && acts) return may_act(request, response);
    if (shows == nullptr || (request.method != "GET" && request.method != "HEAD")) {
      const std::string allowed = shows == nullptr ? "POST" : acts ? "GET, HEAD, POST" : "GET, HEAD";
      response.set_header("Allow", allowed);
      put(http_error(405, "METHOD_NOT_ALLOWED",
                     fmt::format("{} is not for {}; {} is", printable(request.method), printable(request.path),
                                 shows == nullptr ? "POST" : "GET")),
          response);
      return false;
    }
    show(*shows, request, asked, response);
    return false;
  }

  bool may_act(const httplib::Request& request, httplib::Response& response) const {
    const std::string type = request.get_header_value("Content-Type");
    const bool json = type == "application/json" || type.starts_with("application/json;");
    if (!json) {
      put(http_error(415, "UNSUPPORTED_MEDIA_TYPE", "a POST needs Content-Type: application/json"), response);
      return false;
    }
    if (!request.params.empty()) {
      put(http_bad_request("a POST takes no parameters in its path; they go into its body"), response);
      return false;
    }
    return true;
  }

  void show(const Route& route, const httplib::Request& request, HttpRequest& asked, httplib::Response& response) {
    if (const std::optional<HttpAnswer> refused = read_query(route, request, asked)) return put(*refused, response);
    asked.last_event_id = request.get_header_value("Last-Event-ID").substr(0, limits_.parameter_bytes_max);
    if (route.stream) return serve_stream(route, request, asked, response);
    HttpAnswer answer = route.handler(asked);
    if (answer.status == 200 && !answer.tag.empty()) {
      const std::string tag = fmt::format("\"{}\"", answer.tag);
      response.set_header("ETag", "W/" + tag);
      if (names_tag(request.get_header_value("If-None-Match"), tag)) {
        answer.status = 304;
        answer.body.clear();
      }
    }
    put(answer, response);
  }

  [[nodiscard]] std::optional<HttpAnswer> read_query(const Route& route, const httplib::Request& request,
                                                     HttpRequest& asked) const {
    if (request.params.size() > limits_.parameters_max) {
      return http_bad_request(fmt::format("the query has more than {} parameters", limits_.parameters_max));
    }
    for (const auto& [name, value] : request.params) {
      if (std::find(route.parameters.begin(), route.parameters.end(), name) == route.parameters.end()) {
        return http_bad_request(route.parameters.empty()
                                    ? fmt::format("this takes no parameter {}", printable(name))
                                    : fmt::format("there is no parameter {}; there are {}", printable(name),
                                                  fmt::join(route.parameters, ", ")));
      }
      if (value.size() > limits_.parameter_bytes_max) {
        return http_bad_request(fmt::format("{} is longer than {} bytes", name, limits_.parameter_bytes_max));
      }
      asked.query[name] = value;
    }
    return std::nullopt;
  }

  void serve_stream(const Route& route, const httplib::Request& request, const HttpRequest& asked,
                    httplib::Response& response) {
    if (request.method == "HEAD") return put({.status = 200, .type = "text/event-stream", .body = {}}, response);
    const auto place = std::make_shared<Place>(streams_);
    if (streams_ > limits_.streams_max) {
      return put(http_error(503, "OVERLOADED",
                            fmt::format("{} streams are open, which is the most; close one", limits_.streams_max)),
                 response);
    }
    HttpStream stream = route.stream(asked);
    response.status = 200;
    response.set_chunked_content_provider(
        "text/event-stream", [this, place, stream = std::move(stream)](std::size_t, httplib::DataSink& sink) {
          const std::optional<std::string> part = stopping_ ? std::nullopt : stream();
          if (!part) {
            place->free();  // before the reader sees the end: he may come again at once
            sink.done();
            return true;
          }
          return part->empty() || sink.write(part->data(), part->size());
        });
  }

  const std::vector<Route>& routes_;
  const HttpLimits& limits_;
  httplib::Server server_;
  std::thread thread_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> ended_ = false;
  std::atomic<std::size_t> streams_ = 0;
};

HttpPort::HttpPort(HttpLimits limits) : limits_(limits) {}
HttpPort::~HttpPort() { stop(); }

void HttpPort::route(std::string_view pattern, std::vector<std::string> parameters, Handler handler) {
  routes_.push_back({parts_of(pattern), std::move(parameters), std::move(handler), {}, false});
}
void HttpPort::action(std::string_view pattern, Handler handler) {
  routes_.push_back({parts_of(pattern), {}, std::move(handler), {}, true});
}
void HttpPort::stream(std::string_view pattern, StreamHandler handler) {
  routes_.push_back({parts_of(pattern), {}, {}, std::move(handler), false});
}

Result<void> HttpPort::start(const Endpoint& listen) {
  server_ = std::make_unique<Server>(routes_, limits_);
  return server_->start(listen);
}

void HttpPort::stop() {
  if (server_ != nullptr) server_->stop();
  server_.reset();
}

}  // namespace assent
