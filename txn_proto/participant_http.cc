#include "txn_proto/participant_http.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "txn_proto/api_error.h"
#include "txn_proto/value_codec.h"

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

HttpParticipantAnswer unknown(std::string message) {
  return {grpc::Status(grpc::StatusCode::UNAVAILABLE, std::move(message)), {}};
}

HttpParticipantAnswer definite(grpc::StatusCode code, const Json& said, const std::string& body) {
  ApiError error;
  error.reason = text_at(said, "reason");
  error.message = text_at(said, "message");
  if (error.message.empty()) error.message = as_utf8(std::string_view(body).substr(0, message_bytes_max));
  if (error.reason.empty()) error.reason = code == grpc::StatusCode::ABORTED ? "VOTE_NO" : "REFUSED";
  return {to_status(error, code), {}};
}

// The attempt that it names; false: what it names is none.
bool read_attempt(const Json& said, v1::Attempt& attempt) {
  const auto recorded = said.find("attempt");
  if (recorded == said.end() || recorded->is_null()) return true;
  if (!recorded->is_object()) return false;
  const auto epoch = number_at(*recorded, "epoch");
  const auto number = number_at(*recorded, "number");
  if (!epoch || !number) return false;
  attempt.set_epoch(*epoch);
  attempt.set_number(*number);
  return true;
}

HttpParticipantAnswer agreed(const HttpParticipantCall& call, const Json& said) {
  HttpParticipantAnswer answer;
  if (call.verb != "prepare") return answer;
  const std::string vote = text_at(said, "vote");
  if (!vote.empty() && vote != "yes" && vote != "read_only") {
    return unknown(fmt::format("its vote is '{}'; it may be yes or read_only, and a no is a 409", vote.substr(0, 40)));
  }
  answer.response.set_vote(vote == "read_only" ? v1::VOTE_READ_ONLY : v1::VOTE_YES);
  answer.response.set_result(text_at(said, "result"));
  *answer.response.mutable_attempt() = call.request.attempt();
  if (!read_attempt(said, *answer.response.mutable_attempt())) {
    return unknown("its attempt is no object of epoch and number");
  }
  return answer;
}

constexpr std::array states{std::pair{"empty", v1::BRANCH_EMPTY},         std::pair{"running", v1::BRANCH_RUNNING},
                            std::pair{"prepared", v1::BRANCH_PREPARED},   std::pair{"read_only", v1::BRANCH_READ_ONLY},
                            std::pair{"committed", v1::BRANCH_COMMITTED}, std::pair{"aborted", v1::BRANCH_ABORTED},
                            std::pair{"refused", v1::BRANCH_REFUSED},     std::pair{"forgotten", v1::BRANCH_FORGOTTEN}};

}  // namespace

std::string body_of(const HttpParticipantCall& call) {
  const v1::PrepareRequest& from = call.request;
  Json body{{"txn_id", from.txn_id()},
            {"branch", from.branch()},
            {"coordinator", from.coordinator()},
            {"participant", from.participant()}};
  if (from.has_attempt()) {
    body["attempt"] = {{"epoch", std::to_string(from.attempt().epoch())},
                       {"number", std::to_string(from.attempt().number())}};
  }
  if (call.verb == "prepare") {
    body["time_left_millis"] = from.time_left_millis();
    if (is_utf8(from.payload())) {
      body["payload"] = from.payload();
    } else {
      body["payload_base64"] = base64(from.payload());
    }
  }
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

HttpParticipantAnswer read_answer(const HttpParticipantCall& call, int status, const std::string& body) {
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

HttpStatusAnswer read_status_answer(int status, const std::string& body) {
  if (status == 404 || status == 405 || status == 501) {
    return {grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "it tells no status"), {}};
  }
  const Json said = Json::parse(body, nullptr, false);
  if (status != 200 || !said.is_object()) {
    return {unknown(fmt::format("it answered {}: {}", status, body.substr(0, 200))).status, {}};
  }
  HttpStatusAnswer answer;
  const std::string state = text_at(said, "state");
  const auto known = std::find_if(states.begin(), states.end(), [&](const auto& one) { return one.first == state; });
  v1::Attempt attempt;
  if (known == states.end() || !read_attempt(said, attempt)) {
    return {unknown(fmt::format("its state is '{}', or its attempt is none", state.substr(0, 40))).status, {}};
  }
  answer.response.set_state(known->second);
  if (said.contains("attempt") && !said["attempt"].is_null()) *answer.response.mutable_attempt() = attempt;
  answer.response.set_coordinator(text_at(said, "coordinator"));
  return answer;
}

}  // namespace assent
