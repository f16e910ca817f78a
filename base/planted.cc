#include "base/planted.h"

#include <algorithm>
#include <array>

namespace assent {

namespace {

constexpr std::array bugs{
    PlantedBug{Bug::vote_before_sync, "vote_before_sync"},
    PlantedBug{Bug::append_reply_before_sync, "append_reply_before_sync"},
    PlantedBug{Bug::leader_counts_itself_early, "leader_counts_itself_early"},
    PlantedBug{Bug::older_term_by_count, "older_term_by_count"},
    PlantedBug{Bug::no_pre_vote, "no_pre_vote"},
    PlantedBug{Bug::vote_forgotten, "vote_forgotten"},
    PlantedBug{Bug::stale_append_reply, "stale_append_reply"},
    PlantedBug{Bug::read_without_quorum, "read_without_quorum"},
    PlantedBug{Bug::ready_too_early, "ready_too_early"},
    PlantedBug{Bug::joint_skipped, "joint_skipped"},
    PlantedBug{Bug::change_before_own_entry, "change_before_own_entry"},
    PlantedBug{Bug::second_change_early, "second_change_early"},
    PlantedBug{Bug::learner_counts, "learner_counts"},
    PlantedBug{Bug::change_survives_truncation, "change_survives_truncation"},
    PlantedBug{Bug::disk_loss_forgotten, "disk_loss_forgotten"},
    PlantedBug{Bug::removed_too_early, "removed_too_early"},
    PlantedBug{Bug::damage_forgotten, "damage_forgotten"},
    PlantedBug{Bug::leaver_forgets, "leaver_forgets"},
    PlantedBug{Bug::loss_forgotten, "loss_forgotten"},
    PlantedBug{Bug::loss_unheard, "loss_unheard"},
    PlantedBug{Bug::cleaned_before_logged, "cleaned_before_logged"},
    PlantedBug{Bug::sleep_unacknowledged, "sleep_unacknowledged"},
    PlantedBug{Bug::sleeper_left_alone, "sleeper_left_alone"},
    PlantedBug{Bug::lease_outlives_transfer, "lease_outlives_transfer"},
    PlantedBug{Bug::lease_too_long, "lease_too_long"},
    PlantedBug{Bug::promise_lost_in_restart, "promise_lost_in_restart"},
    PlantedBug{Bug::stale_read_age_from_receipt, "stale_read_age_from_receipt"},
    PlantedBug{Bug::read_point_unconfirmed, "read_point_unconfirmed"},
    PlantedBug{Bug::answer_before_commit, "answer_before_commit"},
    PlantedBug{Bug::vote_before_commit, "vote_before_commit"},
    PlantedBug{Bug::snapshot_without_prepared, "snapshot_without_prepared"},
    PlantedBug{Bug::snapshot_without_tombstones, "snapshot_without_tombstones"},
    PlantedBug{Bug::snapshot_without_outcomes, "snapshot_without_outcomes"},
    PlantedBug{Bug::decision_not_logged, "decision_not_logged"},
    PlantedBug{Bug::foreign_epoch_decides, "foreign_epoch_decides"},
    PlantedBug{Bug::local_timeout_decides, "local_timeout_decides"},
    PlantedBug{Bug::no_attempt_number, "no_attempt_number"},
    PlantedBug{Bug::tombstone_dropped, "tombstone_dropped"},
    PlantedBug{Bug::participant_missing, "participant_missing"},
    PlantedBug{Bug::unknown_is_retried, "unknown_is_retried"},
    PlantedBug{Bug::wait_die_inverted, "wait_die_inverted"},
    PlantedBug{Bug::prepared_lock_stolen, "prepared_lock_stolen"},
    PlantedBug{Bug::finish_without_attempt, "finish_without_attempt"},
    PlantedBug{Bug::one_finished_for_all, "one_finished_for_all"},
    PlantedBug{Bug::no_reservation, "no_reservation"},
    PlantedBug{Bug::abort_before_no, "abort_before_no"},
    PlantedBug{Bug::answer_before_all_votes, "answer_before_all_votes"},
    PlantedBug{Bug::seal_not_logged, "seal_not_logged"},
    PlantedBug{Bug::abort_before_seal, "abort_before_seal"},
    PlantedBug{Bug::register_overwritten, "register_overwritten"},
    PlantedBug{Bug::forgotten_by_age, "forgotten_by_age"},
    PlantedBug{Bug::lower_ballot_accepted, "lower_ballot_accepted"},
    PlantedBug{Bug::promise_forgotten, "promise_forgotten"},
    PlantedBug{Bug::lowest_ballot_wins, "lowest_ballot_wins"},
    PlantedBug{Bug::one_promise_suffices, "one_promise_suffices"},
    PlantedBug{Bug::precommit_before_all_votes, "precommit_before_all_votes"},
    PlantedBug{Bug::read_ignores_prepared, "read_ignores_prepared"},
    PlantedBug{Bug::stale_read_ignores_prepared, "stale_read_ignores_prepared"},
    PlantedBug{Bug::escrow_bound_ignored, "escrow_bound_ignored"},
    PlantedBug{Bug::reader_let_go, "reader_let_go"},
    PlantedBug{Bug::expectation_ignored, "expectation_ignored"},
    PlantedBug{Bug::abort_leaves_no_trace, "abort_leaves_no_trace"},
    PlantedBug{Bug::vote_before_local_commit, "vote_before_local_commit"},
    PlantedBug{Bug::work_beside_the_register, "work_beside_the_register"},
    PlantedBug{Bug::compensated_in_any_order, "compensated_in_any_order"},
    PlantedBug{Bug::retriable_called_early, "retriable_called_early"},
    PlantedBug{Bug::let_go_uncommitted, "let_go_uncommitted"},
    PlantedBug{Bug::applied_apart_from_data, "applied_apart_from_data"},
    PlantedBug{Bug::checksum_without_position, "checksum_without_position"},
    PlantedBug{Bug::directory_not_synced, "directory_not_synced"},
    PlantedBug{Bug::sync_error_swallowed, "sync_error_swallowed"},
    PlantedBug{Bug::resumed_from_other_snapshot, "resumed_from_other_snapshot"},
    PlantedBug{Bug::snapshot_named_before_whole, "snapshot_named_before_whole"},
    PlantedBug{Bug::stale_snapshot_mark, "stale_snapshot_mark"},
    PlantedBug{Bug::scrub_trusts_header, "scrub_trusts_header"},
    PlantedBug{Bug::repair_drops_unreplaced, "repair_drops_unreplaced"},
    PlantedBug{Bug::stale_map_obeyed, "stale_map_obeyed"},
};

#ifdef ASSENT_PLANTED_BUGS
Bug chosen = Bug::none;  // written once, by plant()
#endif

}  // namespace

#ifdef ASSENT_PLANTED_BUGS
bool planted(Bug bug) { return chosen == bug; }
void plant(Bug bug) { chosen = bug; }
#endif

std::span<const PlantedBug> planted_bugs() { return bugs; }

std::optional<Bug> planted_bug(std::string_view name) {
  const auto* const found = std::ranges::find(bugs, name, &PlantedBug::name);
  return found == bugs.end() ? std::nullopt : std::optional(found->bug);
}

}  // namespace assent
