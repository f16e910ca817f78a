#include "tests/integration/plain_service.h"

#include <algorithm>
#include <charconv>

#include "txn_proto/api_error.h"

namespace assent::testing {

namespace v1 = assent::v1;

namespace {

grpc::Status definite(const std::string& reason, const std::string& message) {
  ApiError error;
  error.reason = reason;
  error.message = message;
  return to_status(error, grpc::StatusCode::ABORTED);
}

bool same(const v1::Attempt& a, const v1::Attempt& b) { return a.epoch() == b.epoch() && a.number() == b.number(); }

}  // namespace

void PlainService::start() {
  grpc::ServerBuilder builder;
  int chosen = 0;
  builder.AddListeningPort(port_ == 0 ? "127.0.0.1:0" : target(), grpc::InsecureServerCredentials(), &chosen);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  if (server_ != nullptr) port_ = chosen;
}

void PlainService::stop() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void PlainService::lose_requests(int count) {
  const std::lock_guard lock(mutex_);
  requests_to_lose_ = count;
}

void PlainService::lose_answers(int count) {
  const std::lock_guard lock(mutex_);
  answers_to_lose_ = count;
}

void PlainService::refuse_aborts(bool refuse) {
  const std::lock_guard lock(mutex_);
  refuses_aborts_ = refuse;
}

std::int64_t PlainService::balance() const {
  const std::lock_guard lock(mutex_);
  return balance_;
}

std::size_t PlainService::prepared() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(branches_.begin(), branches_.end(),
                                                [](const auto& one) { return one.second.state == State::prepared; }));
}

std::vector<std::string> PlainService::in_doubt() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [key, branch] : branches_) {
    if (branch.state == State::prepared) all.push_back(key.first);
  }
  return all;
}

void PlainService::resolve(const std::string& txn_id, bool commit) {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, branch] : branches_) {
    if (key.first == txn_id) static_cast<void>(finish(key, branch.attempt, commit));
  }
}

std::uint64_t PlainService::effects() const {
  const std::lock_guard lock(mutex_);
  return effects_;
}

template <class Work>
grpc::Status PlainService::faulty(const Work& work) {
  const std::lock_guard lock(mutex_);
  const grpc::Status lost(grpc::StatusCode::UNAVAILABLE, "lost on the way");
  if (requests_to_lose_ > 0) {
    --requests_to_lose_;
    return lost;
  }
  const grpc::Status status = work();
  if (answers_to_lose_ == 0) return status;
  --answers_to_lose_;
  return lost;
}

std::int64_t PlainService::promised() const {
  std::int64_t sum = 0;
  for (const auto& [key, branch] : branches_) {
    if (branch.state == State::prepared && branch.amount < 0) sum += branch.amount;
  }
  return sum;
}

grpc::Status PlainService::prepare(const v1::PrepareRequest& request, v1::PrepareResponse& response) {
  const auto [found, fresh] = branches_.try_emplace({request.txn_id(), request.branch()});
  Branch& branch = found->second;
  if (fresh) {
    branch.attempt = request.attempt();
    const std::string& text = request.payload();
    std::from_chars(text.data(), text.data() + text.size(), branch.amount);
    branch.state =
        balance_ + promised() + std::min<std::int64_t>(branch.amount, 0) < 0 ? State::refused : State::prepared;
  }
  if (branch.state == State::refused) return definite("VOTE_NO", "the balance is too low");
  if (branch.state == State::aborted) return definite("BRANCH_ABORTED", "the branch was aborted");
  response.set_vote(v1::VOTE_YES);
  *response.mutable_attempt() = branch.attempt;
  response.set_result("held " + std::to_string(branch.amount));
  return grpc::Status::OK;
}

grpc::Status PlainService::finish(const Key& key, const v1::Attempt& attempt, bool commit) {
  const auto found = branches_.find(key);
  if (found == branches_.end()) {
    if (commit) return {grpc::StatusCode::NOT_FOUND, "it was never prepared here"};
    branches_[key].state = State::aborted;
    return grpc::Status::OK;
  }
  Branch& branch = found->second;
  const bool ended = branch.state == State::aborted || branch.state == State::refused;
  if (ended) return commit ? definite("COMMIT_AFTER_ABORT", "it was aborted here") : grpc::Status::OK;
  if (!same(branch.attempt, attempt)) return definite("OTHER_ATTEMPT", "another attempt is recorded here");
  if (branch.state == State::committed) {
    return commit ? grpc::Status::OK : definite("ABORT_AFTER_COMMIT", "it was committed here");
  }
  if (!commit && refuses_aborts_) return {grpc::StatusCode::INTERNAL, "it will not"};
  branch.state = commit ? State::committed : State::aborted;
  if (!commit) return grpc::Status::OK;
  balance_ += branch.amount;
  effects_ += 1;
  return grpc::Status::OK;
}

grpc::Status PlainService::Prepare(grpc::ServerContext* /*context*/, const v1::PrepareRequest* request,
                                   v1::PrepareResponse* response) {
  return faulty([&] { return prepare(*request, *response); });
}

grpc::Status PlainService::Commit(grpc::ServerContext* /*context*/, const v1::CommitRequest* request,
                                  v1::CommitResponse* /*response*/) {
  return faulty([&] { return finish({request->txn_id(), request->branch()}, request->attempt(), true); });
}

grpc::Status PlainService::Abort(grpc::ServerContext* /*context*/, const v1::AbortRequest* request,
                                 v1::AbortResponse* /*response*/) {
  return faulty([&] { return finish({request->txn_id(), request->branch()}, request->attempt(), false); });
}

}  // namespace assent::testing
