#include <fmt/format.h>
#include <httplib.h>

#include <charconv>
#include <ctime>

#include "observe/otlp_wire.h"
#include "server/http_post.h"
#include "server/span_body.h"
#include "server/span_sender.h"

namespace assent {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t message_max = 200;
constexpr std::size_t answer_bytes_max = 64UL << 10U;

class HttpSpanSender final : public SpanSender {
 public:
  explicit HttpSpanSender(const TraceOptions& options)
      : json_(options.protocol == OtlpProtocol::http_json),
        path_(options.path),
        timeout_(options.timeout),
        gzip_(options.gzip),
        client_((options.secure ? "https://" : "http://") + options.endpoint.text(), options.client_certificate,
                options.client_key) {
    if (options.secure) {
      if (!options.certificate.empty()) client_.set_ca_cert_path(options.certificate);
      client_.enable_server_certificate_verification(true);
    }
    client_.set_keep_alive(true);
    client_.set_tcp_nodelay(true);
    for (const auto& [name, value] : options.headers) headers_.emplace(name, value);
    headers_.emplace("Content-Type", json_ ? "application/json" : "application/x-protobuf");
  }

  SpanReply send(const std::string& body) override {
    httplib::Request request;
    request.path = path_;
    request.headers = headers_;
    request.body = body;
    if (gzip_) compress(request);
    const auto answer =
        posts_.post(client_, std::move(request), {.time = timeout_, .answer_bytes_max = answer_bytes_max});
    if (!answer) {
      return {.kind = SpanReply::Kind::retry, .rejected = 0, .message = "no answer: " + answer.error(), .after = {}};
    }
    if (answer->status >= 200 && answer->status < 300) {
      OtlpAnswer told = json_ ? otlp_answer_of_json(answer->body) : otlp_answer_of_protobuf(answer->body);
      return {.kind = SpanReply::Kind::accepted, .rejected = told.rejected, .message = told.message, .after = {}};
    }
    const int status = answer->status;
    const bool again = status == 429 || status == 502 || status == 503 || status == 504;
    const std::string said = json_ ? status_message_of_json(answer->body) : status_message_of_protobuf(answer->body);
    return {.kind = again ? SpanReply::Kind::retry : SpanReply::Kind::refused,
            .rejected = 0,
            .message = fmt::format("status {}{}{}", status, said.empty() ? "" : ": ", said.substr(0, message_max)),
            .after = again ? retry_after(answer->get_header_value("Retry-After"), std::chrono::system_clock::now())
                           : std::nullopt};
  }

  void cancel() override { posts_.cut_off(); }

 private:
  static void compress(httplib::Request& request) {
    auto small = gzipped(request.body);
    if (!small) return;
    request.body = std::move(*small);
    request.headers.emplace("Content-Encoding", "gzip");
  }

  const bool json_;
  const std::string path_;
  httplib::Headers headers_;
  const milliseconds timeout_;
  const bool gzip_;
  httplib::Client client_;
  HttpPosts posts_;
};

}  // namespace

std::unique_ptr<SpanSender> http_span_sender(const TraceOptions& options) {
  return std::make_unique<HttpSpanSender>(options);
}

std::optional<milliseconds> retry_after(const std::string& text, std::chrono::system_clock::time_point now) {
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (!text.empty() && error == std::errc() && end == text.data() + text.size()) return std::chrono::seconds(seconds);
  std::tm date{};
  const char* rest = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (text.empty() || rest == nullptr || *rest != '\0') return std::nullopt;
  // In whole seconds: the clock's own unit ends in the year 2262.
  const std::chrono::seconds at(timegm(&date));
  const auto since = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(at - since));
}

}  // namespace assent
