// One acceptor of one transaction whose ballots decide (PROTOCOL.md section 2, three-phase): what its log promised and
// accepted. Paxos, single-decree (Lamport, "Paxos Made Simple"); docs/specs/ThreePhase.tla.
//
// A value inside the machines of its group, changed by the log's entries alone.
//
// Invariants: promised never falls; accepted never falls and is never above promised.
#pragma once

#include <algorithm>

#include "txn_proto/types.h"

namespace assent {

struct Acceptor {
  Ballot promised;
  Ballot accepted;
  Outcome value = Outcome::none;  // none: nothing was accepted

  // What such a request would change. False: it comes too late, or says nothing new.
  [[nodiscard]] bool would_change(const Ballot& ballot, Outcome asked) const;
  void apply(const Ballot& ballot, Outcome asked) {
    if (!would_change(ballot, asked)) return;
    promised = std::max(promised, ballot);
    if (asked == Outcome::none) return;
    accepted = ballot;
    value = asked;
  }
  bool operator==(const Acceptor&) const = default;
};

}  // namespace assent
