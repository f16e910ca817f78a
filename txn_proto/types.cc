#include "txn_proto/types.h"

#include <bit>

#include "base/digest.h"
#include "base/planted.h"

namespace assent {

std::string_view to_string(AbortReason reason) {
  switch (reason) {
    case AbortReason::none: return "none";
    case AbortReason::conflict: return "conflict";
    case AbortReason::constraint: return "constraint";
    case AbortReason::invalid: return "invalid";
    case AbortReason::timeout: return "timeout";
    case AbortReason::sealed: return "sealed";
    case AbortReason::too_old: return "too_old";
    case AbortReason::superseded: return "superseded";
    case AbortReason::reused_id: return "reused_id";
    case AbortReason::too_large: return "too_large";
    case AbortReason::presumed: return "presumed";
    case AbortReason::refused: return "refused";
  }
  return "unknown";
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::none: return "none";
    case Outcome::committed: return "committed";
    case Outcome::aborted: return "aborted";
  }
  return "unknown";
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::automatic: return "auto";
    case Protocol::one_phase: return "one-phase";
    case Protocol::two_phase: return "two-phase";
    case Protocol::three_phase: return "three-phase";
    case Protocol::paxos_commit: return "paxos-commit";
  }
  return "unknown";
}

std::optional<Protocol> protocol_named(std::string_view name) {
  for (const Protocol protocol :
       {Protocol::automatic, Protocol::one_phase, Protocol::two_phase, Protocol::three_phase, Protocol::paxos_commit}) {
    if (name == to_string(protocol)) return protocol;
  }
  return std::nullopt;
}

std::string_view to_string(TxnState state) {
  switch (state) {
    case TxnState::unknown: return "unknown";
    case TxnState::running: return "running";
    case TxnState::prepared: return "prepared";
    case TxnState::committed: return "committed";
    case TxnState::aborted: return "aborted";
    case TxnState::expired: return "expired";
  }
  return "unknown";
}

namespace {

void add(Digest& digest, const SqlValue& value) {
  digest.add(static_cast<std::uint64_t>(value.index()));
  if (const auto* integer = std::get_if<std::int64_t>(&value)) digest.add(static_cast<std::uint64_t>(*integer));
  if (const auto* real = std::get_if<double>(&value)) digest.add(std::bit_cast<std::uint64_t>(*real));
  if (const auto* text = std::get_if<std::string>(&value)) digest.add(*text);
  if (const auto* blob = std::get_if<SqlBlob>(&value)) digest.add(blob->bytes);
}

template <class T>
void add_optional(Digest& digest, const std::optional<T>& value) {
  digest.add(std::uint64_t{value.has_value()});
  if (!value) return;
  if constexpr (std::is_same_v<T, std::int64_t>) {
    digest.add(static_cast<std::uint64_t>(*value));
  } else {
    digest.add(*value);
  }
}

// What came later and is left out where it says nothing, so that older work keeps its fingerprint. It cannot be taken
// for what may follow an operation: the kind of the next, a shard, the number of operations.
constexpr std::uint64_t escrowed = ~std::uint64_t{0};
constexpr std::uint64_t expecting = ~std::uint64_t{1};
constexpr std::uint64_t retriable = ~std::uint64_t{2};

struct AddOperation {
  Digest& digest;
  void operator()(const SqlStatement& op) const {
    digest.add(op.text).add(op.parameters.size());
    for (const SqlValue& value : op.parameters) add(digest, value);
    if (op.expected) digest.add(expecting).add(*op.expected);
  }
  void operator()(const KvGet& op) const {
    digest.add(op.key);
    if (op.expected) digest.add(expecting).add(*op.expected);
  }
  void operator()(const KvPut& op) const { digest.add(op.key).add(op.value); }
  void operator()(const KvErase& op) const { digest.add(op.key); }
  void operator()(const KvExpect& op) const {
    digest.add(op.key);
    add_optional(digest, op.value);
  }
  void operator()(const KvAdd& op) const {
    digest.add(op.key).add(static_cast<std::uint64_t>(op.delta));
    add_optional(digest, op.floor);
    add_optional(digest, op.ceiling);
    if (op.escrow) digest.add(escrowed);
  }
};

void add(Digest& digest, const Work& work) {
  digest.add(work.size());
  for (const Operation& operation : work) {
    digest.add(static_cast<std::uint64_t>(operation.index()));
    std::visit(AddOperation{digest}, operation);
  }
}

}  // namespace

std::uint64_t digest(const OperationResult& result) {
  Digest digest;
  digest.add(result.columns.size()).add(result.rows.size()).add(result.rows_affected);
  for (const std::string& column : result.columns) digest.add(column);
  for (const auto& row : result.rows) {
    for (const SqlValue& value : row) add(digest, value);
  }
  return digest.value();
}

bool as_expected(const Operation& operation, const OperationResult& result) {
  const auto holds = [&](const std::optional<std::uint64_t>& expected) {
    return !expected || *expected == digest(result) || planted(Bug::expectation_ignored);
  };
  if (const auto* statement = std::get_if<SqlStatement>(&operation)) return holds(statement->expected);
  if (const auto* get = std::get_if<KvGet>(&operation)) return holds(get->expected);
  return true;
}

std::vector<ServiceAddress> services_of(const std::vector<Branch>& branches) {
  std::vector<ServiceAddress> services;
  for (const Branch& branch : branches) {
    if (branch.service) services.push_back(branch.service->at);
  }
  return services;
}

std::vector<RetriableStep> retriable_steps_of(const std::vector<Branch>& branches) {
  std::vector<RetriableStep> steps;
  for (const Branch& branch : branches) {
    if (is_retriable(branch)) steps.push_back({branch.shard, branch.service->payload});
  }
  return steps;
}

// A service's vote is not replicated: only a logged decision makes it count.
std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::atomic: return "atomic";
    case Mode::tcc: return "tcc";
    case Mode::saga: return "saga";
    case Mode::concurrent_saga: return "concurrent-saga";
  }
  return "?";
}

std::optional<Mode> mode_named(std::string_view name) {
  for (const Mode mode : {Mode::atomic, Mode::tcc, Mode::saga, Mode::concurrent_saga}) {
    if (name == to_string(mode)) return mode;
  }
  return std::nullopt;
}

Protocol effective_protocol(const Execute& execute) {
  if (execute.protocol != Protocol::automatic) return execute.protocol;
  if (is_recorded(execute.mode)) return Protocol::two_phase;
  if (!execute.branches.empty() && execute.branches.back().service) return Protocol::two_phase;
  return execute.branches.size() == 1 ? Protocol::one_phase : Protocol::paxos_commit;
}

bool is_one_phase(const Execute& execute) {
  return execute.branches.size() == 1 && effective_protocol(execute) == Protocol::one_phase;
}

std::uint64_t fingerprint(const Execute& execute) {
  Digest digest;
  digest.add(static_cast<std::uint64_t>(effective_protocol(execute))).add(execute.branches.size());
  // What was executed by a build that knows no modes keeps the print that it had.
  if (execute.mode != Mode::atomic) digest.add(static_cast<std::uint64_t>(execute.mode));
  for (const Branch& branch : execute.branches) {
    digest.add(branch.shard);
    if (branch.service) {
      digest.add(branch.service->at.name).add(branch.service->at.target);
      digest.add(branch.service->at.participant).add(branch.service->payload);
      if (branch.service->retriable) digest.add(retriable);
    } else {
      add(digest, branch.work);
    }
  }
  return digest.value();
}

std::uint64_t fingerprint(const Work& work) {
  Digest digest;
  add(digest, work);
  return digest.value();
}

}  // namespace assent
