#include "service/participant_host.h"

#include <grpcpp/grpcpp.h>

#include <optional>
#include <string>

#include "assent/v1/participant.grpc.pb.h"
#include "txn_proto/api_error.h"

namespace assent::service {

namespace {

grpc::StatusCode status_code(AnswerCode code) {
  switch (code) {
    case AnswerCode::ok: return grpc::StatusCode::OK;
    case AnswerCode::aborted: return grpc::StatusCode::ABORTED;
    case AnswerCode::not_found: return grpc::StatusCode::NOT_FOUND;
    case AnswerCode::running: return grpc::StatusCode::FAILED_PRECONDITION;
    case AnswerCode::invalid: return grpc::StatusCode::INVALID_ARGUMENT;
    case AnswerCode::busy: return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case AnswerCode::unknown: return grpc::StatusCode::UNAVAILABLE;
  }
  return grpc::StatusCode::UNKNOWN;
}

grpc::Status to_status(const Answer& answer) {
  if (answer.ok()) return grpc::Status::OK;
  ApiError error;
  error.reason = to_string(answer.reason);
  error.message = answer.message;
  if (!answer.refusal.empty()) error.metadata["refusal"] = answer.refusal;
  if (answer.reason == Reason::other_attempt && answer.recorded) {
    error.metadata["epoch"] = std::to_string(answer.recorded->epoch);
    error.metadata["number"] = std::to_string(answer.recorded->number);
  }
  return assent::to_status(error, status_code(answer.code));
}

grpc::Status invalid(std::string message) {
  return to_status(make_answer(AnswerCode::invalid, Reason::invalid_argument, std::move(message)));
}

// Ids are told lower-case; they are compared as bytes, so that upper-case ones would not be another transaction, but a
// caller that sends them has not read the definition, and may compare them elsewhere.
std::optional<TxnId> read_id(const std::string& text) {
  const std::optional<TxnId> id = TxnId::from_hex(text);
  return id && id->to_hex() == text ? id : std::nullopt;
}

constexpr const char* bad_id = "txn_id must be 32 lower-case hex digits";

// The fields that all requests begin with; nothing, and a status, when they cannot be read.
template <class Request>
std::optional<Branch> read_branch(const Request& request, grpc::Status& trouble) {
  const std::optional<TxnId> id = read_id(request.txn_id());
  if (!id) {
    trouble = invalid(bad_id);
    return std::nullopt;
  }
  if (!request.has_attempt()) {
    trouble = invalid("attempt is required");
    return std::nullopt;
  }
  Branch branch;
  branch.txn = *id;
  branch.name = request.branch();
  branch.attempt = {request.attempt().epoch(), request.attempt().number()};
  branch.coordinator = request.coordinator();
  return branch;
}

v1::BranchState to_proto(BranchState state) {
  switch (state) {
    case BranchState::empty: return v1::BRANCH_EMPTY;
    case BranchState::running: return v1::BRANCH_RUNNING;
    case BranchState::prepared: return v1::BRANCH_PREPARED;
    case BranchState::read_only: return v1::BRANCH_READ_ONLY;
    case BranchState::committed: return v1::BRANCH_COMMITTED;
    case BranchState::aborted: return v1::BRANCH_ABORTED;
    case BranchState::refused: return v1::BRANCH_REFUSED;
    case BranchState::forgotten: return v1::BRANCH_FORGOTTEN;
  }
  return v1::BRANCH_EMPTY;
}

void write_attempt(const Attempt& from, v1::Attempt& to) {
  to.set_epoch(from.epoch);
  to.set_number(from.number);
}

}  // namespace

class ParticipantHost::Service final : public v1::Participant::Service {
 public:
  explicit Service(Branches& branches) : branches_(branches) {}

  grpc::Status Prepare(grpc::ServerContext*, const v1::PrepareRequest* request,
                       v1::PrepareResponse* response) override {
    grpc::Status trouble;
    std::optional<Branch> branch = read_branch(*request, trouble);
    if (!branch) return trouble;
    branch->time_left = std::chrono::milliseconds(request->time_left_millis());
    const Answer answer = branches_.prepare({std::move(*branch), request->participant(), request->payload()});
    if (answer.ok() && answer.recorded) {
      response->set_vote(answer.read_only ? v1::VOTE_READ_ONLY : v1::VOTE_YES);
      write_attempt(*answer.recorded, *response->mutable_attempt());
      response->set_result(answer.result);
    }
    return to_status(answer);
  }

  grpc::Status Commit(grpc::ServerContext*, const v1::CommitRequest* request, v1::CommitResponse*) override {
    return end(Call::commit, *request);
  }

  grpc::Status Abort(grpc::ServerContext*, const v1::AbortRequest* request, v1::AbortResponse*) override {
    return end(Call::abort, *request);
  }

  grpc::Status Status(grpc::ServerContext*, const v1::BranchStatusRequest* request,
                      v1::BranchStatusResponse* response) override {
    const std::optional<TxnId> id = read_id(request->txn_id());
    if (!id) return invalid(bad_id);
    const Result<Register> found = branches_.status({*id, request->branch()}, request->participant());
    if (!found && found.error().code == ErrorCode::malformed) return invalid(found.error().message);
    if (!found) {
      return to_status(
          make_answer(AnswerCode::unknown, Reason::unavailable, tidy_text(found.error().message, message_bytes_max)));
    }
    response->set_state(to_proto(found->state));
    if (found->attempt) write_attempt(*found->attempt, *response->mutable_attempt());
    response->set_coordinator(found->coordinator);
    response->set_changed_at_millis(static_cast<std::int64_t>(found->changed_at.value));
    return grpc::Status::OK;
  }

 private:
  template <class Request>
  grpc::Status end(Call call, const Request& request) {
    grpc::Status trouble;
    const std::optional<Branch> branch = read_branch(request, trouble);
    return branch ? to_status(branches_.end(call, *branch, request.participant())) : trouble;
  }

  Branches& branches_;
};

ParticipantHost::ParticipantHost(BranchesOptions options, std::unique_ptr<Enrolled> enrolled)
    : branches_(std::move(options), std::move(enrolled)), service_(std::make_unique<Service>(branches_)) {}

ParticipantHost::~ParticipantHost() = default;

grpc::Service& ParticipantHost::service() { return *service_; }

}  // namespace assent::service
