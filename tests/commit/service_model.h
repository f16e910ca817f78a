// Services as the coordinator's world sees them: registers that answer as the table in assent/v1/participant.proto
// says, and services in doubt that ask. One object for all services of all transactions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent::testing {

class ServiceModel {
 public:
  enum class State : std::uint8_t { prepared, committed, aborted, refused };
  struct Register {
    State state = State::aborted;
    Attempt attempt;
  };
  using Key = std::pair<TxnId, GroupId>;  // the service's number

  // What it answers; a Prepare that comes first is refused when the caller says so. wrong: what a coordinator must
  // never ask of it.
  struct Answer {
    std::optional<TxnMessage> message;
    std::string wrong;
  };
  Answer receive(GroupId number, const TxnMessage& message, bool refuse) {
    if (const auto* prepare = std::get_if<Prepare>(&message)) return on_prepare(number, *prepare, refuse);
    return on_finish(number, std::get<Finish>(message));
  }
  // It was asked for, and told which attempt committed, or that none did: whoever is still in doubt ends.
  void resolve(const TxnId& txn, const std::optional<Attempt>& committed) {
    for (auto& [key, one] : registers_) {
      if (key.first != txn || one.state != State::prepared) continue;
      one.state = committed == one.attempt ? State::committed : State::aborted;
    }
  }
  // A person brought its part to this end.
  void end_by_hand(const TxnId& txn, GroupId number, const Attempt& attempt, bool commit) {
    const auto [found, fresh] = registers_.try_emplace({txn, number});
    Register& one = found->second;
    if (fresh) one.attempt = attempt;
    if (fresh || one.state == State::prepared) one.state = commit ? State::committed : State::aborted;
  }
  [[nodiscard]] std::vector<TxnId> in_doubt() const {
    std::vector<TxnId> all;
    for (const auto& [key, one] : registers_) {
      if (one.state == State::prepared && (all.empty() || all.back() != key.first)) all.push_back(key.first);
    }
    return all;
  }
  [[nodiscard]] const Register* find(const TxnId& txn, GroupId number) const {
    const auto found = registers_.find({txn, number});
    return found == registers_.end() ? nullptr : &found->second;
  }
  // Promised in that very attempt, whatever came of it.
  [[nodiscard]] bool promised(const TxnId& txn, GroupId number, const Attempt& attempt) const {
    const Register* one = find(txn, number);
    const bool yes = one != nullptr && (one->state == State::prepared || one->state == State::committed);
    return yes && one->attempt == attempt;
  }

 private:
  Answer on_prepare(GroupId number, const Prepare& prepare, bool refuse) {
    const auto [found, fresh] = registers_.try_emplace({prepare.txn, number});
    Register& one = found->second;
    if (fresh) one = {refuse ? State::refused : State::prepared, prepare.attempt};
    Vote vote;
    vote.txn = prepare.txn;
    vote.attempt = one.attempt;
    vote.yes = one.state == State::prepared || one.state == State::committed;
    vote.fingerprint = prepare.fingerprint;
    if (!vote.yes) vote.refusal.reason = AbortReason::refused;
    return {TxnMessage(vote), {}};
  }
  Answer on_finish(GroupId number, const Finish& finish) {
    const auto [found, fresh] = registers_.try_emplace({finish.txn, number});
    Register& one = found->second;
    if (fresh) one = {State::aborted, {}};
    const bool ended = one.state == State::aborted || one.state == State::refused;
    if (finish.commit) {
      if (ended) return {std::nullopt, "a service is told to commit what it did not promise"};
      if (one.attempt != finish.attempt) return {std::nullopt, "a service is told to commit another attempt"};
      one.state = State::committed;
    } else if (!ended && one.attempt == finish.attempt) {
      if (one.state == State::committed) return {std::nullopt, "a service is told to abort what it committed"};
      one.state = State::aborted;
    }
    Finished done;
    done.txn = finish.txn;
    done.attempt = finish.attempt;
    done.commit = finish.commit;
    done.protocol = finish.protocol;
    return {TxnMessage(done), {}};
  }

  std::map<Key, Register> registers_;
};

}  // namespace assent::testing
