#include "txn_proto/termination.h"

#include <algorithm>
#include <utility>

#include "base/planted.h"

namespace assent {

Termination::Termination(const TxnId& txn, GroupId self, Epoch epoch, GroupId coordinator,
                         std::vector<GroupId> participants, std::uint64_t fingerprint)
    : txn_(txn),
      self_(self),
      epoch_(epoch),
      coordinator_(coordinator),
      participants_(std::move(participants)),
      fingerprint_(fingerprint) {}

bool Termination::is_acceptor(GroupId group) const {
  return group == coordinator_ || std::find(participants_.begin(), participants_.end(), group) != participants_.end();
}

void Termination::propose_commit() { value_ = Outcome::committed; }

void Termination::open(std::uint64_t used) {
  std::uint64_t round = std::max(ballot_.round, used);
  for (const auto& [group, heard] : heard_) round = std::max(round, heard.acceptor.promised.round);
  ballot_ = Ballot{.round = round + 1, .by = self_, .epoch = epoch_};
  value_ = Outcome::none;
}

bool Termination::overtaken() const {
  return std::any_of(heard_.begin(), heard_.end(),
                     [&](const auto& item) { return item.second.acceptor.promised > ballot_; });
}

void Termination::hear(GroupId from, const BallotReply& reply) {
  const bool same = reply.fingerprint == fingerprint_;
  if (!is_acceptor(from) || (from == coordinator_ && !same)) return;
  Heard& heard = heard_[from];
  switch (reply.standing) {
    case Standing::empty: return;
    case Standing::old:
      if (heard.word == Word::acceptor) heard.word = Word::old;
      return;
    case Standing::committed:
      if (same) {
        heard.word = Word::committed;
        return;
      }
      break;
    case Standing::prepared:
      if (!same) break;
      heard.acceptor.promised = std::max(heard.acceptor.promised, reply.promised);
      if (reply.value != Outcome::none &&
          (heard.acceptor.value == Outcome::none || reply.accepted > heard.acceptor.accepted)) {
        heard.acceptor.accepted = reply.accepted;
        heard.acceptor.value = reply.value;
      }
      return choose();
    case Standing::aborted: break;
  }
  heard.word = Word::no;
  if (refusal_.reason != AbortReason::none) return;
  refusal_ = reply.refusal;
  if (reply.standing != Standing::aborted) {
    refusal_.reason = AbortReason::reused_id;
    refusal_.message = "this id was already used with other content";
  }
  if (refusal_.participant.none()) refusal_.participant = from;
}

// Nobody of this majority will accept anything below this ballot any more; so what a majority may have accepted, or
// may yet accept, below it is seen here.
void Termination::choose() {
  if (ballot_.round == 0 || value_ != Outcome::none) return;
  std::size_t promised = 0;
  const Acceptor* highest = nullptr;
  for (const auto& [group, heard] : heard_) {
    if (heard.acceptor.promised != ballot_) continue;
    ++promised;
    if (heard.acceptor.value == Outcome::none) continue;
    const bool higher = highest == nullptr || heard.acceptor.accepted > highest->accepted;
    if (higher != planted(Bug::lowest_ballot_wins) || highest == nullptr) highest = &heard.acceptor;
  }
  const bool enough = planted(Bug::one_promise_suffices) ? promised > 0 : majority(promised);
  if (enough) value_ = highest == nullptr ? Outcome::aborted : highest->value;
}

Termination::Verdict Termination::verdict() const {
  std::map<Ballot, std::size_t> accepted;
  bool no = false;
  std::size_t old = 0;
  for (const auto& [group, heard] : heard_) {
    if (heard.word == Word::committed) return Verdict::commit;
    no = no || heard.word == Word::no;
    old += heard.word == Word::old && group != coordinator_ ? 1 : 0;
    if (heard.acceptor.value == Outcome::none) continue;
    if (!majority(++accepted[heard.acceptor.accepted])) continue;
    return heard.acceptor.value == Outcome::committed ? Verdict::commit : Verdict::abort;
  }
  if (no) return Verdict::abort;
  if (old == 0) return Verdict::open;
  return old == participants_.size() ? Verdict::gone : Verdict::old;
}

bool Termination::somebody_is_old() const {
  return std::any_of(heard_.begin(), heard_.end(),
                     [&](const auto& item) { return item.second.word == Word::old && item.first != coordinator_; });
}

BallotRequest Termination::request() const {
  return BallotRequest{
      .txn = txn_, .ballot = ballot_, .value = value_, .fingerprint = fingerprint_, .participants = participants_};
}

std::vector<GroupId> Termination::whom() const {
  std::vector<GroupId> groups = participants_;
  groups.push_back(coordinator_);
  std::erase_if(groups, [&](GroupId group) {
    const auto found = heard_.find(group);
    if (found == heard_.end()) return false;
    const Acceptor& acceptor = found->second.acceptor;
    if (value_ == Outcome::none) return acceptor.promised >= ballot_;
    return acceptor.promised > ballot_ || (acceptor.value != Outcome::none && acceptor.accepted >= ballot_);
  });
  return groups;
}

void Termination::add_to(Digest& digest) const {
  const auto add = [&](const Ballot& ballot) { digest.add(ballot.round).add(ballot.by).add(ballot.epoch); };
  digest.add(participants_.size()).add(fingerprint_).add(coordinator_);
  for (const GroupId group : participants_) digest.add(group);
  add(ballot_);
  digest.add(epoch_).add(static_cast<std::uint64_t>(value_)).add(heard_.size());
  for (const auto& [group, heard] : heard_) {
    digest.add(group).add(static_cast<std::uint64_t>(heard.word)).add(static_cast<std::uint64_t>(heard.acceptor.value));
    add(heard.acceptor.promised);
    add(heard.acceptor.accepted);
  }
  digest.add(static_cast<std::uint64_t>(refusal_.reason));
}

}  // namespace assent
