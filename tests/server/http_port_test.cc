// The http port against clients that mean well and others: over real sockets.
#include "server/http_port.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/local.h"

namespace assent {
namespace {

using testing::free_port;
using ::testing::HasSubstr;

// Bytes as they are, and what comes back until the other side closes.
std::string exchange(std::uint16_t port, const std::string& bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  shutdown(fd, SHUT_WR);
  std::string answer;
  std::array<char, 4096> part{};
  for (ssize_t got = 0; (got = recv(fd, part.data(), part.size(), 0)) > 0;) {
    answer.append(part.data(), static_cast<std::size_t>(got));
  }
  close(fd);
  return answer;
}

class HttpPortTest : public ::testing::Test {
 protected:
  void SetUp() override {
    http.route("/greet/{name}", {"times"}, [](const HttpRequest& request) -> HttpAnswer {
      const auto times = request.query.find("times");
      return {.status = 200,
              .type = "text/plain",
              .body = request.path.at("name") + (times == request.query.end() ? "" : times->second)};
    });
    http.route("/tagged", {"of"}, [](const HttpRequest& request) -> HttpAnswer {
      return {.status = request.query.empty() ? 200 : 404, .type = "text/plain", .body = "seven", .tag = "7"};
    });
    http.route("/throws", {}, [](const HttpRequest&) -> HttpAnswer { throw std::runtime_error("no"); });
    http.action("/greet/{name}/wave", [](const HttpRequest& request) -> HttpAnswer {
      return {.status = 200,
              .type = "text/plain",
              .body = request.path.at("name") + "|" + request.authorization + "|" + request.body};
    });
    http.stream("/stream", [](const HttpRequest&) -> HttpStream {
      return [count = std::make_shared<int>(0)]() -> std::optional<std::string> {
        if (++*count > 3) return std::nullopt;
        return "data: " + std::to_string(*count) + "\n\n";
      };
    });
    ASSERT_TRUE(http.start({"127.0.0.1", port}));
  }
  httplib::Result get(const std::string& path) const {
    httplib::Client client("127.0.0.1", port);
    return client.Get(path);
  }
  static std::string code_of(const httplib::Result& answer) {
    const auto document = nlohmann::json::parse(answer->body, nullptr, false);
    return document.is_discarded() ? "no JSON" : document["error"]["code"].get<std::string>();
  }

  const std::uint16_t port = free_port();
  HttpPort http{{.threads_max = 4, .streams_max = 2, .parameters_max = 3, .parameter_bytes_max = 20}};
};

TEST_F(HttpPortTest, AnswersARoute) {
  const auto answer = get("/greet/bob?times=3");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "bob3");
  EXPECT_EQ(answer->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(answer->get_header_value("Content-Security-Policy"), "default-src 'self'");
}

TEST_F(HttpPortTest, SaysWhatIsNotThere) {
  for (const char* path : {"/", "/greet", "/greet/a/b", "/nothing", "/greet/../x"}) {
    const auto answer = get(path);
    ASSERT_TRUE(answer) << path;
    EXPECT_EQ(answer->status, 404) << path;
    EXPECT_EQ(code_of(answer), "NOT_FOUND");
  }
}

TEST_F(HttpPortTest, WhoHasTheContentIsToldSo) {
  httplib::Client client("127.0.0.1", port);
  EXPECT_EQ(client.Get("/tagged")->get_header_value("ETag"), "W/\"7\"");
  EXPECT_FALSE(client.Get("/greet/bob")->has_header("ETag"));
  EXPECT_FALSE(client.Get("/tagged?of=x")->has_header("ETag")) << "an error has none";
  for (const char* tags : {"W/\"7\"", "\"7\"", "*", "\"6\", W/\"7\"", "\"6\",\t\"7\" "}) {
    const auto answer = client.Get("/tagged", {{"If-None-Match", tags}});
    ASSERT_TRUE(answer) << tags;
    EXPECT_EQ(answer->status, 304) << tags;
    EXPECT_EQ(answer->body, "");
    EXPECT_EQ(answer->get_header_value("ETag"), "W/\"7\"");
  }
  for (const char* tags : {"", "7", "\"8\"", "W/", ",", ", ,", "\"7", "\"*\"", "w/\"7\""}) {
    EXPECT_EQ(client.Get("/tagged", {{"If-None-Match", tags}})->body, "seven") << tags;
  }
}

TEST_F(HttpPortTest, OtherMethodsAreRefused) {
  httplib::Client client("127.0.0.1", port);
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    httplib::Request request;
    request.method = method;
    request.path = "/greet/bob";
    const auto answer = client.send(request);
    ASSERT_TRUE(answer) << method;
    EXPECT_EQ(answer->status, 405) << method;
    EXPECT_EQ(answer->get_header_value("Allow"), "GET, HEAD");
  }
  EXPECT_EQ(client.Head("/greet/bob")->status, 200);
}

TEST_F(HttpPortTest, AnActionIsAskedWithPostAndJson) {
  httplib::Client client("127.0.0.1", port);
  const auto answer = client.Post("/greet/bob/wave", {{"Authorization", "Bearer x"}}, "{\"a\":1}", "application/json");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "bob|Bearer x|{\"a\":1}");
  EXPECT_EQ(client.Post("/greet/bob/wave", "", "application/json; charset=utf-8")->status, 200);
}

