#include "dev/front.h"

#include <fmt/format.h>
#include <httplib.h>

#include <condition_variable>
#include <deque>
#include <nlohmann/json.hpp>

#include "dashboard/assets.h"
#include "server/http_actions.h"
#include "server/http_api.h"
#include "server/http_routes.h"

namespace assent::dev {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

constexpr auto slow_disk_delay = 200ms;
constexpr time_t connect_seconds = 1;
constexpr time_t answer_seconds = 6;

httplib::Client client_of(const NodeView& node) {
  httplib::Client http("http://" + node.http);
  http.set_connection_timeout(connect_seconds);
  http.set_read_timeout(answer_seconds);
  return http;
}

// The path of the request again: patterns have at most one part that varies, and nothing else can have matched.
std::string path_of(std::string pattern, const HttpRequest& request) {
  for (const auto& [name, value] : request.path) {
    const std::string variable = "{" + name + "}";
    const std::size_t at = pattern.find(variable);
    if (at != std::string::npos) pattern.replace(at, variable.size(), httplib::detail::encode_query_param(value));
  }
  char separator = '?';
  for (const auto& [name, value] : request.query) {
    pattern += separator + name + "=" + httplib::detail::encode_query_param(value);
    separator = '&';
  }
  return pattern;
}

HttpAnswer answer_of(const httplib::Response& response) {
  return {
      .status = response.status, .type = response.get_header_value("Content-Type"), .body = response.body, .cache = {}};
}

HttpAnswer nobody() { return http_error(503, "NO_NODE", "no node of this cluster answers; start one again"); }

// An event stream of a node, read on a thread of its own; of another node when that one ends.
class Relay {
 public:
  explicit Relay(Nodes& nodes) : nodes_(nodes), thread_([this] { run(); }) {}
  ~Relay() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      if (client_ != nullptr) client_->stop();
    }
    thread_.join();
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // What has come, or a comment that keeps the connection alive.
  std::string next() {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, 1s, [this] { return !parts_.empty(); });
    if (parts_.empty()) return ": no node answers\n\n";
    std::string part = std::move(parts_.front());
    parts_.pop_front();
    return part;
  }

 private:
  void run() {
    while (!ending()) {
      for (const NodeView& node : nodes_.view()) {
        if (node.running && !ending()) follow(node);
      }
      std::this_thread::sleep_for(200ms);
    }
  }
  bool ending() {
    const std::lock_guard lock(mutex_);
    return ending_;
  }
  void follow(const NodeView& node) {
    httplib::Client http = client_of(node);
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return;
      client_ = &http;
    }
    static_cast<void>(http.Get("/api/v1/stream", [this](const char* data, std::size_t size) {
      constexpr std::size_t parts_max = 16;
      const std::lock_guard lock(mutex_);
      if (parts_.size() < parts_max) parts_.emplace_back(data, size);
      came_.notify_all();
      return !ending_;
    }));
    const std::lock_guard lock(mutex_);
    client_ = nullptr;
  }

  Nodes& nodes_;
  std::mutex mutex_;  // guards the rest but the thread
  std::condition_variable came_;
  std::deque<std::string> parts_;
  httplib::Client* client_ = nullptr;
  bool ending_ = false;
  std::thread thread_;  // last: it uses all of the above
};

