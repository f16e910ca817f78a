#include "server/service_answer.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "txn_proto/api_error.h"

namespace assent {
namespace {

std::string reason_in(const grpc::Status& status) { return has_details(status) ? from_status(status).reason : ""; }

// A stranger's words go into terminals, logs and protobuf strings.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 300)) out += c >= ' ' && c < 127 ? c : '?';
  return out;
}

std::string words(const ServiceCall& call, std::string_view did, const grpc::Status& status) {
  return fmt::format("service {} at {} {}: {}: {}", call.at.name, call.at.target, did, name_of(status.error_code()),
                     printable(status.error_message()));
}

TxnMessage vote_of(const ServiceCall& call, const Prepare& prepare, const grpc::Status& status,
                   const v1::PrepareResponse& response, std::size_t result_bytes_max) {
  Vote vote;
  vote.txn = prepare.txn;
  vote.attempt = prepare.attempt;
  vote.fingerprint = prepare.fingerprint;
  if (status.ok()) {
    const bool yes = response.vote() == v1::VOTE_YES || response.vote() == v1::VOTE_READ_ONLY;
    if (!yes || !response.has_attempt()) {
      return service_trouble(call, fmt::format("service {} at {} answered Prepare without a vote and its attempt",
                                               call.at.name, call.at.target));
    }
    if (response.result().size() > result_bytes_max) {
      return service_trouble(call, fmt::format("service {} at {} answered with {} bytes; the most is {}", call.at.name,
                                               call.at.target, response.result().size(), result_bytes_max));
    }
    vote.yes = true;
    vote.attempt = Attempt{Epoch(response.attempt().epoch()), response.attempt().number()};
    OperationResult result;
    result.columns = {"result"};
    result.rows = {{SqlBlob{response.result()}}};
    vote.result = {std::move(result)};
    return vote;
  }
  if (status.error_code() == grpc::StatusCode::ABORTED) {
    vote.refusal.reason = reason_in(status) == "TXN_TOO_OLD" ? AbortReason::too_old : AbortReason::refused;
    vote.refusal.participant = call.number;
    vote.refusal.message = printable(status.error_message());
    return vote;
  }
  return service_trouble(call, words(call, "has not voted", status));
}

TxnMessage finish_of(const ServiceCall& call, const Finish& finish, const grpc::Status& status) {
  const grpc::StatusCode code = status.error_code();
  const std::string reason = reason_in(status);
  // What is prepared is never forgotten; and an attempt that is not recorded there holds nothing.
  const bool over = status.ok() ||
                    (finish.commit && code == grpc::StatusCode::NOT_FOUND && reason == "BRANCH_FORGOTTEN") ||
                    (!finish.commit && code == grpc::StatusCode::ABORTED && reason == "OTHER_ATTEMPT");
  if (over) return finished_of(finish);
  const bool contradicts = code == grpc::StatusCode::ABORTED || code == grpc::StatusCode::NOT_FOUND;
  const std::string_view did = finish.commit ? (contradicts ? "CONTRADICTS the commit" : "has not committed")
                                             : (contradicts ? "CONTRADICTS the abort" : "has not aborted");
  return service_trouble(call, words(call, did, status));
}

}  // namespace

std::string_view method_of(const TxnMessage& message) {
  const auto* finish = std::get_if<Finish>(&message);
  return finish == nullptr ? "Prepare" : finish->commit ? "Commit" : "Abort";
}

TxnMessage service_answer(const ServiceCall& call, const grpc::Status& status, const v1::PrepareResponse& response,
                          std::size_t result_bytes_max) {
  if (const auto* prepare = std::get_if<Prepare>(&call.message)) {
    return vote_of(call, *prepare, status, response, result_bytes_max);
  }
  return finish_of(call, std::get<Finish>(call.message), status);
}

Trouble service_trouble(const ServiceCall& call, std::string message) {
  Trouble out;
  if (const auto* prepare = std::get_if<Prepare>(&call.message)) {
    out.txn = prepare->txn;
    out.attempt = prepare->attempt;
  } else {
    const Finish& finish = std::get<Finish>(call.message);
    out.txn = finish.txn;
    out.attempt = finish.attempt;
  }
  out.message = std::move(message);
  return out;
}

}  // namespace assent
