// What the acceptors of a transaction and those who bring it to its end say to each other where ballots decide
// (PROTOCOL.md section 2, three-phase). Values only. No message between groups carries them yet: three-phase is
// explored (sim/explore/ballot_model.h) and not offered.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

// Orders by round, then by who opened it. Round 0 belongs to the coordinator, who knows that all votes are yes: its
// value is commit, whoever says it. Every other ballot belongs to one leader of one group.
struct Ballot {
  std::uint64_t round = 0;
  GroupId by;
  Epoch epoch;
  auto operator<=>(const Ballot&) const = default;
};
// To an acceptor: promise to accept nothing below this ballot; or, with a value, accept it.
struct BallotRequest {
  TxnId txn;
  Ballot ballot;
  Outcome value = Outcome::none;  // none: a promise is asked for
  std::uint64_t fingerprint = 0;
  std::vector<GroupId> participants;
  bool operator==(const BallotRequest&) const = default;
};
// How an acceptor stands. Promises and acceptances only grow, so a reply that comes late is merely old.
struct BallotReply {
  TxnId txn;
  std::uint64_t fingerprint = 0;           // of the content it speaks of; 0: never seen
  Standing standing = Standing::prepared;  // committed, aborted, old: nothing more can be said there
  Ballot promised;
  Ballot accepted;  // with a value
  Outcome value = Outcome::none;
  Refusal refusal;  // with aborted
  bool operator==(const BallotReply&) const = default;
};

}  // namespace assent
