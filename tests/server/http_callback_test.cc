// Services by HTTP call-back: what is sent, and what of their answers becomes a vote, an end, or neither.
#include "server/http_callback.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <poll.h>

#include <atomic>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "txn_proto/api_error.h"

namespace assent {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;
using ::testing::HasSubstr;

HttpCallback some_call(const std::string& verb = "prepare") {
  HttpCallback call{{"127.0.0.1", 1, ""}, verb, {}, 5s};
  call.request.set_txn_id("0190");
  call.request.set_branch("b");
  call.request.mutable_attempt()->set_epoch(3);
  call.request.mutable_attempt()->set_number(~0ULL);
  call.request.set_coordinator("c0");
  call.request.set_payload("{\"take\":1}");
  call.request.set_time_left_millis(1'234);
  return call;
}

TEST(HttpTarget, IsReadAndNothingElse) {
  EXPECT_EQ(http_target("http://10.0.0.5:80/a/b/"), (HttpTarget{"10.0.0.5", 80, "/a/b"}));
  EXPECT_EQ(http_target("http://[::1]:80")->host, "[::1]");
  EXPECT_EQ(http_target("http://ledger:8080")->endpoint(), "ledger:8080");
  for (const char* const bad :
       {"", "10.0.0.5:80", "https://a:1/x", "http://a", "http://a:0", "http://a:1/x?y=1", "http://u@a:1/",
        "http://a:1/#x", "http://a:1/ x", "http://a:1/\r\nX: y", "http://:1", "http://a:70000", "ftp://a:1"}) {
    EXPECT_FALSE(http_target(bad)) << bad;
  }
}

TEST(HttpCallback, SaysWhatAParticipantMustKnow) {
  const auto body = nlohmann::json::parse(body_of(some_call()));
  EXPECT_EQ(body["txn_id"], "0190");
  EXPECT_EQ(body["branch"], "b");
  EXPECT_EQ(body["attempt"]["epoch"], "3");
  EXPECT_EQ(body["attempt"]["number"], "18446744073709551615");
  EXPECT_EQ(body["coordinator"], "c0");
  EXPECT_EQ(body["payload"], "{\"take\":1}");
  EXPECT_EQ(body["time_left_millis"], 1'234);
  HttpCallback binary = some_call();
  binary.request.set_payload(std::string("\xff\x00\x01", 3));
  EXPECT_EQ(nlohmann::json::parse(body_of(binary))["payload_base64"], "/wAB");
  EXPECT_FALSE(nlohmann::json::parse(body_of(some_call("commit"))).contains("payload"));
}

TEST(HttpCallback, AnswersAreReadByTheirStatus) {
  const auto of = [](const std::string& verb, int status, const std::string& body) {
    return read_answer(some_call(verb), status, body);
  };
  const HttpCallbackAnswer plain = of("prepare", 200, "");
  ASSERT_TRUE(plain.status.ok());
  EXPECT_EQ(plain.response.vote(), v1::VOTE_YES);
  EXPECT_EQ(plain.response.attempt().epoch(), 3U) << "of whoever asked, unless it says another";
  const HttpCallbackAnswer other =
      of("prepare", 200, R"({"vote":"read_only","attempt":{"epoch":"2","number":9},"result":"R"})");
  EXPECT_EQ(other.response.vote(), v1::VOTE_READ_ONLY);
  EXPECT_EQ(other.response.attempt().epoch(), 2U);
  EXPECT_EQ(other.response.attempt().number(), 9U);
  EXPECT_EQ(other.response.result(), "R");
  EXPECT_TRUE(of("commit", 204, "").status.ok());

  const HttpCallbackAnswer no = of("prepare", 409, R"({"reason":"VOTE_NO","message":"too poor"})");
  EXPECT_EQ(no.status.error_code(), StatusCode::ABORTED);
  EXPECT_EQ(from_status(no.status).message, "too poor");
  EXPECT_EQ(from_status(of("abort", 409, R"({"reason":"OTHER_ATTEMPT"})").status).reason, "OTHER_ATTEMPT");
  // Three hundred bytes of it end inside a character.
  std::string wordy = R"({"reason":"OTHER_ATTEMPT","detail":")";
  while (wordy.size() < 400) wordy += "\u20ac";
  EXPECT_EQ(from_status(of("abort", 409, wordy + "\"}").status).reason, "OTHER_ATTEMPT");
  EXPECT_EQ(from_status(of("prepare", 409, "\xff\xfe").status).message, "??");
  EXPECT_EQ(of("prepare", 409, "plain words").status.error_code(), StatusCode::ABORTED);
  EXPECT_EQ(of("prepare", 425, "").status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(of("commit", 404, R"({"reason":"NEVER_PREPARED"})").status.error_code(), StatusCode::NOT_FOUND);
  for (const auto& [verb, status, body] : std::vector<std::tuple<std::string, int, std::string>>{
           {"prepare", 404, R"({"reason":"NEVER_PREPARED"})"},
           {"commit", 404, "<html>"},
           {"prepare", 200, "<html>"},
           {"prepare", 200, R"({"vote":"no"})"},
           {"prepare", 200, R"({"attempt":7})"},
           {"prepare", 200, R"({"attempt":{"epoch":"x","number":"1"}})"},
           {"prepare", 302, ""},
           {"prepare", 401, ""},
           {"commit", 500, ""},
           {"commit", 503, ""}}) {
    EXPECT_EQ(of(verb, status, body).status.error_code(), StatusCode::UNAVAILABLE) << verb << status << body;
  }
}

class Served {
 public:
  explicit Served(const httplib::Server::Handler& handler) {
    server_.Post(".*", handler);
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Served() {
    server_.stop();
    thread_.join();
  }
  [[nodiscard]] HttpTarget target() const { return {"127.0.0.1", static_cast<std::uint16_t>(port_), "/pay"}; }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

HttpCallbackAnswer ask(HttpCallbacks& callbacks, HttpCallback call) {
  std::promise<HttpCallbackAnswer> said;
  EXPECT_TRUE(callbacks.call(std::move(call), [&](HttpCallbackAnswer answer) { said.set_value(std::move(answer)); }));
  return said.get_future().get();
}

TEST(HttpCallbacks, CallsAndIsAnswered) {
  std::string path;
  std::string body;
  const Served served([&](const httplib::Request& request, httplib::Response& response) {
    path = request.path;
    body = request.body;
    response.set_content(R"({"vote":"yes","result":"done"})", "application/json");
  });
  HttpCallbacks callbacks;
  HttpCallback call = some_call();
  call.target = served.target();
  EXPECT_EQ(ask(callbacks, call).response.result(), "done");
  EXPECT_EQ(path, "/pay/prepare");
  EXPECT_EQ(body, body_of(call));
}

TEST(HttpCallbacks, NobodyThereAndTooMuchAreUnknown) {
  const Served served([](const httplib::Request&, httplib::Response& response) {
    response.set_content(std::string(2'000, 'x'), "application/json");
  });
  HttpCallbacks callbacks({.answer_bytes_max = 1'000});
  HttpCallback call = some_call();
  call.target = served.target();
  const HttpCallbackAnswer much = ask(callbacks, call);
  EXPECT_EQ(much.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(much.status.error_message(), HasSubstr("more than 1000 bytes"));
  call.target.port = 1;
  EXPECT_EQ(ask(callbacks, call).status.error_code(), StatusCode::UNAVAILABLE);
}

// Sends a byte of a header now and then, for ever: to whoever calls first.
class Dripping {
 public:
  Dripping() {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { drip(); });
  }
  ~Dripping() {
    thread_.join();
    ::close(listener_);
  }
  Dripping(const Dripping&) = delete;
  Dripping& operator=(const Dripping&) = delete;
  [[nodiscard]] HttpTarget target() const { return {"127.0.0.1", port_, ""}; }

 private:
  void drip() const {
    const int caller = ::accept(listener_, nullptr, nullptr);
    for (std::string_view text = "HTTP/1.1 200 OK\r\nX: ";; text = "x") {
      if (::send(caller, text.data(), text.size(), MSG_NOSIGNAL) < 0) break;  // the caller has gone
      pollfd heard{caller, POLLRDHUP, 0};
      if (::poll(&heard, 1, 5) > 0) break;
    }
    ::close(caller);
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(HttpCallbacks, WhoAnswersByteByByteIsCutOff) {
  const Dripping service;
  HttpCallbacks callbacks;
  HttpCallback call = some_call();
  call.target = service.target();
  call.time = 100ms;
  const HttpCallbackAnswer answer = ask(callbacks, call);
  EXPECT_EQ(answer.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("within 100 ms"));
}

TEST(HttpCallbacks, WhoHangsKeepsNobodyFromStoppingAndTooManyAreTurnedAway) {
  std::promise<void> entered;
  std::promise<void> let_go;
  auto gone = let_go.get_future().share();
  std::atomic<int> calls = 0;
  const Served served([&](const httplib::Request&, httplib::Response&) {
    if (++calls == 1) entered.set_value();
    gone.wait();
  });
  std::promise<HttpCallbackAnswer> said;
  {
    HttpCallbacks callbacks({.threads_max = 1, .waiting_max = 1});
    HttpCallback call = some_call();
    call.target = served.target();
    call.time = 600s;
    EXPECT_TRUE(callbacks.call(call, [&](HttpCallbackAnswer answer) { said.set_value(std::move(answer)); }));
    entered.get_future().wait();
    const auto nobody = [](const HttpCallbackAnswer&) { ADD_FAILURE() << "it was not called"; };
    EXPECT_TRUE(callbacks.call(call, nobody)) << "waits";
    EXPECT_FALSE(callbacks.call(call, nobody)) << "one too many";
  }
  EXPECT_EQ(said.get_future().get().status.error_code(), StatusCode::UNAVAILABLE);
  let_go.set_value();
}

}  // namespace
}  // namespace assent
