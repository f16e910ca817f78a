#include "server/http_bodies.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

namespace assent {
namespace {

constexpr std::int64_t delay_millis_max = 10'000;

}  // namespace

Result<v1::ExecuteRequest> read_execute_body(const std::string& body) {
  v1::ExecuteRequest request;
  const auto read = google::protobuf::util::JsonStringToMessage(body, &request);
  if (!read.ok()) {
    return fail(ErrorCode::malformed, fmt::format("the body is no ExecuteRequest: {}", read.ToString()));
  }
  return request;
}

Result<std::string> read_transfer_body(const std::string& body) {
  const auto document = nlohmann::json::parse(body, nullptr, false);
  if (!document.is_object() || !document.contains("to") || !document["to"].is_string()) {
    return fail(ErrorCode::malformed, "the body is {\"to\": \"a node's name\"}");
  }
  return document["to"].get<std::string>();
}

Result<FaultsBody> read_faults_body(const std::string& body) {
  const auto none = fail(ErrorCode::malformed,
                         "the body is {\"cut\": [names of nodes], \"syncDelayMillis\": 0 to 10000, \"recording\": "
                         "true or false}");
  const auto document = nlohmann::json::parse(body, nullptr, false);
  if (!document.is_object()) return none;
  FaultsBody faults;
  if (document.contains("cut")) {
    if (!document["cut"].is_array()) return none;
    for (const auto& name : document["cut"]) {
      if (!name.is_string()) return none;
      faults.cut.push_back(name.get<std::string>());
    }
  }
  if (document.contains("syncDelayMillis")) {
    const auto& delay = document["syncDelayMillis"];
    if (!delay.is_number_integer() || delay.get<std::int64_t>() < 0 || delay.get<std::int64_t>() > delay_millis_max) {
      return none;
    }
    faults.sync_delay = std::chrono::milliseconds(delay.get<std::int64_t>());
  }
  if (document.contains("recording")) {
    if (!document["recording"].is_boolean()) return none;
    faults.recording = document["recording"].get<bool>();
  }
  return faults;
}

std::optional<std::string> write_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return std::nullopt;
  return text;
}

}  // namespace assent
