#include "sim/services/service_checker.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/promise.h"

namespace assent::sim {
namespace {

using service::BranchKey;
using service::BranchState;

Register as_register(const service::Register& row) {
  Register out;
  switch (row.state) {
    case BranchState::prepared: out.state = Register::State::prepared; break;
    case BranchState::committed: out.state = Register::State::committed; break;
    case BranchState::aborted:
    case BranchState::refused: out.state = Register::State::aborted; break;
    case BranchState::empty:
    case BranchState::running:
    case BranchState::read_only:
    case BranchState::forgotten: break;
  }
  if (row.attempt) out.attempt = {Epoch(row.attempt->epoch), row.attempt->number};
  return out;
}

}  // namespace

void ServiceChecker::wrong(const TxnId& txn, std::string_view rule, const std::string& what) {
  recorder_.wrong(fmt::format("{}: transaction {} {}", rule, txn, what));
}

void ServiceChecker::invoked(const Execute& execute) {
  const auto [found, fresh] = all_.try_emplace(execute.txn);
  if (!fresh) return;
  Txn& txn = found->second;
  txn.mode = execute.mode;
  for (const Branch& branch : execute.branches) {
    if (!branch.service) continue;
    txn.parts.push_back(
        {branch.service->at.name, branch.service->at.participant, branch.shard, branch.service->retriable});
  }
}

ServiceChecker::Part* ServiceChecker::part_of(const BranchKey& key) {
  const auto found = all_.find(key.txn);
  if (found != all_.end()) {
    for (Part& part : found->second.parts) {
      if (part.name == key.name) return &part;
    }
  }
  wrong(key.txn, "A3 validity", fmt::format("has a branch {} that nobody asked for", key.name));
  return nullptr;
}

bool ServiceChecker::is_committed(const TxnId& txn) const {
  const Fate* fate = txns_.find(txn);
  return fate != nullptr && fate->committed();
}

void ServiceChecker::moved(const BranchKey& key, const service::Register& row) {
  const Part* part = part_of(key);
  if (part != nullptr) txns_.service_moved(part->number, key.txn, as_register(row));
}

void ServiceChecker::committed(const std::string&, const Change& change) {
  for (const auto& [key, row] : change.registers) moved(key, row);
  for (const Effect& effect : change.effects) count(effect);
}

// A register that is prepared with its work.
void ServiceChecker::prepared(const std::string&, const std::string& name, const Change&) {
  const auto promise = agent::promise_from(name);
  if (!promise) return;
  service::Register row;
  row.state = BranchState::prepared;
  row.attempt = promise->attempt;
  moved({promise->txn, promise->branch}, row);
}

// The abort is recorded after it, or was never heard and whoever asks again finds nothing.
void ServiceChecker::rolled_back(const std::string&, const std::string& name) {
  const auto promise = agent::promise_from(name);
  if (!promise) return;
  const Part* part = part_of({promise->txn, promise->branch});
  if (part != nullptr) txns_.service_rolled_back(part->number, promise->txn);
}

void ServiceChecker::count(const Effect& effect) {
  const auto found = all_.find(effect.branch.txn);
  Part* part = part_of(effect.branch);
  if (part == nullptr) return;
  switch (effect.kind) {
    case Effect::Kind::did: return did(found->first, found->second, *part);
    case Effect::Kind::confirmed: return confirmed(found->first, *part);
    case Effect::Kind::undone: return undone(found->first, found->second, *part);
  }
}

void ServiceChecker::did(const TxnId& id, Txn& txn, Part& part) {
  if (++part.did > 1) wrong(id, "S1 once", fmt::format("does its work at {} twice", part.name));
  const bool shown_late = prepares(part) || part.retriable;
  if (shown_late && !is_committed(id)) {
    wrong(id, "S2 decision", fmt::format("does its work at {} before it is committed", part.name));
  }
  if (!is_ordered(txn.mode) || prepares(part)) return;
  for (const Part& before : txn.parts) {
    if (&before == &part) break;
    if (prepares(before) || before.stands() || before.retriable != part.retriable) continue;
    wrong(id, "S3 order", fmt::format("does its step at {} while {} has not done its own", part.name, before.name));
  }
}

void ServiceChecker::confirmed(const TxnId& id, Part& part) {
  if (++part.confirmed > 1) wrong(id, "S1 once", fmt::format("is confirmed at {} twice", part.name));
  if (!part.stands()) wrong(id, "S2 decision", fmt::format("is confirmed at {}, where nothing was done", part.name));
  if (!is_committed(id)) wrong(id, "S2 decision", fmt::format("is confirmed at {} and not committed", part.name));
}

void ServiceChecker::undone(const TxnId& id, Txn& txn, Part& part) {
  if (++part.undone > 1) wrong(id, "S1 once", fmt::format("is undone at {} twice", part.name));
  if (part.did < part.undone)
    wrong(id, "S2 decision", fmt::format("is undone at {}, where nothing was done", part.name));
  if (is_committed(id)) wrong(id, "S2 decision", fmt::format("is committed and undone at {}", part.name));
  if (is_saga(txn.mode)) recorder_.outcome("saga: step compensated");
  if (!is_ordered(txn.mode)) return;
  for (const Part& after : txn.parts) {
    if (after.number <= part.number || !after.stands() || prepares(after)) continue;
    wrong(id, "S3 order", fmt::format("is compensated at {} before {}, whose step came later", part.name, after.name));
  }
}

void ServiceChecker::judge_settled() {
  for (const auto& [id, txn] : all_) {
    const bool commits = is_committed(id);
    for (const Part& part : txn.parts) {
      const unsigned confirmed = commits && !prepares(part) ? 1 : 0;
      if (part.stands() != commits || part.confirmed != confirmed) {
        wrong(id, "S4 all or nothing",
              fmt::format("is {}committed, and at {} it is done {} times, confirmed {} and undone {}",
                          commits ? "" : "not ", part.name, part.did, part.confirmed, part.undone));
      }
    }
    if (!txn.parts.empty())
      recorder_.outcome(fmt::format("services: {} {}", to_string(txn.mode), commits ? "committed" : "not committed"));
  }
}

}  // namespace assent::sim
