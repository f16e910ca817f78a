// The http port of a node: routes, limits and their errors; what the routes answer is others' business
// (server/http_routes.h). GET and HEAD, and POST where a route says so. Not for the internet: it listens on loopback
// unless told otherwise.
//
// Handlers run on the port's own threads, at most threads_max at a time; who comes then waits in the listen queue. An
// event stream keeps its thread, so there are at most streams_max of them. start() and stop() from one thread.
//
// Invariants: every answer but a stream's is one whole document; an error is JSON with a code and a sentence; whatever
// a request says, it is answered with a status below 500 or its handler's failure is answered with 500.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "observe/trace_context.h"
#include "server/config_values.h"

namespace assent {

struct HttpRequest {
  std::map<std::string, std::string> path;   // what stood for {name} in the route
  std::map<std::string, std::string> query;  // the last of equal names
  std::string last_event_id;
  std::string authorization;  // of a POST, as it was sent
  TraceHeaders trace;         // of a POST, to be handed on: text, whatever it says
  std::string body;           // of a POST; at most 64 KiB
};

struct HttpAnswer {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::string cache = {};  // Cache-Control; empty: no-store
  std::string tag = {};    // the same for the same content: who has it (If-None-Match) is told so; empty: none
};
[[nodiscard]] HttpAnswer http_error(int status, std::string_view code, std::string_view message);
[[nodiscard]] HttpAnswer http_bad_request(std::string_view message);

// An event stream: called again and again for the next part, until it returns nullopt or the reader is gone. Between
// two parts it may block for a second or so, no longer: stop() waits for it.
using HttpStream = std::function<std::optional<std::string>()>;

struct HttpLimits {
  std::size_t threads_max = 112;  // made as they are needed
  std::size_t streams_max = 48;
  std::size_t parameters_max = 32;
  std::size_t parameter_bytes_max = 1'024;
  std::size_t action_path_bytes_max = 256;
};

class HttpPort {
 public:
  using Handler = std::function<HttpAnswer(const HttpRequest&)>;
  using StreamHandler = std::function<HttpStream(const HttpRequest&)>;

  explicit HttpPort(HttpLimits limits = {});
  ~HttpPort();
  HttpPort(const HttpPort&) = delete;
  HttpPort& operator=(const HttpPort&) = delete;

  // Before start(). A part of the pattern in braces stands for any one part: "/api/v1/txns/{id}". parameters: the names
  // that a query may have; any other is an error, so that a typing error is not taken for "no filter".
  void route(std::string_view pattern, std::vector<std::string> parameters, Handler handler);
  // Asked with POST and a body of Content-Type application/json, which no page of another origin can send unasked.
  void action(std::string_view pattern, Handler handler);
  void stream(std::string_view pattern, StreamHandler handler);

  [[nodiscard]] Result<void> start(const Endpoint& listen);
  // No new requests; those that run end, streams at their next part. Twice is harmless.
  void stop();

 private:
  struct Route;
  class Server;

  HttpLimits limits_;
  std::vector<Route> routes_;
  std::unique_ptr<Server> server_;
};

}  // namespace assent
