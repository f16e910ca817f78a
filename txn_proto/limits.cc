#include "txn_proto/limits.h"

#include <fmt/format.h>

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

std::optional<Refusal> find_shape_fault(const Execute& execute) {
  if (execute.txn.none()) return refuse(AbortReason::invalid, "the transaction has no id");
  if (execute.branches.empty()) return refuse(AbortReason::invalid, "the transaction has no branch");
  GroupId last;
  for (const Branch& branch : execute.branches) {
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
  if (auto fault = find_shape_fault(execute)) return fault;
  if (execute.branches.size() > limits.branches_max) {
    return refuse(AbortReason::too_large,
                  fmt::format("{} branches; the most is {}", execute.branches.size(), limits.branches_max));
  }
  std::size_t operations = 0;
  std::size_t total = 0;
  for (const Branch& branch : execute.branches) {
    operations += branch.work.size();
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
