#include "txn_proto/acceptor.h"

#include "base/planted.h"

namespace assent {

bool Acceptor::would_change(const Ballot& ballot, Outcome asked) const {
  if (asked == Outcome::none) return ballot > promised;
  const bool low = ballot < promised && !planted(Bug::lower_ballot_accepted);
  return !low && (value == Outcome::none || ballot > accepted || planted(Bug::lower_ballot_accepted));
}

}  // namespace assent
