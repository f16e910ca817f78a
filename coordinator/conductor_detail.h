// Small makers of values that the conductor's two source files share. Not for others.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "txn_proto/commands.h"
#include "txn_proto/types.h"

namespace assent {

inline std::vector<GroupId> participants_of(const std::vector<Branch>& branches) {
  std::vector<GroupId> groups;
  groups.reserve(branches.size());
  for (const Branch& branch : branches) groups.push_back(branch.shard);
  return groups;
}

inline bool names(const std::vector<Branch>& branches, GroupId shard) {
  return std::any_of(branches.begin(), branches.end(), [&](const Branch& branch) { return branch.shard == shard; });
}

// Not a fact before the log holds it; all other notes are.
inline bool is_presumption(const OutcomeNote& note) { return !note.commit && note.protocol == Protocol::automatic; }
// Nobody will ever ask for the ballots of this content again: it never had every vote, for the id was used with another
// one, or it is ended and forgotten everywhere. It says nothing about the id's outcome.
inline OutcomeNote end_of_ballots(const TxnId& txn, std::uint64_t fingerprint) {
  return {txn, fingerprint, false, Protocol::three_phase, AbortReason::reused_id};
}
// A fact about the id.
inline bool is_outcome(const OutcomeNote& note) {
  return !is_presumption(note) && note.reason != AbortReason::reused_id;
}

inline Refusal refusal_of(AbortReason reason, GroupId participant, std::string message) {
  return Refusal{
      .reason = reason, .participant = participant, .message = std::move(message), .constraint = {}, .holder = {}};
}

inline TxnAnswer committed_answer(const TxnId& txn) {
  TxnAnswer answer;
  answer.txn = txn;
  answer.state = TxnState::committed;
  answer.protocol = Protocol::two_phase;
  return answer;
}

inline TxnAnswer aborted_answer(const TxnId& txn, Refusal refusal, std::vector<GroupId> participants) {
  TxnAnswer answer;
  answer.txn = txn;
  answer.state = TxnState::aborted;
  answer.protocol = Protocol::two_phase;
  answer.refusal = std::move(refusal);
  answer.participants = std::move(participants);
  return answer;
}

}  // namespace assent
