// What the vote registers of one transaction prove about it, where the votes themselves decide (PROTOCOL.md section 2,
// Paxos Commit; docs/specs/PaxosCommit.tla): committed when every participant's register holds yes for this content,
// aborted when one never will.
//
// A value: it sends nothing and decides nothing. Conductor and Caretaker keep one for each transaction that they
// resolve. What a register says is final, so what was heard never needs to be unheard, however late it comes.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/digest.h"
#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

class Resolution {
 public:
  enum class Verdict : std::uint8_t {
    open,    // some registers are not known yet
    commit,  // every register holds yes, or one participant has committed
    abort,   // some register holds what is not a yes for this content, and keeps it
    old,     // nothing is open: yes, or empty for ever because T is too old
    gone,    // empty for ever everywhere
  };

  Resolution() = default;
  Resolution(std::vector<GroupId> participants, Protocol protocol, std::uint64_t fingerprint)
      : participants_(std::move(participants)), protocol_(protocol), fingerprint_(fingerprint) {}

  // Of a group that does not take part: ignored.
  void hear(GroupId from, const Report& report);
  void voted_yes(GroupId from);

  [[nodiscard]] Verdict verdict() const;
  // Somebody is empty for ever. Not a no: it may have committed and forgotten. Only a shard that is itself in doubt may
  // read it as one, for were T committed there, that shard would have finished before (Finish in PaxosCommit.tla).
  [[nodiscard]] bool somebody_is_old() const;
  // Of whom nothing final is known.
  [[nodiscard]] std::vector<GroupId> silent() const;
  [[nodiscard]] const std::vector<GroupId>& participants() const { return participants_; }
  // With abort: why.
  [[nodiscard]] const Refusal& refusal() const { return refusal_; }
  void add_to(Digest& digest) const;

 private:
  enum class Word : std::uint8_t { old, yes, no, committed };

  std::vector<GroupId> participants_;
  Protocol protocol_ = Protocol::automatic;
  std::uint64_t fingerprint_ = 0;
  std::map<GroupId, Word> words_;
  Refusal refusal_;
};

}  // namespace assent
