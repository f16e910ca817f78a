#include "txn_proto/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "txn_proto/service_target.h"

namespace assent {
namespace {

struct BytesOf {
  std::size_t operator()(const SqlNull&) const { return 1; }
  std::size_t operator()(std::int64_t) const { return 8; }
  std::size_t operator()(double) const { return 8; }
  std::size_t operator()(const std::string& text) const { return text.size(); }
  std::size_t operator()(const SqlBlob& blob) const { return blob.bytes.size(); }

  std::size_t operator()(const SqlStatement& op) const {
    std::size_t total = op.text.size();
    for (const SqlValue& value : op.parameters) total += std::visit(*this, value);
    return total;
  }
  std::size_t operator()(const KvGet& op) const { return op.key.size(); }
  std::size_t operator()(const KvPut& op) const { return op.key.size() + op.value.size(); }
  std::size_t operator()(const KvErase& op) const { return op.key.size(); }
  std::size_t operator()(const KvExpect& op) const { return op.key.size() + (op.value ? op.value->size() : 0); }
  std::size_t operator()(const KvAdd& op) const { return op.key.size() + 24; }
};

Refusal refuse(AbortReason reason, std::string message) {
  return Refusal{.reason = reason, .participant = {}, .message = std::move(message), .constraint = {}, .holder = {}};
}

// Names go into terminals, logs and metadata.
bool is_plain(std::string_view text, std::size_t bytes_max) {
  const auto plain = [](char c) { return (c >= ' ' || c < 0) && c != 127; };
  return !text.empty() && text.size() <= bytes_max && std::all_of(text.begin(), text.end(), plain);
}

bool is_target(std::string_view text, std::size_t bytes_max) {
  return is_plain(text, bytes_max) && is_service_target(text);
}

std::optional<Refusal> find_service_fault(const Execute& execute, const TxnLimits& limits) {
  const auto invalid = [](std::string message) { return refuse(AbortReason::invalid, std::move(message)); };
  std::set<std::string_view> seen;
  GroupId number = first_service;
  bool retriable = false;
  for (const Branch& branch : execute.branches) {
    if (!branch.service) {
      if (is_service(branch.shard)) return invalid("a branch has the number of a service and is none");
      if (number != first_service) return invalid("a shard's branch follows a service's");
      continue;
    }
    const ServiceAddress& at = branch.service->at;
    if (branch.shard != number) return invalid("the services are not numbered in their order");
    number = number.next();
    if (!is_plain(at.name, limits.service_name_bytes_max)) {
      return invalid(fmt::format("the name of a service must be 1 to {} bytes without control characters",
                                 limits.service_name_bytes_max));
    }
    if (!at.participant.empty() && !is_plain(at.participant, limits.service_name_bytes_max)) {
      return invalid(fmt::format("the participant of service {} must be up to {} bytes without control characters",
                                 at.name, limits.service_name_bytes_max));
    }
    if (!is_target(at.target, limits.service_name_bytes_max)) {
      return invalid(
          fmt::format("service {} needs a target host:port or http://host:port/path, with TLS grpcs://host:port or "
                      "https://host:port/path",
                      at.name));
    }
    if (!branch.work.empty()) return invalid(fmt::format("service {} has a shard's work", at.name));
    if (branch.service->retriable && !is_saga(execute.mode)) {
      return invalid(fmt::format("service {} is retriable, which only a saga's steps are; the mode is {}", at.name,
                                 to_string(execute.mode)));
    }
    if (branch.service->retriable && !branch.service->patience.endless()) {
      return invalid(
          fmt::format("service {} is retriable, and so called until its step is done: it takes neither "
                      "timeout_millis nor max_calls",
                      at.name));
    }
    if (!branch.service->retriable && retriable) {
      return invalid(
          fmt::format("service {} follows a retriable one: what can still be compensated comes first", at.name));
    }
    retriable = branch.service->retriable;
    if (!seen.insert(at.name).second) {
      return invalid(fmt::format("service {} is named by two branches; give each a name of its own", at.name));
    }
  }
  if (!seen.empty() && effective_protocol(execute) != Protocol::two_phase) {
    return invalid(fmt::format("a service cannot take part in {}: its vote is not replicated; use two-phase",
                               to_string(effective_protocol(execute))));
  }
  if (is_recorded(execute.mode) && seen.empty()) {
    return invalid(fmt::format("{} is for services, and no service takes part; leave the mode at atomic",
                               to_string(execute.mode)));
  }
  return std::nullopt;
}

std::optional<Refusal> find_shape_fault(const Execute& execute, const TxnLimits& limits) {
  if (execute.txn.none()) return refuse(AbortReason::invalid, "the transaction has no id");
  if (execute.branches.empty()) return refuse(AbortReason::invalid, "the transaction has no branch");
  if (auto fault = find_service_fault(execute, limits)) return fault;
  GroupId last;
  for (const Branch& branch : execute.branches) {
    if (branch.service) break;  // they come last
    if (branch.shard == last) {
      return refuse(AbortReason::invalid, fmt::format("shard {} is named by two branches; put its work in one", last));
    }
    if (branch.shard < last) return refuse(AbortReason::invalid, "the branches are not in the order of their shards");
    if (branch.work.empty())
      return refuse(AbortReason::invalid, fmt::format("shard {} has nothing to do", branch.shard));
    last = branch.shard;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> find_fault(const Execute& execute, const TxnLimits& limits) {
  if (auto fault = find_shape_fault(execute, limits)) return fault;
  if (execute.branches.size() > limits.branches_max) {
    return refuse(AbortReason::too_large,
                  fmt::format("{} branches; the most is {}", execute.branches.size(), limits.branches_max));
  }
  std::size_t operations = 0;
  std::size_t total = 0;
  for (const Branch& branch : execute.branches) {
    operations += branch.work.size();
    if (branch.service) total += branch.service->payload.size();
    for (const Operation& operation : branch.work) {
      const std::size_t bytes = std::visit(BytesOf{}, operation);
      if (bytes > limits.statement_bytes_max) {
        return refuse(AbortReason::too_large, fmt::format("an operation for shard {} has {} bytes; the most is {}",
                                                          branch.shard, bytes, limits.statement_bytes_max));
      }
      total += bytes;
    }
  }
  if (operations > limits.operations_max) {
    return refuse(AbortReason::too_large,
                  fmt::format("{} operations; the most is {}", operations, limits.operations_max));
  }
  if (total > limits.transaction_bytes_max) {
    return refuse(AbortReason::too_large,
                  fmt::format("the transaction has {} bytes; the most is {}", total, limits.transaction_bytes_max));
  }
  return std::nullopt;
}

}  // namespace assent
