#include "server/pending_calls.h"

#include <fmt/format.h>

#include "txn_proto/api_codec.h"
#include "txn_proto/api_error.h"

namespace assent {

namespace {

constexpr std::uint32_t busy_retry_millis = 50;

}  // namespace

Result<RequestId> PendingCalls::add(const Call& call) {
  const std::lock_guard lock(mutex_);
  if (closed_) return fail(ErrorCode::not_leader, "this node is stopping; ask another one");
  if (calls_.size() >= calls_max_) {
    return fail(ErrorCode::busy, fmt::format("{} requests are waiting at this node; try again soon", calls_.size()));
  }
  const RequestId id(next_id_++);
  calls_.emplace(id.value, call);
  return id;
}

bool PendingCalls::begin(RequestId id, TimePoint now) {
  Call call;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(id.value);
    if (found == calls_.end()) return false;
    if (found->second.answer_by > now) return true;
    call = found->second;
    calls_.erase(found);
  }
  call.call->finish(not_begun(call));
  return false;
}

void PendingCalls::answer(std::vector<ClientReply> replies) {
  std::vector<Call> calls(replies.size());
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < replies.size(); ++i) {
      const auto found = calls_.find(replies[i].id.value);
      if (found == calls_.end()) continue;
      calls[i] = found->second;
      calls_.erase(found);
    }
  }
  std::vector<AnswerSender::Answer> answers;
  answers.reserve(replies.size());
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (calls[i].call != nullptr) answers.push_back({calls[i].call, fill(calls[i], std::move(replies[i].answer))});
  }
  sender_.send(std::move(answers));
}

void PendingCalls::expire(TimePoint now) {
  std::vector<Call> late;
  {
    const std::lock_guard lock(mutex_);
    for (auto call = calls_.begin(); call != calls_.end();) {
      if (call->second.answer_by > now) {
        ++call;
        continue;
      }
      late.push_back(call->second);
      call = calls_.erase(call);
    }
  }
  for (const Call& call : late)
    call.call->finish(gave_up(call, true, "the deadline passed before the answer was known"));
}

void PendingCalls::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

void PendingCalls::abandon() {
  std::unordered_map<std::uint64_t, Call> calls;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    calls.swap(calls_);
  }
  sender_.stop();
  for (const auto& [id, call] : calls)
    call.call->finish(gave_up(call, false, "this node stopped before the answer was known"));
}

std::size_t PendingCalls::size() const {
  const std::lock_guard lock(mutex_);
  return calls_.size();
}

grpc::Status PendingCalls::fill(const Call& call, Result<ClientAnswer> answer) const {
  if (!answer) return error_status(call, std::move(answer.error()));
  if (auto* const* response = std::get_if<v1::Transaction*>(&call.response)) {
    if (const auto* transaction = std::get_if<TxnAnswer>(&*answer)) {
      **response = to_api(*transaction, cluster_.groups, cluster_.groups.name(call.group));
      return grpc::Status::OK;
    }
  } else if (const auto* query = std::get_if<QueryAnswer>(&*answer)) {
    *std::get<v1::QueryResponse*>(call.response) = to_api(*query);
    return grpc::Status::OK;
  }
  return error_status(call, Error{ErrorCode::unsupported, "the group answered something else than it was asked", {}});
}

grpc::Status PendingCalls::error_status(const Call& call, Error error) const {
  ApiError api{
      .code = error.code, .reason = {}, .message = std::move(error.message), .metadata = {}, .retry_after_millis = 0};
  const std::string group = cluster_.groups.name(call.group);
  if (error.code == ErrorCode::unknown_outcome) return gave_up(call, false, api.message);
  if (error.code == ErrorCode::busy) api.retry_after_millis = busy_retry_millis;
  if (error.code == ErrorCode::not_found && !call.txn.none()) api.reason = "TXN_NOT_FOUND";
  if (error.code == ErrorCode::not_leader) {
    api.metadata[metadata_group] = group;
    const ClusterView::Node* leader = error.leader_hint == cluster_.self ? nullptr : cluster_.find(error.leader_hint);
    if (leader != nullptr) {
      api.metadata[metadata_leader] = leader->name;
      if (!leader->client_endpoint.empty()) api.metadata[metadata_endpoint] = leader->client_endpoint;
    }
    api.message = leader != nullptr ? fmt::format("node {} does not lead group {}; {} does", cluster_.self_node().name,
                                                  group, leader->name)
                                    : fmt::format("node {} does not lead group {}, and knows of no leader now",
                                                  cluster_.self_node().name, group);
  }
  if (!call.txn.none()) api.metadata[metadata_txn] = call.txn.to_hex();
  return to_status(api);
}

grpc::Status PendingCalls::not_begun(const Call& call) {
  ApiError api{.code = ErrorCode::cancelled,
               .reason = "DEADLINE_PASSED",
               .message = "the deadline passed before the request was begun; nothing was done",
               .metadata = {},
               .retry_after_millis = 0};
  if (!call.txn.none()) api.metadata[metadata_txn] = call.txn.to_hex();
  return to_status(api, grpc::StatusCode::DEADLINE_EXCEEDED);
}

grpc::Status PendingCalls::gave_up(const Call& call, bool deadline, const std::string& why) const {
  ApiError api{
      .code = ErrorCode::unknown_outcome, .reason = {}, .message = why, .metadata = {}, .retry_after_millis = 0};
  if (!call.txn.none()) api.metadata[metadata_txn] = call.txn.to_hex();
  if (call.may_commit) {
    api.message =
        fmt::format("transaction {} may or may not commit: {}; ask with assentctl txn get {}", call.txn, why, call.txn);
    api.metadata[metadata_how] = fmt::format("assentctl txn get {}", call.txn);
  } else {  // nothing was changed by asking
    api.code = ErrorCode::cancelled;
    api.reason = "DEADLINE_PASSED";
    if (!deadline) {
      api.code = ErrorCode::not_leader;
      api.reason = "SHUTTING_DOWN";
    }
  }
  return deadline ? to_status(api, grpc::StatusCode::DEADLINE_EXCEEDED) : to_status(api);
}

}  // namespace assent
