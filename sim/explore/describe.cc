#include "sim/explore/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace assent::explore {

std::string Names::of(const TxnId& txn) const {
  const auto found = txns.find(txn);
  return found == txns.end() ? txn.to_hex() : found->second;
}

std::string Names::of(GroupId group) {
  return group == coordinator_group ? std::string("c") : fmt::format("s{}", group);
}

namespace {

std::string text(const Attempt& attempt) { return fmt::format("({},{})", attempt.epoch, attempt.number); }

std::string text(const Ballot& ballot) {
  return ballot.round == 0 ? "ballot 0"
                           : fmt::format("ballot ({},{},{})", ballot.round, Names::of(ballot.by), ballot.epoch);
}

std::string text(const Names& names, const Refusal& refusal) {
  std::string words(to_string(refusal.reason));
  if (!refusal.participant.none()) words += " at " + Names::of(refusal.participant);
  if (!refusal.holder.none()) words += " held by " + names.of(refusal.holder);
  return words;
}

std::string text(const Effects& effects) {
  constexpr const char* modes[] = {"IS", "IX", "S", "X", "E"};
  std::string words;
  for (const LockRequest& lock : effects.locks) {
    words += fmt::format(" {}:{}", lock.key, modes[static_cast<std::size_t>(lock.mode)]);
  }
  return words;
}

std::string text(const SqlValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* blob = std::get_if<SqlBlob>(&value)) return blob->bytes;
  if (const auto* word = std::get_if<std::string>(&value)) return *word;
  return "null";
}

std::string text(const WorkResult& result) {
  std::string words;
  for (const OperationResult& operation : result) {
    for (const auto& row : operation.rows) {
      for (const SqlValue& value : row) words += " " + text(value);
    }
  }
  return words;
}

struct Describe {
  const Names& names;

  std::string operator()(const Prepare& m) const {
    return fmt::format("Prepare {} {}", names.of(m.txn), text(m.attempt));
  }
  std::string operator()(const Vote& m) const {
    return fmt::format("Vote {} {} {}", names.of(m.txn), text(m.attempt),
                       m.yes ? "yes" : "no: " + text(names, m.refusal));
  }
  std::string operator()(const Finish& m) const {
    return fmt::format("Finish {} {} {}", names.of(m.txn), text(m.attempt), m.commit ? "commit" : "abort");
  }
  std::string operator()(const Attended& m) const {
    return fmt::format("Attended {} {}", names.of(m.txn), m.running ? "running" : "not running");
  }
  std::string operator()(const Seal& m) const {
    return fmt::format("{} {}", m.look ? "Look" : "Seal", names.of(m.txn));
  }
  std::string operator()(const Report& m) const {
    constexpr const char* standings[] = {"empty", "old", "yes", "committed", "aborted"};
    return fmt::format("Report {} {}", names.of(m.txn), standings[static_cast<std::size_t>(m.standing)]);
  }
  std::string operator()(const Confirm& m) const {
    std::string words = "Confirm";
    for (const OldCommit& commit : m.commits) words += " " + names.of(commit.txn);
    return words;
  }
  std::string operator()(const Confirmed& m) const {
    std::string words = "Confirmed";
    for (const TxnId& txn : m.txns) words += " " + names.of(txn);
    return words;
  }
  std::string operator()(const BallotRequest& m) const {
    if (m.only_looks()) return "How-stands " + names.of(m.txn);
    if (m.value == Outcome::none) return fmt::format("Promise? {} {}", names.of(m.txn), text(m.ballot));
    return fmt::format("Accept? {} {} {}", names.of(m.txn), text(m.ballot), to_string(m.value));
  }
  std::string operator()(const Trouble& m) const {
    return fmt::format("Trouble {} {} {}", names.of(m.txn), text(m.attempt), m.message);
  }
  std::string operator()(const BallotReply& m) const {
    if (m.standing != Standing::prepared) {
      constexpr const char* standings[] = {"empty", "old", "yes", "committed", "aborted"};
      return fmt::format("Stands {} {}", names.of(m.txn), standings[static_cast<std::size_t>(m.standing)]);
    }
    const std::string accepted =
        m.value == Outcome::none ? "nothing" : fmt::format("{} in {}", to_string(m.value), text(m.accepted));
    return fmt::format("Stands {} promised {}, accepted {}", names.of(m.txn), text(m.promised), accepted);
  }
  std::string operator()(const BallotWork& c) const {
    const std::string what = c.value == Outcome::none ? "promise" : fmt::format("accept {}", to_string(c.value));
    return fmt::format("BallotWork {} {} {}", names.of(c.txn), text(c.ballot), what);
  }
  std::string operator()(const Finished& m) const {
    return fmt::format("Finished {} {} {}", names.of(m.txn), text(m.attempt), m.commit ? "commit" : "abort");
  }
  std::string operator()(const Inquire& m) const {
    return fmt::format("Inquire {} {}", names.of(m.txn), text(m.attempt));
  }

