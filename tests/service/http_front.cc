#include "tests/service/http_front.h"

#include <httplib.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "txn_proto/api_error.h"

namespace assent::service::testing {
namespace {

using Json = nlohmann::json;

std::string from_base64(const std::string& text) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  unsigned group = 0;
  for (const char c : text) {
    const std::size_t value = digits.find(c);
    if (value == std::string::npos) break;
    group = group << 6U | static_cast<unsigned>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(group >> bits & 0xFFU);
  }
  return out;
}

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t out = 0;
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), out);
  return trouble == std::errc() && end == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

std::optional<v1::PrepareRequest> read(const std::string& body) {
  const Json said = Json::parse(body, nullptr, false);
  if (!said.is_object()) return std::nullopt;
  v1::PrepareRequest out;
  out.set_txn_id(said.value("txn_id", ""));
  out.set_branch(said.value("branch", ""));
  out.set_coordinator(said.value("coordinator", ""));
  out.set_participant(said.value("participant", ""));
  out.set_payload(said.contains("payload_base64") ? from_base64(said["payload_base64"]) : said.value("payload", ""));
  if (!said.contains("attempt")) return out;
  const auto epoch = number(said["attempt"].value("epoch", ""));
  const auto count = number(said["attempt"].value("number", ""));
  if (!epoch || !count) return std::nullopt;
  out.mutable_attempt()->set_epoch(*epoch);
  out.mutable_attempt()->set_number(*count);
  return out;
}

Json attempt_json(const v1::Attempt& attempt) {
  return {{"epoch", std::to_string(attempt.epoch())}, {"number", std::to_string(attempt.number())}};
}

int status_of(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK: return 200;
    case grpc::StatusCode::ABORTED: return 409;
    case grpc::StatusCode::NOT_FOUND: return 404;
    case grpc::StatusCode::FAILED_PRECONDITION: return 425;
    case grpc::StatusCode::INVALID_ARGUMENT: return 400;
    default: return 503;
  }
}

std::string state_name(v1::BranchState state) {
  std::string name = v1::BranchState_Name(state).substr(std::string("BRANCH_").size());
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

template <class Request>
Request as(const v1::PrepareRequest& from) {
  Request out;
  v1::PrepareRequest head = from;
  head.clear_payload();
  out.ParseFromString(head.SerializeAsString());
  return out;
}

class Answering {
 public:
  Answering(v1::Participant::Service& service, bool tells_status) : service_(service), tells_status_(tells_status) {}

  void operator()(const httplib::Request& asked, httplib::Response& answer) const {
    const auto request = read(asked.body);
    const std::string verb = asked.path.substr(asked.path.rfind('/') + 1);
    if (!request || (verb == "status" && !tells_status_)) {
      answer.status = request ? 404 : 400;
      return;
    }
    grpc::ServerContext context;
    Json body = Json::object();
    grpc::Status status;
    if (verb == "prepare") {
      v1::PrepareResponse said;
      status = service_.Prepare(&context, &*request, &said);
      if (status.ok()) body["vote"] = said.vote() == v1::VOTE_READ_ONLY ? "read_only" : "yes";
      if (said.has_attempt()) body["attempt"] = attempt_json(said.attempt());
      body["result"] = said.result();
    } else if (verb == "commit") {
      v1::CommitResponse said;
      const auto commit = as<v1::CommitRequest>(*request);
      status = service_.Commit(&context, &commit, &said);
    } else if (verb == "abort") {
      v1::AbortResponse said;
      const auto abort = as<v1::AbortRequest>(*request);
      status = service_.Abort(&context, &abort, &said);
    } else {
      v1::BranchStatusRequest ask;
      ask.set_txn_id(request->txn_id());
      ask.set_branch(request->branch());
      ask.set_participant(request->participant());
      v1::BranchStatusResponse said;
      status = service_.Status(&context, &ask, &said);
      body["state"] = state_name(said.state());
      if (said.has_attempt()) body["attempt"] = attempt_json(said.attempt());
      body["coordinator"] = said.coordinator();
    }
    if (!status.ok()) {
      body = {{"message", status.error_message()}};
      if (has_details(status)) body["reason"] = from_status(status).reason;
    }
    answer.status = status_of(status);
    answer.set_content(body.dump(-1, ' ', false, Json::error_handler_t::replace), "application/json");
  }

 private:
  v1::Participant::Service& service_;
  const bool tells_status_;
};

}  // namespace

HttpFront::HttpFront(v1::Participant::Service& service, const TlsFiles* tls, bool tells_status)
    : tls_(tls != nullptr),
      server_(tls == nullptr ? std::make_unique<httplib::Server>()
                             : std::make_unique<httplib::SSLServer>(tls->cert().c_str(), tls->key().c_str())) {
  server_->set_payload_max_length(std::size_t{64} << 20U);
  server_->Post("/pay/[a-z]+", Answering(service, tells_status));
  port_ = server_->bind_to_any_port("127.0.0.1");
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();
}

HttpFront::~HttpFront() {
  server_->stop();
  thread_.join();
}

std::string HttpFront::target() const {
  return std::string(tls_ ? "https" : "http") + "://127.0.0.1:" + std::to_string(port_) + "/pay";
}

}  // namespace assent::service::testing
