#include "client/txn.h"

#include <algorithm>

namespace assent::client {

Result<std::optional<Bytes>> Txn::get(std::string_view shard, std::string key) {
  Result<OperationResult> result = read(shard, KvGet{std::move(key)});
  if (!result) return tl::unexpected(result.error());
  if (result->rows.empty() || result->rows.front().empty()) return std::nullopt;
  const SqlValue& value = result->rows.front().front();
  if (const auto* blob = std::get_if<SqlBlob>(&value)) return blob->bytes;
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return fail(ErrorCode::internal, "the shard answered a get with something that is no value of a key");
}

Result<OperationResult> Txn::query(std::string_view shard, SqlStatement statement) {
  return read(shard, std::move(statement));
}

void Txn::write(std::string_view shard, Operation operation) {
  writes_ = true;
  before_[std::string(shard)].push_back(operation);
  work_[std::string(shard)].push_back(std::move(operation));
}

// Sent with the writes before it, and nothing else: earlier reads change nothing.
Result<OperationResult> Txn::read(std::string_view shard, Operation operation) {
  if (failure_) return tl::unexpected(*failure_);
  const std::string name(shard);
  Work rehearsed = before_[name];
  rehearsed.push_back(operation);
  Result<Rehearsal> answer = rehearse_(name, std::move(rehearsed));
  if (answer && (answer->results.empty() || answer->results.size() != answer->digests.size())) {
    answer = fail(ErrorCode::internal, "the shard answered a rehearsal with results of a wrong shape");
  }
  if (!answer) {
    failure_ = answer.error();
    return tl::unexpected(answer.error());
  }
  auto* statement = std::get_if<SqlStatement>(&operation);
  if (statement != nullptr) statement->expected = answer->digests.back();
  if (auto* get = std::get_if<KvGet>(&operation)) get->expected = answer->digests.back();
  OperationResult& result = answer->results.back();
  if (statement != nullptr && result.rows_affected > 0) {
    writes_ = true;
    before_[name].push_back(operation);
  }
  work_[name].push_back(std::move(operation));
  Seen& seen = seen_.try_emplace(name, Seen{answer->at}).first->second;
  seen.since = std::min(seen.since, answer->at);
  seen.operations = work_[name].size();
  return std::move(result);
}

Txn::Intent Txn::intent() && {
  Intent all;
  all.transaction.id = id_;
  for (auto& [shard, work] : work_) all.transaction.branches.push_back(Branch{shard, std::move(work)});
  all.writes = writes_;
  all.seen = std::move(seen_);
  all.failure = std::move(failure_);
  all.given_up = std::move(given_up_);
  return all;
}

}  // namespace assent::client
