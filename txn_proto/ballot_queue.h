// What an acceptor was asked and cannot say yet: its group's log has to carry it first. Conductor and Caretaker keep
// one each (PROTOCOL.md section 2, three-phase).
//
// A value; it answers nothing and proposes nothing. Whoever asked asks again, so that what is dropped here is not lost.
#pragma once

#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/digest.h"
#include "base/ids.h"
#include "txn_proto/commands.h"
#include "txn_proto/types.h"

namespace assent {

class BallotQueue {
 public:
  using Requests = std::map<GroupId, BallotRequest>;

  // In the place of an earlier one of the same group: it has gone on since.
  void add(GroupId from, const BallotRequest& request) { waiting_[request.txn].insert_or_assign(from, request); }
  // Takes out all that wait for the transaction.
  [[nodiscard]] Requests take(const TxnId& txn) {
    const auto found = waiting_.find(txn);
    if (found == waiting_.end()) return {};
    Requests requests = std::move(found->second);
    waiting_.erase(found);
    return requests;
  }

  // True: it is not on its way into the log yet.
  bool propose(const BallotWork& work) { return in_log_.insert(key(work)).second; }
  void applied(const BallotWork& work) { in_log_.erase(key(work)); }
  void refused(const BallotWork& work) {
    in_log_.erase(key(work));
    waiting_.erase(work.txn);
  }
  void drop(const TxnId& txn) { waiting_.erase(txn); }
  [[nodiscard]] bool empty() const { return waiting_.empty() && in_log_.empty(); }

  void add_to(Digest& digest) const {
    const auto add = [&](const Ballot& ballot) { digest.add(ballot.round).add(ballot.by).add(ballot.epoch); };
    digest.add(waiting_.size()).add(in_log_.size());
    for (const auto& [txn, requests] : waiting_) {
      digest.add(txn).add(requests.size());
      for (const auto& [from, request] : requests) {
        digest.add(from).add(request.fingerprint).add(static_cast<std::uint64_t>(request.value));
        add(request.ballot);
      }
    }
    for (const auto& [txn, ballot, value, print] : in_log_) {
      digest.add(txn).add(static_cast<std::uint64_t>(value)).add(print);
      add(ballot);
    }
  }

 private:
  using Key = std::tuple<TxnId, Ballot, Outcome, std::uint64_t>;
  static Key key(const BallotWork& work) { return {work.txn, work.ballot, work.value, work.fingerprint}; }

  std::map<TxnId, Requests> waiting_;
  std::set<Key> in_log_;
};

}  // namespace assent
