#include "commit_acceptor.h"

#include <nlohmann/json.hpp>

namespace assent::testing {

std::optional<std::string> CommitAcceptor::accept(const nlohmann::json& line) {
  const std::string event = line.at("event").get<std::string>();
  const Participant at = line.at("participant").get<Participant>();
  const std::string attempt = line.contains("attempt") ? line.at("attempt").dump() : "";
  Txn& txn = txns_[line.at("id").get<std::string>()];
  if (event == "prepare") return prepare(txn, at, line.at("vote") == "yes", attempt);
  if (event == "vote received") {
    const bool said = line.at("vote") != "yes" || txn.prepared.contains({at, attempt});
    return said ? std::nullopt : Verdict("a yes is heard that no log held");
  }
  if (event == "decide") return decide(txn, line, attempt);
  if (event == "finish applied") return finish(txn, at, line.at("outcome") == "committed");
  if (event == "outcome told") return tell(txn, line.at("outcome") == "committed");
  return "an event that is not in the specification: " + event;
}

CommitAcceptor::Verdict CommitAcceptor::prepare(Txn& txn, const Participant& at, bool yes, const std::string& attempt) {
  Manager& manager = txn.managers[at];
  if (manager != Manager::working) return "a participant votes twice";
  manager = yes ? Manager::prepared : Manager::aborted;
  if (yes) txn.prepared.insert({at, attempt});
  return std::nullopt;
}

CommitAcceptor::Verdict CommitAcceptor::decide(Txn& txn, const nlohmann::json& line, const std::string& attempt) {
  if (txn.committed) return "it is decided twice";
  if (txn.aborted) return "it commits after somebody saw it abort";
  for (const auto& one : line.at("participants")) {
    const Participant participant = one.get<Participant>();
    const auto manager = txn.managers.find(participant);
    if (manager == txn.managers.end() || manager->second != Manager::prepared) {
      return "it commits, and not everybody is prepared";
    }
    if (!attempt.empty() && !txn.prepared.contains({participant, attempt})) {
      return "it commits on a yes to another attempt";
    }
  }
  txn.committed = true;
  return std::nullopt;
}

CommitAcceptor::Verdict CommitAcceptor::finish(Txn& txn, const Participant& at, bool commit) {
  Manager& manager = txn.managers[at];
  if (commit) {
    if (!txn.committed) return "a participant commits, and nothing is decided";
    if (manager != Manager::prepared) return "a participant commits that is not prepared";
    manager = Manager::committed;
    return std::nullopt;
  }
  if (manager == Manager::committed) return "a participant aborts what it had committed";
  if (txn.committed) return "a participant aborts what is committed";
  manager = Manager::aborted;
  txn.aborted = true;
  return std::nullopt;
}

CommitAcceptor::Verdict CommitAcceptor::tell(Txn& txn, bool commit) {
  if (commit && !txn.committed) return "a client hears of a commit that is not decided";
  if (!commit && txn.committed) return "a client hears of the abort of what is committed";
  txn.aborted = txn.aborted || !commit;
  return std::nullopt;
}

}  // namespace assent::testing