Json bank_json(const BankView& bank) {
  Json out{{"running", bank.running},
           {"ready", bank.ready},
           {"committed", std::to_string(bank.committed)},
           {"aborted", std::to_string(bank.aborted)},
           {"unknown", std::to_string(bank.unknown)},
           {"expected", std::to_string(bank.expected)},
           {"counts", std::to_string(bank.counts)},
           {"wrongCounts", std::to_string(bank.wrong_counts)},
           {"countedUnixMicros", std::to_string(bank.counted_unix_millis * 1'000)},
           {"trouble", bank.trouble}};
  if (bank.sum) out["sum"] = std::to_string(*bank.sum);
  out["balances"] = Json::array();
  for (const auto& [account, balance] : bank.balances) {
    out["balances"].push_back({{"account", account}, {"balance", std::to_string(balance)}});
  }
  return out;
}

}  // namespace

Result<std::string> act_on(Nodes& nodes, Bank& bank, const std::string& action, const std::string& node) {
  const auto told = [](const Result<void>& done, std::string sentence) -> Result<std::string> {
    if (!done) return fail(done.error());
    return sentence;
  };
  if (action == "kill") return told(nodes.kill(node), node + " was killed");
  if (action == "restart") return told(nodes.start(node), node + " starts again");
  if (action == "isolate") return told(nodes.isolate(node), node + " is cut off from the others");
  if (action == "slow") return told(nodes.slow_disk(node, slow_disk_delay), "the disk of " + node + " is slow");
  if (action == "heal") return told(nodes.heal(), "all connections and disks are well again");
  if (action == "bank") {
    const bool on = !bank.view().running;
    bank.set_running(on);
    return std::string(on ? "the bank goes on" : "the bank rests");
  }
  return fail(ErrorCode::not_found, "there is no such action");
}

Front::Front(Nodes& nodes, Bank& bank, std::string token, AdminTokens tokens)
    : nodes_(nodes), bank_(bank), token_(std::move(token)), tokens_(std::move(tokens)) {
  add_routes();
}

Result<void> Front::start(const Endpoint& listen) { return http_.start(listen); }

void Front::add_routes() {
  http_.route("/api/v1/dev", {}, [this](const HttpRequest&) { return state(); });
  for (const char* action : {"kill", "restart", "isolate", "slow", "heal", "bank"}) {
    http_.action(fmt::format("/api/v1/dev/{}", action), [this, action](const HttpRequest& request) -> HttpAnswer {
      if (auto no = refuse_without_token(tokens_, request)) return *no;
      const auto body = nlohmann::json::parse(request.body, nullptr, false);
      const bool named = body.is_object() && body.contains("node") && body["node"].is_string();
      const auto done = act_on(nodes_, bank_, action, named ? body["node"].get<std::string>() : std::string());
      if (!done) return http_error(409, "REFUSED", done.error().message);
      return {.status = 200, .type = "application/json", .body = Json{{"done", *done}}.dump() + "\n"};
    });
  }
  for (const char* path : {"/livez", "/metrics"}) hand_on(path, {});
  hand_on("/readyz", {"verbose"});
  for (const ApiRead& read : api_reads()) hand_on(read.path, read.parameters);
  hand_on_action("/api/v1/txns/{id}/resolve");
  hand_on_action("/api/v1/txns/{id}/seal");
  hand_on_action("/api/v1/groups/{group}/transfer-leader");
  http_.stream("/api/v1/stream", [this](const HttpRequest& request) { return stream(request); });
  add_dashboard_routes(http_);
}

void Front::hand_on(const char* pattern, std::vector<std::string> parameters) {
  http_.route(pattern, std::move(parameters),
              [this, pattern](const HttpRequest& request) { return ask(path_of(pattern, request)); });
}

void Front::hand_on_action(const char* pattern) {
  http_.action(pattern,
               [this, pattern](const HttpRequest& request) { return act(path_of(pattern, request), request); });
}

HttpAnswer Front::ask(const std::string& path) const {
  for (const NodeView& node : nodes_.view()) {
    if (!node.running) continue;
    httplib::Client http = client_of(node);
    if (const auto answer = http.Get(path); answer) return answer_of(*answer);
  }
  return nobody();
}

// Asked of one node only: what was lost on the way may have been done.
HttpAnswer Front::act(const std::string& path, const HttpRequest& request) const {
  for (const NodeView& node : nodes_.view()) {
    if (!node.running) continue;
    httplib::Client http = client_of(node);
    const auto answer = http.Post(path, {{"Authorization", request.authorization}}, request.body, "application/json");
    if (answer) return answer_of(*answer);
    if (answer.error() != httplib::Error::Connection) break;
  }
  return nobody();
}

HttpStream Front::stream(const HttpRequest&) const {
  return [relay = std::make_shared<Relay>(nodes_)]() -> std::optional<std::string> { return relay->next(); };
}

HttpAnswer Front::state() const {
  Json nodes = Json::array();
  for (const NodeView& node : nodes_.view()) {
    nodes.push_back({{"name", node.name},
                     {"running", node.running},
                     {"cut", node.cut},
                     {"syncDelayMillis", node.sync_delay.count()},
                     {"client", node.client},
                     {"http", node.http},
                     {"log", node.log.string()}});
  }
  const Json out{{"nodes", std::move(nodes)}, {"bank", bank_json(bank_.view())}};
  return {.status = 200,
          .type = "application/json",
          .body = out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

}  // namespace assent::dev
