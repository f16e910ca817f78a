// What services that take part in transactions answer, by gRPC and by HTTP call-back, as the node that called reads it;
// and what they are sent, which holds a client's bytes. The first bytes say which call it was and how it was made.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "fuzz/samples.h"
#include "server/service_answer.h"
#include "txn_proto/api_error.h"
#include "txn_proto/participant_http.h"
#include "txn_proto/wire_codec.h"

namespace assent::fuzz {
namespace {

constexpr std::size_t result_bytes_max = 64;
constexpr std::array<int, 9> http_codes{200, 204, 409, 425, 404, 500, 301, 0, -1};

ServiceCall sample_call(std::uint64_t kind) {
  ServiceCall call;
  call.from = GroupId(9);
  call.number = GroupId(1ULL << 63U);
  call.at = {"payment", "ledger", "10.0.0.5:7000"};
  if (kind == 0) {
    Prepare prepare;
    prepare.txn = sample_txn(1);
    prepare.attempt = {Epoch(3), 4};
    prepare.fingerprint = 5;
    call.message = prepare;
  } else {
    Finish finish;
    finish.txn = sample_txn(1);
    finish.attempt = {Epoch(3), 4};
    finish.commit = kind == 1;
    finish.protocol = Protocol::two_phase;
    finish.fingerprint = 5;
    call.message = finish;
  }
  return call;
}

HttpParticipantCall sample_callback(std::uint64_t kind) {
  constexpr std::array verbs{"prepare", "commit", "abort"};
  HttpParticipantCall call{verbs[kind], {}};
  call.request.set_txn_id(sample_txn(1).to_hex());
  call.request.set_branch("payment");
  call.request.mutable_attempt()->set_epoch(3);
  call.request.mutable_attempt()->set_number(4);
  return call;
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 127; });
}

// A yes, or an end, comes of nothing but a clear word.
void judge(const ServiceCall& call, const grpc::Status& status, const v1::PrepareResponse& response) {
  const TxnMessage message = service_answer(call, status, response, result_bytes_max);
  const auto again = decode_message(encode(message));
  require(again && *again == message, "what a service said can be told to others");
  if (const auto* trouble = std::get_if<Trouble>(&message)) {
    require(trouble->txn == sample_txn(1) && !trouble->message.empty() && printable(trouble->message),
            "trouble is said in words that a terminal can show");
  } else if (const auto* vote = std::get_if<Vote>(&message)) {
    require(std::holds_alternative<Prepare>(call.message) && vote->txn == sample_txn(1), "a vote answers a prepare");
    require(vote->yes == status.ok(), "a yes is OK, and nothing else is");
    require(vote->yes || status.error_code() == grpc::StatusCode::ABORTED, "a no is ABORTED, and nothing else is");
    require(vote->yes || printable(vote->refusal.message), "a refusal is in words that a terminal can show");
    require(!vote->yes || response.result().size() <= result_bytes_max, "a result is no larger than it may be");
  } else {
    const auto* finished = std::get_if<Finished>(&message);
    const auto* finish = std::get_if<Finish>(&call.message);
    require(finished != nullptr && finish != nullptr, "a service votes, ends, or is in trouble");
    require(finished->commit == finish->commit && finished->attempt == finish->attempt, "it ends as it was told to");
    const grpc::StatusCode once = finish->commit ? grpc::StatusCode::NOT_FOUND : grpc::StatusCode::ABORTED;
    require(status.ok() || status.error_code() == once, "an end is OK, or a clear word of one that was before");
  }
}

void by_grpc(const ServiceCall& call, Input& input) {
  const auto code = grpc::StatusCode(input.below(18));
  const std::string message(input.piece());
  const std::string details(input.piece());
  const ByteView rest = input.rest();
  v1::PrepareResponse response;
  if (!response.ParseFromArray(rest.data(), static_cast<int>(rest.size()))) return;  // gRPC says INTERNAL then
  judge(call, code == grpc::StatusCode::OK ? grpc::Status() : grpc::Status(code, message, details), response);
}

