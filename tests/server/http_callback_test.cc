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

#include "tests/service/tls_files.h"
#include "txn_proto/api_error.h"

namespace assent {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;
using ::testing::HasSubstr;

HttpParticipantCall some_words(const std::string& verb = "prepare") {
  HttpParticipantCall call{verb, {}};
  call.request.set_txn_id("0190");
  call.request.set_branch("b");
  call.request.mutable_attempt()->set_epoch(3);
  call.request.mutable_attempt()->set_number(~0ULL);
  call.request.set_coordinator("c0");
  call.request.set_payload("{\"take\":1}");
  call.request.set_time_left_millis(1'234);
  return call;
}

HttpCallback some_call() { return {{"127.0.0.1", 1, ""}, some_words(), 5s}; }

TEST(HttpTarget, IsReadAndNothingElse) {
  EXPECT_EQ(http_target("http://10.0.0.5:80/a/b/"), (HttpTarget{"10.0.0.5", 80, "/a/b"}));
  EXPECT_EQ(http_target("http://[::1]:80")->host, "[::1]");
  EXPECT_EQ(http_target("http://ledger:8080")->endpoint(), "ledger:8080");
  EXPECT_EQ(http_target("https://ledger:8443/pay"), (HttpTarget{"ledger", 8443, "/pay", true}));
  EXPECT_EQ(http_target("https://ledger:8443/pay")->origin(), "https://ledger:8443");
  for (const char* const bad :
       {"", "10.0.0.5:80", "https://a", "grpcs://a:1", "http://a", "http://a:0", "http://a:1/x?y=1", "http://u@a:1/",
        "http://a:1/#x", "http://a:1/ x", "http://a:1/\r\nX: y", "http://:1", "http://a:70000", "ftp://a:1"}) {
    EXPECT_FALSE(http_target(bad)) << bad;
  }
}

TEST(ServiceTarget, IsOneOfFour) {
  EXPECT_EQ(grpc_target("ledger:7000"), (GrpcTarget{"ledger:7000", false}));
  EXPECT_EQ(grpc_target("grpcs://ledger:7000"), (GrpcTarget{"ledger:7000", true}));
  for (const char* const bad :
       {"", "ledger", "grpcs://ledger", "grpc://ledger:1", "grpcs://ledger:1/x", "http://a:1"}) {
    EXPECT_FALSE(grpc_target(bad)) << bad;
  }
  EXPECT_TRUE(is_service_target("https://a:1/x"));
  EXPECT_FALSE(is_service_target("ftp://a:1/x"));
  EXPECT_EQ(endpoint_of("https://a:1/x"), "a:1");
  EXPECT_EQ(endpoint_of("grpcs://a:1"), "a:1");
  EXPECT_EQ(endpoint_of("a:1"), "a:1");
  EXPECT_EQ(endpoint_of("?"), "");
}

TEST(HttpCallback, SaysWhatAParticipantMustKnow) {
  const auto body = nlohmann::json::parse(body_of(some_words()));
  EXPECT_EQ(body["txn_id"], "0190");
  EXPECT_EQ(body["branch"], "b");
  EXPECT_EQ(body["attempt"]["epoch"], "3");
  EXPECT_EQ(body["attempt"]["number"], "18446744073709551615");
  EXPECT_EQ(body["coordinator"], "c0");
  EXPECT_EQ(body["payload"], "{\"take\":1}");
  EXPECT_EQ(body["time_left_millis"], 1'234);
  HttpParticipantCall binary = some_words();
  binary.request.set_payload(std::string("\xff\x00\x01", 3));
  EXPECT_EQ(nlohmann::json::parse(body_of(binary))["payload_base64"], "/wAB");
  EXPECT_FALSE(nlohmann::json::parse(body_of(some_words("commit"))).contains("payload"));
}

TEST(HttpCallback, AnswersAreReadByTheirStatus) {
  const auto of = [](const std::string& verb, int status, const std::string& body) {
    return read_answer(some_words(verb), status, body);
  };
  const HttpParticipantAnswer plain = of("prepare", 200, "");
  ASSERT_TRUE(plain.status.ok());
  EXPECT_EQ(plain.response.vote(), v1::VOTE_YES);
  EXPECT_EQ(plain.response.attempt().epoch(), 3U) << "of whoever asked, unless it says another";
  const HttpParticipantAnswer other =
      of("prepare", 200, R"({"vote":"read_only","attempt":{"epoch":"2","number":9},"result":"R"})");
  EXPECT_EQ(other.response.vote(), v1::VOTE_READ_ONLY);
  EXPECT_EQ(other.response.attempt().epoch(), 2U);
  EXPECT_EQ(other.response.attempt().number(), 9U);
  EXPECT_EQ(other.response.result(), "R");
  EXPECT_TRUE(of("commit", 204, "").status.ok());

  const HttpParticipantAnswer no = of("prepare", 409, R"({"reason":"VOTE_NO","message":"too poor"})");
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

TEST(HttpCallback, AStatusIsReadOrIsNotTold) {
  const HttpStatusAnswer prepared =
      read_status_answer(200, R"({"state":"prepared","attempt":{"epoch":"2","number":9},"coordinator":"c0"})");
  ASSERT_TRUE(prepared.status.ok());
  EXPECT_EQ(prepared.response.state(), v1::BRANCH_PREPARED);
  EXPECT_EQ(prepared.response.attempt().number(), 9U);
  EXPECT_EQ(prepared.response.coordinator(), "c0");
  EXPECT_FALSE(read_status_answer(200, R"({"state":"empty"})").response.has_attempt());
  for (const int status : {404, 405, 501}) {
    EXPECT_EQ(read_status_answer(status, "{}").status.error_code(), StatusCode::UNIMPLEMENTED);
  }
  for (const auto& [status, body] :
       std::vector<std::pair<int, std::string>>{{200, ""},
                                                {200, "{}"},
                                                {200, R"({"state":"undead"})"},
                                                {200, R"({"state":"aborted","attempt":3})"},
                                                {500, "{}"}}) {
    EXPECT_EQ(read_status_answer(status, body).status.error_code(), StatusCode::UNAVAILABLE) << status << body;
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

HttpParticipantAnswer ask(HttpCallbacks& callbacks, HttpCallback call) {
  std::promise<HttpParticipantAnswer> said;
  EXPECT_TRUE(
      callbacks.call(std::move(call), [&](HttpParticipantAnswer answer) { said.set_value(std::move(answer)); }));
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
  EXPECT_EQ(body, body_of(call.call));
}

TEST(HttpCallbacks, NobodyThereAndTooMuchAreUnknown) {
  const Served served([](const httplib::Request&, httplib::Response& response) {
    response.set_content(std::string(2'000, 'x'), "application/json");
  });
  HttpCallbacks callbacks({.answer_bytes_max = 1'000});
  HttpCallback call = some_call();
  call.target = served.target();
  const HttpParticipantAnswer much = ask(callbacks, call);
  EXPECT_EQ(much.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(much.status.error_message(), HasSubstr("more than 1000 bytes"));
  call.target.port = 1;
  EXPECT_EQ(ask(callbacks, call).status.error_code(), StatusCode::UNAVAILABLE);
}

TEST(HttpCallbacks, ByTlsOnlyWhoIsTrustedIsAsked) {
  const service::testing::TlsFiles files;
  httplib::SSLServer server(files.cert().c_str(), files.key().c_str());
  server.Post(".*", [](const httplib::Request&, httplib::Response& response) { response.status = 204; });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  HttpCallback call = some_call();
  call.target = {"127.0.0.1", static_cast<std::uint16_t>(port), "/pay", true};
  {
    HttpCallbacks strict({.tls = *read_service_tls("", "", "")});
    EXPECT_THAT(ask(strict, call).status.error_message(), HasSubstr("SSL"));
    HttpCallbacks trusting({.tls = *read_service_tls(files.cert(), "", "")});
    EXPECT_TRUE(ask(trusting, call).status.ok());
  }
  server.stop();
  thread.join();
}

TEST(ServiceTls, FilesThatAreNoneAreToldAtTheStart) {
  const service::testing::TlsFiles files;
  EXPECT_THAT(read_service_tls("/nowhere", "", "").error().message, HasSubstr("/nowhere cannot be read"));
  EXPECT_THAT(read_service_tls("/dev/null", "", "").error().message, HasSubstr("nothing in PEM"));
  EXPECT_THAT(read_service_tls("", files.cert(), "").error().message, HasSubstr("needs its key"));
  const auto both = read_service_tls(files.cert(), files.cert(), files.key());
  ASSERT_TRUE(both);
  EXPECT_THAT(both->ca, HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_THAT(both->key, HasSubstr("PRIVATE KEY"));
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
  const HttpParticipantAnswer answer = ask(callbacks, call);
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
  std::promise<HttpParticipantAnswer> said;
  {
    HttpCallbacks callbacks({.threads_max = 1, .waiting_max = 1});
    HttpCallback call = some_call();
    call.target = served.target();
    call.time = 600s;
    EXPECT_TRUE(callbacks.call(call, [&](HttpParticipantAnswer answer) { said.set_value(std::move(answer)); }));
    entered.get_future().wait();
    const auto nobody = [](const HttpParticipantAnswer&) { ADD_FAILURE() << "it was not called"; };
    EXPECT_TRUE(callbacks.call(call, nobody)) << "waits";
    EXPECT_FALSE(callbacks.call(call, nobody)) << "one too many";
  }
  EXPECT_EQ(said.get_future().get().status.error_code(), StatusCode::UNAVAILABLE);
  let_go.set_value();
}

}  // namespace
}  // namespace assent