  std::string operator()(const Decide& c) const {
    return fmt::format("Decide {} {}", names.of(c.txn), text(c.attempt));
  }
  std::string operator()(const BeginTxn& c) const {
    return fmt::format("BeginTxn {} {} {}", names.of(c.txn), text(c.attempt), to_string(c.mode));
  }
  std::string operator()(const AdmitShards& c) const {
    std::string words = "AdmitShards";
    for (const GroupId shard : c.shards) words += fmt::format(" {}", shard);
    return words;
  }
  std::string operator()(const EndBranch& c) const {
    return fmt::format("EndBranch {} {}", names.of(c.txn), c.service.value - first_service.value + 1);
  }
  std::string operator()(const SealOutcome& c) const {
    return fmt::format("SealOutcome {} {}", names.of(c.txn), text(names, c.refusal));
  }
  std::string operator()(const EndTxns& c) const {
    std::string words = "EndTxns";
    for (const TxnId& txn : c.txns) words += " " + names.of(txn);
    return words;
  }
  std::string operator()(const NoteOutcomes& c) const {
    std::string words = "NoteOutcomes";
    for (const OutcomeNote& note : c.notes) {
      words += fmt::format(" {}:{}", names.of(note.txn), note.commit ? "committed" : to_string(note.reason));
    }
    return words;
  }
  std::string operator()(const Tidy&) const { return "Tidy"; }

  std::string operator()(const PrepareWork& c) const {
    return fmt::format("PrepareWork {} {}{}", names.of(c.txn), text(c.attempt), text(c.effects));
  }
  std::string operator()(const RefuseWork& c) const {
    return fmt::format("RefuseWork {} {} {}", names.of(c.txn), text(c.attempt), text(names, c.refusal));
  }
  std::string operator()(const ExecuteWork& c) const {
    if (c.refusal.reason != AbortReason::none) {
      return fmt::format("ExecuteWork {} refused: {}", names.of(c.txn), text(names, c.refusal));
    }
    return fmt::format("ExecuteWork {}{}", names.of(c.txn), text(c.effects));
  }
  std::string operator()(const FinishWork& c) const {
    return fmt::format("FinishWork {} {} {}", names.of(c.txn), text(c.attempt), c.commit ? "commit" : "abort");
  }
  std::string operator()(const ForgetTxns& c) const {
    std::string words = "ForgetTxns";
    for (const TxnId& txn : c.txns) words += " " + names.of(txn);
    return words;
  }
  std::string operator()(const SealWork& c) const { return fmt::format("SealWork {}", names.of(c.txn)); }
  std::string operator()(const OverrideWork& c) const {
    return fmt::format("OverrideWork {} {}", names.of(c.txn), c.commit ? "commit" : "abort");
  }
  std::string operator()(const ForgetOverride& c) const { return fmt::format("ForgetOverride {}", names.of(c.txn)); }

  std::string operator()(const TxnAnswer& answer) const {
    std::string words = fmt::format("{} {}", names.of(answer.txn), to_string(answer.state));
    if (answer.state == TxnState::aborted) words += " (" + text(names, answer.refusal) + ")";
    for (const BranchResult& branch : answer.results) {
      words += fmt::format(" {}:[{} ]", Names::of(branch.shard), text(branch.result));
    }
    return words;
  }
  std::string operator()(const QueryAnswer& answer) const { return "read" + text(answer.result); }
};

}  // namespace

std::string describe(const Names& names, const TxnMessage& message) { return std::visit(Describe{names}, message); }
std::string describe(const Names& names, const CoordinatorCommand& command) {
  return std::visit(Describe{names}, command);
}
std::string describe(const Names& names, const ShardCommand& command) { return std::visit(Describe{names}, command); }
std::string describe(const WorkResult& result) {
  std::string words;
  for (const OperationResult& operation : result) words += " [" + text(WorkResult{operation}) + " ]";
  return words;
}
std::string describe(const Names& names, const ClientReply& reply) {
  if (!reply.answer)
    return fmt::format("error {}: {}", to_string(reply.answer.error().code), reply.answer.error().message);
  return std::visit(Describe{names}, *reply.answer);
}

}  // namespace assent::explore
