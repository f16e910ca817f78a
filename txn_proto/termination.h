// One leader's way through the ballots of one transaction (PROTOCOL.md section 2, three-phase; docs/specs/
// ThreePhase.tla): whom to ask for what, and what the answers prove.
//
// A value: it sends nothing and logs nothing. A leader keeps one for each transaction that it brings to its end. The
// acceptors are the participants and the coordinator group; a majority of them decides.
//
//     propose()                             a majority has accepted it
//     ---------> accepting, round 0: commit ---------------------------> decided
//     open()              a majority has promised: the highest
//     ---------> promising -----------------------------------> accepting ------> decided
//        ^           | somebody promised a higher ballot            | likewise
//        '-----------'----------------------------------------------'
//
// Invariants:
//   one ballot is proposed with one value: a ballot names its round, group and epoch, and this object never goes back;
//   a value is proposed above round 0 only when a majority has promised the ballot, and then the value that was
//     accepted with the highest ballot among them; abort when there is none;
//   what an acceptor was heard to hold only grows, so it never needs to be unheard.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/digest.h"
#include "base/ids.h"
#include "txn_proto/acceptor.h"
#include "txn_proto/resolution.h"
#include "txn_proto/types.h"

namespace assent {

class Termination {
 public:
  // open: not decided, as far as is known;
  // commit: a majority has accepted it, or somebody has committed;
  // abort: a majority has accepted it, or a register holds what is not a yes for this content;
  // old: nothing will be decided here, somebody is empty for ever; gone: every participant is.
  using Verdict = Resolution::Verdict;

  Termination() = default;
  Termination(const TxnId& txn, GroupId self, Epoch epoch, GroupId coordinator, std::vector<GroupId> participants,
              std::uint64_t fingerprint);

  // Round 0. Only who knows that every participant voted yes may say it.
  void propose_commit();
  // A ballot above all that were heard of, of a round above `used`: those that this leader may have opened for the
  // transaction before it made this object.
  void open(std::uint64_t used = 0);
  // Somebody promised a higher ballot than this one: it may be in vain.
  [[nodiscard]] bool overtaken() const;

  // Of who is no acceptor: ignored. So is what the coordinator group holds of other content: that it was asked about
  // that one first says nothing about this one. A participant's register does: it holds one content for ever.
  void hear(GroupId from, const BallotReply& reply);

  [[nodiscard]] Verdict verdict() const;
  // Some participant is empty for ever; who is in doubt itself may read that as a no (resolution.h says why).
  [[nodiscard]] bool somebody_is_old() const;
  // What is asked now, and who has not answered it. The asker's own log is among them.
  [[nodiscard]] BallotRequest request() const;
  [[nodiscard]] std::vector<GroupId> whom() const;

  [[nodiscard]] const std::vector<GroupId>& participants() const { return participants_; }
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }
  // With abort: why, when a register said it.
  [[nodiscard]] const Refusal& refusal() const { return refusal_; }
  void add_to(Digest& digest) const;

 private:
  enum class Word : std::uint8_t { acceptor, old, no, committed };
  struct Heard {
    Word word = Word::acceptor;
    Acceptor acceptor;
  };
  [[nodiscard]] bool is_acceptor(GroupId group) const;
  [[nodiscard]] bool majority(std::size_t count) const { return 2 * count > participants_.size() + 1; }
  void choose();

  TxnId txn_;
  GroupId self_;
  Epoch epoch_;
  GroupId coordinator_;
  std::vector<GroupId> participants_;
  std::uint64_t fingerprint_ = 0;
  Ballot ballot_;
  Outcome value_ = Outcome::none;  // none: promises are asked for
  std::map<GroupId, Heard> heard_;
  Refusal refusal_;
};

}  // namespace assent