// What a form of another origin can send without asking.
TEST_F(HttpPortTest, AnActionTakesNothingElse) {
  httplib::Client client("127.0.0.1", port);
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""}) {
    const auto answer = client.Post("/greet/bob/wave", "{}", type);
    ASSERT_TRUE(answer) << type;
    EXPECT_EQ(answer->status, 415) << type;
  }
  EXPECT_EQ(client.Get("/greet/bob/wave")->status, 405);
  EXPECT_EQ(client.Get("/greet/bob/wave")->get_header_value("Allow"), "POST");
  EXPECT_EQ(client.Post("/greet/bob/wave?times=3", "{}", "application/json")->status, 400);
  EXPECT_EQ(client.Post("/greet/" + std::string(300, 'b') + "/wave", "{}", "application/json")->status, 404);
  EXPECT_EQ(client.Post("/nothing", "{}", "application/json")->status, 404);
  EXPECT_EQ(client.Put("/greet/bob/wave", "{}", "application/json")->status, 405);
  const auto large = client.Post("/greet/bob/wave", std::string(70'000, 'x'), "application/json");
  EXPECT_TRUE(!large || large->status == 413);
  EXPECT_EQ(get("/greet/bob")->status, 200);
}

TEST_F(HttpPortTest, AQueryHasItsLimits) {
  EXPECT_EQ(get("/greet/bob?tines=3")->status, 400);
  EXPECT_THAT(get("/greet/bob?tines=3")->body, HasSubstr("there are times"));
  EXPECT_EQ(get("/greet/bob?times=" + std::string(21, '1'))->status, 400);
  EXPECT_EQ(get("/greet/bob?a=1&b=2&c=3&d=4")->status, 400);
  EXPECT_EQ(get("/greet/bob?times=" + std::string(9'000, '1'))->status, 414);
  EXPECT_EQ(code_of(get("/greet/bob?times=" + std::string(9'000, '1'))), "BAD_REQUEST");
}

TEST_F(HttpPortTest, MarkupComesBackAsText) {
  const auto answer = get("/%3Cscript%3Ealert(1)%3C/script%3E");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(answer->get_header_value("Content-Type"), "application/json");
}

TEST_F(HttpPortTest, AHandlerThatFailsIsAnError500) {
  const auto answer = get("/throws");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 500);
  EXPECT_EQ(code_of(answer), "INTERNAL");
}

TEST_F(HttpPortTest, RubbishDoesNoHarm) {
  for (const std::string& bytes :
       {std::string("\0\0\0\0\r\n\r\n", 8), std::string("GET\r\n\r\n"), std::string("GET /greet/x HTTP/9.9\r\n\r\n"),
        "GET /greet/x HTTP/1.1\r\n" + std::string(100'000, 'h') + "\r\n\r\n", std::string("\x16\x03\x01\x02")}) {
    static_cast<void>(exchange(port, bytes));
    EXPECT_EQ(get("/greet/bob")->status, 200);
  }
}

TEST_F(HttpPortTest, MoreConnectionsThanThreadsAreServedInTurn) {
  std::vector<std::thread> clients;
  std::atomic<int> served = 0;
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back([&] {
      httplib::Client client("127.0.0.1", port);
      client.set_read_timeout(30);
      const auto answer = client.Get("/greet/bob");
      if (answer && answer->status == 200) ++served;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(served, 12);
}

TEST_F(HttpPortTest, AStreamComesInParts) {
  const auto answer = get("/stream");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->get_header_value("Content-Type"), "text/event-stream");
  EXPECT_EQ(answer->body, "data: 1\n\ndata: 2\n\ndata: 3\n\n");
}

TEST_F(HttpPortTest, StopsWithAConnectionOpen) {
  httplib::Client client("127.0.0.1", port);
  client.set_keep_alive(true);
  ASSERT_TRUE(client.Get("/greet/bob"));
  http.stop();
  EXPECT_FALSE(client.Get("/greet/bob"));
}

TEST_F(HttpPortTest, APortIsNotSharedWithAnother) {
  HttpPort other;
  const auto started = other.start({"127.0.0.1", port});
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("cannot listen on 127.0.0.1:"));
}

// ---- streams ----

class FewStreams : public ::testing::Test {};

TEST_F(FewStreams, AreTooManyAtSomePoint) {
  const std::uint16_t port = free_port();
  HttpPort http({.threads_max = 8, .streams_max = 1});
  std::promise<void> opened;
  std::promise<void> go_on;
  std::atomic<int> open = 0;
  http.stream("/stream", [&, end = go_on.get_future().share()](const HttpRequest&) -> HttpStream {
    if (++open == 1) opened.set_value();
    return [end]() -> std::optional<std::string> {
      end.wait();
      return std::nullopt;
    };
  });
  ASSERT_TRUE(http.start({"127.0.0.1", port}));
  std::thread first([&] {
    httplib::Client client("127.0.0.1", port);
    EXPECT_EQ(client.Get("/stream")->status, 200);
  });
  opened.get_future().wait();
  httplib::Client client("127.0.0.1", port);
  EXPECT_EQ(client.Get("/stream")->status, 503);
  go_on.set_value();
  first.join();
  EXPECT_EQ(client.Get("/stream")->status, 200) << "its place is free again";
}

}  // namespace
}  // namespace assent
