#include "sim/explore/refutations.h"

#include <array>

namespace assent::explore {

std::span<const Refutation> refutations() {
  static constexpr std::array all{
      Refutation{Bug::answer_before_commit, "two-phase", 7, "A6"},
      Refutation{Bug::vote_before_commit, "two-phase", 6, "A3"},
      Refutation{Bug::snapshot_without_prepared, "two-phase", 4, "A2"},
      Refutation{Bug::snapshot_without_tombstones, "one-phase", 3, "A2"},
      Refutation{Bug::snapshot_without_outcomes, "two-phase", 4, "A2"},
      Refutation{Bug::decision_not_logged, "two-phase", 13, "A1"},
      Refutation{Bug::foreign_epoch_decides, "two-phase", 12, "A1"},
      Refutation{Bug::local_timeout_decides, "two-phase", 10, "A1"},
      Refutation{Bug::no_attempt_number, "two-phase", 10, "A3"},
      Refutation{Bug::tombstone_dropped, "one-phase", 3, "A2"},
      Refutation{Bug::participant_missing, "two-phase", 8, "A3"},
      Refutation{Bug::prepared_lock_stolen, "two-by-two", 6, "I1"},
      Refutation{Bug::finish_without_attempt, "two-phase", 13, "A1"},
      Refutation{Bug::one_finished_for_all, "two-phase-ageing", 17, "A1"},
      Refutation{Bug::no_reservation, "one-phase", 3, "I1"},
      Refutation{Bug::abort_before_no, "two-phase", 2, "A6"},
      Refutation{Bug::answer_before_all_votes, "paxos-commit", 4, "A6"},
      Refutation{Bug::seal_not_logged, "paxos-commit", 4, "A6"},
      Refutation{Bug::abort_before_seal, "paxos-commit", 2, "A6"},
      Refutation{Bug::register_overwritten, "paxos-commit", 6, "A2"},
      Refutation{Bug::forgotten_by_age, "paxos-commit-ageing", 14, "A1"},
      Refutation{Bug::escrow_bound_ignored, "escrow", 16, "I1"},
      Refutation{Bug::reader_let_go, "skew", 16, "I1"},
  };
  return all;
}

std::span<const Refutation> ballot_refutations() {
  static constexpr std::array all{
      Refutation{Bug::lower_ballot_accepted, "ballots", 14, "A1"},
      Refutation{Bug::promise_forgotten, "ballots-changed", 9, "A1"},
      Refutation{Bug::lowest_ballot_wins, "ballots", 14, "A1"},
      Refutation{Bug::one_promise_suffices, "ballots", 8, "A1"},
      Refutation{Bug::precommit_before_all_votes, "ballots", 5, "A1"},
  };
  return all;
}

}  // namespace assent::explore