void by_http(const ServiceCall& call, std::uint64_t kind, Input& input) {
  const int code = http_codes.at(input.below(http_codes.size()));
  const std::string body(input.rest());
  const HttpStatusAnswer state = read_status_answer(code, body);
  require(!state.status.ok() || code == 200, "only what was answered with 200 tells a state");
  const HttpParticipantAnswer answer = read_answer(sample_callback(kind), code, body);
  require(!answer.status.ok() || code == 200 || code == 204, "only what was answered with 200 or 204 is OK");
  judge(call, answer.status, answer.response);
}

void what_is_sent(Input& input) {
  HttpParticipantCall call = sample_callback(0);
  call.request.set_payload(std::string(input.rest()));
  const auto body = nlohmann::json::parse(body_of(call), nullptr, false);
  require(body.is_object() && body["txn_id"] == sample_txn(1).to_hex(), "what is sent is JSON");
  require(body.contains("payload") ? body["payload"] == call.request.payload() : body.contains("payload_base64"),
          "a payload is sent as it is, or in base64");
}

}  // namespace

void run_services(ByteView bytes) {
  Input input(bytes);
  const std::uint64_t kind = input.below(3);
  const ServiceCall call = sample_call(kind);
  switch (input.below(3)) {
    case 0: return by_grpc(call, input);
    case 1: return by_http(call, kind, input);
    default: return what_is_sent(input);
  }
}

std::vector<Bytes> services_seeds() {
  v1::PrepareResponse yes;
  yes.set_vote(v1::VOTE_YES);
  yes.set_result("balance 5");
  yes.mutable_attempt()->set_epoch(3);
  yes.mutable_attempt()->set_number(4);
  const auto grpc_seed = [](std::uint64_t kind, const grpc::Status& status, const Bytes& response) {
    return Bytes(Seed()
                     .byte(kind)
                     .byte(0)
                     .byte(static_cast<std::uint64_t>(status.error_code()))
                     .piece(status.error_message())
                     .piece(status.error_details())
                     .rest(response));
  };
  const auto http_seed = [](std::uint64_t kind, std::uint64_t code, ByteView body) {
    return Bytes(Seed().byte(kind).byte(1).byte(code).rest(body));
  };
  const auto refusal = [](grpc::StatusCode code, const char* reason) {
    ApiError error;
    error.reason = reason;
    error.message = "the account is closed";
    return to_status(error, code);
  };
  return {grpc_seed(0, grpc::Status(), yes.SerializeAsString()),
          grpc_seed(0, refusal(grpc::StatusCode::ABORTED, "VOTE_NO"), {}),
          grpc_seed(0, refusal(grpc::StatusCode::ABORTED, "TXN_TOO_OLD"), {}),
          grpc_seed(1, grpc::Status(), {}),
          grpc_seed(1, refusal(grpc::StatusCode::NOT_FOUND, "BRANCH_FORGOTTEN"), {}),
          grpc_seed(2, refusal(grpc::StatusCode::ABORTED, "OTHER_ATTEMPT"), {}),
          grpc_seed(2, grpc::Status(grpc::StatusCode::UNAVAILABLE, "nobody there"), {}),
          http_seed(0, 0, R"({"vote": "yes", "result": "x", "attempt": {"epoch": "3", "number": 4}})"),
          http_seed(0, 0, R"({"vote": "read_only"})"),
          http_seed(0, 2, R"({"reason": "TXN_TOO_OLD", "message": "come again"})"),
          http_seed(1, 4, R"({"reason": "BRANCH_FORGOTTEN"})"),
          http_seed(2, 2, R"({"reason": "OTHER_ATTEMPT"})"),
          http_seed(1, 1, ""),
          http_seed(2, 5, "<html>500</html>"),
          Bytes(Seed().byte(0).byte(2).rest("debit 5\xff"))};
}

}  // namespace assent::fuzz
