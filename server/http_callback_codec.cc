#include "server/http_callback_codec.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "txn_proto/api_error.h"

namespace assent {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t message_bytes_max = 300;

std::string base64(std::string_view bytes) {
  static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) -> unsigned {
      return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0;
    };
    const unsigned group = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    for (std::size_t digit = 0; digit < 4; ++digit) {
      const bool padding = i + digit > bytes.size();
      out += padding ? '=' : digits[(group >> (18U - 6U * digit)) & 63U];
    }
  }
  return out;
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// A number as a number or, since not all languages have 64 bits of it, as text.
std::optional<std::uint64_t> number_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (found->is_number_unsigned()) return found->get<std::uint64_t>();
  if (!found->is_string()) return std::nullopt;
  const auto text = found->get<std::string>();
  std::uint64_t out = 0;
  const auto [read, trouble] = std::from_chars(text.data(), text.data() + text.size(), out);
  return trouble == std::errc() && read == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

HttpCallbackAnswer unknown(std::string message) {
  return {grpc::Status(grpc::StatusCode::UNAVAILABLE, std::move(message)), {}};
}

HttpCallbackAnswer definite(grpc::StatusCode code, const Json& said, const std::string& body) {
  ApiError error;
  error.reason = text_at(said, "reason");
  error.message = text_at(said, "message");
  if (error.message.empty()) error.message = as_utf8(std::string_view(body).substr(0, message_bytes_max));
  if (error.reason.empty()) error.reason = code == grpc::StatusCode::ABORTED ? "VOTE_NO" : "REFUSED";
  return {to_status(error, code), {}};
}

HttpCallbackAnswer agreed(const HttpCallback& call, const Json& said) {
  HttpCallbackAnswer answer;
  if (call.verb != "prepare") return answer;
  const std::string vote = text_at(said, "vote");
  if (!vote.empty() && vote != "yes" && vote != "read_only") {
    return unknown(fmt::format("its vote is '{}'; it may be yes or read_only, and a no is a 409", vote.substr(0, 40)));
  }
  answer.response.set_vote(vote == "read_only" ? v1::VOTE_READ_ONLY : v1::VOTE_YES);
  answer.response.set_result(text_at(said, "result"));
  *answer.response.mutable_attempt() = call.request.attempt();
  const auto recorded = said.find("attempt");
  if (recorded == said.end()) return answer;
  if (!recorded->is_object()) return unknown("its attempt is no object of epoch and number");
  const auto epoch = number_at(*recorded, "epoch");
  const auto number = number_at(*recorded, "number");
  if (!epoch || !number) return unknown("its attempt is no object of epoch and number");
  answer.response.mutable_attempt()->set_epoch(*epoch);
  answer.response.mutable_attempt()->set_number(*number);
  return answer;
}

}  // namespace

std::string body_of(const HttpCallback& call) {
  const v1::PrepareRequest& from = call.request;
  Json body{{"txn_id", from.txn_id()},
            {"branch", from.branch()},
            {"attempt",
             {{"epoch", std::to_string(from.attempt().epoch())}, {"number", std::to_string(from.attempt().number())}}},
            {"coordinator", from.coordinator()},
            {"participant", from.participant()}};
  if (call.verb == "prepare") {
    body["time_left_millis"] = from.time_left_millis();
    if (as_utf8(from.payload()) == from.payload()) {
      body["payload"] = from.payload();
    } else {
      body["payload_base64"] = base64(from.payload());
    }
  }
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

HttpCallbackAnswer read_answer(const HttpCallback& call, int status, const std::string& body) {
  Json said = Json::parse(body, nullptr, false);
  const bool readable = said.is_object();
  if (!readable) said = Json::object();
  switch (status) {
    case 200:
    case 204:
      if (!body.empty() && !readable) return unknown("it answered 200 with a body that is no JSON object");
      return agreed(call, said);
    case 409: return definite(grpc::StatusCode::ABORTED, said, body);
    case 425: return {grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "it is still running"), {}};
    case 404:
      // Of a prepare: nobody is there.
      if (call.verb == "commit" && readable) return definite(grpc::StatusCode::NOT_FOUND, said, body);
      break;
    default: break;
  }
  return unknown(fmt::format("it answered {}: {}", status, body.substr(0, 200)));
}

}  // namespace assent
