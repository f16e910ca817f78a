// Planted bugs: the mistakes that systems of this kind really made, each at the line where it would be made, so that
// the simulator and the explorer can prove that they would notice (docs/SIMULATION.md).
//
// They exist only in assent-sim-planted and the tests of it (ASSENT_PLANTED_BUGS; sim/CMakeLists.txt): there one bug,
// or none, is chosen for the whole process before anything runs. Everywhere else planted() is the constant false and
// the compiler drops what stands behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace assent {

enum class Bug : std::uint8_t {
  none,
  // Consensus.
  vote_before_sync,             // a vote leaves before it is durable
  append_reply_before_sync,     // a follower acknowledges entries that are not durable
  leader_counts_itself_early,   // the leader's own copy counts before its sync
  older_term_by_count,          // an entry of an older term is committed by counting copies (Raft, Figure 8)
  no_pre_vote,                  // every time-out starts a real election
  vote_forgotten,               // the vote is not restored at restart
  stale_append_reply,           // an acknowledgement from before a truncation is believed
  read_without_quorum,          // a leader answers a read without asking its followers
  ready_too_early,              // a new leader serves before an entry of its own epoch is committed
  joint_skipped,                // several voters change in one step: no majority of before and after together
  change_before_own_entry,      // a new leader changes the membership before an entry of its term is committed
  second_change_early,          // a change begins while an earlier one is not committed
  learner_counts,               // who was only to catch up is counted like a voter
  change_survives_truncation,   // a membership that was cut off with its entry stays in force
  disk_loss_forgotten,          // a node that lost its disk goes on as the member that it was
  removed_too_early,            // what a replica kept goes when its removal is appended, not when it is committed
  damage_forgotten,             // a replica that lost entries to damage forgets how far its log went
  leaver_forgets,               // a replica that was removed forgets how far the log went that it held
  loss_forgotten,               // ... and so does one that lost entries to damage
  loss_unheard,                 // a leader does not believe a follower that has lost what it had acknowledged
  cleaned_before_logged,        // its files go before the log says that it left
  sleep_unacknowledged,         // a leader sleeps before its followers have all entries and have said that they sleep
  sleeper_left_alone,           // a follower sleeps on when its leader's node is gone
  lease_outlives_transfer,      // a leader reads by its lease after it has asked another one to take over
  lease_too_long,               // a lease is used for longer than it was promised
  promise_lost_in_restart,      // a voter that granted a lease votes for another as soon as it is up again
  stale_read_age_from_receipt,  // a stale read's age counts from when its proof came, not from when it was asked for
  read_point_unconfirmed,       // a leader gives a replica a read point without asking a majority
  // The commit protocol.
  answer_before_commit,         // the client is answered when the decision is proposed, not when it is committed
  vote_before_commit,           // a vote is told when it is proposed, not when it is committed
  snapshot_without_prepared,    // a shard's snapshot leaves out the prepared set
  snapshot_without_tombstones,  // ... the tombstones
  snapshot_without_outcomes,    // ... the outcome history
  decision_not_logged,          // the coordinator acts on a decision that it never proposed
  foreign_epoch_decides,        // a Decide of a deposed leader is applied
  local_timeout_decides,        // a prepared shard aborts by itself when it has waited long enough
  no_attempt_number,            // a yes of an older attempt counts in a newer one
  tombstone_dropped,            // a tombstone does not survive a restart
  participant_missing,          // the last participant is left out of the record
  unknown_is_retried,           // a client runs a transaction of unknown outcome again under a new id
  wait_die_inverted,            // the older transaction dies and the younger one waits
  prepared_lock_stolen,         // an older transaction takes a lock that a prepared one holds
  finish_without_attempt,       // a Finish is applied whatever attempt it names
  one_finished_for_all,         // the record is ended when the first shard has confirmed
  no_reservation,               // what a prepare promised (constraints, bounds) is not held for it
  abort_before_no,              // "aborted" is told when an attempt is dropped, before a log holds the no
  answer_before_all_votes,      // where the votes decide: "committed" is told while one vote is missing
  seal_not_logged,              // a seal is answered "no" and leaves the register empty
  abort_before_seal,            // where the votes decide: a timeout aborts without sealing the registers first
  register_overwritten,         // a prepare that comes after a seal fills the register again
  forgotten_by_age,             // a commit is forgotten before everybody is known to have finished it
  lower_ballot_accepted,        // an acceptor accepts below what it has promised
  promise_forgotten,            // what an acceptor promised and accepted does not survive a restart
  lowest_ballot_wins,           // of several pre-decisions not the one of the highest ballot is taken up
  one_promise_suffices,         // a value is proposed before a majority has promised
  precommit_before_all_votes,   // the coordinator pre-commits while one vote is missing
  read_ignores_prepared,        // a query is answered although a prepared transaction holds what it reads
  stale_read_ignores_prepared,  // a stale read is answered although a prepared transaction holds what it reads
  escrow_bound_ignored,         // an add is let in beside others by the counter's value, whatever may come of them
  reader_let_go,                // a participant that only reads holds nothing once it has voted
  expectation_ignored,          // what a read must answer again is not looked at
  // Services and databases.
  abort_leaves_no_trace,     // an abort that comes before its prepare is not recorded
  vote_before_local_commit,  // a service says yes although its local transaction did not commit
  work_beside_the_register,  // a branch's end is recorded in another local transaction than its work
  compensated_in_any_order,  // a saga's compensations are all sent at once
  retriable_called_early,    // a step that cannot be taken back is asked for with the others
  // Storage.
  let_go_uncommitted,         // a store whose group rests is closed with rows that are not committed
  applied_apart_from_data,    // the applied index is not atomic with the data
  checksum_without_position,  // a record is accepted at another place than it was written for
  directory_not_synced,       // a new segment's name is not made durable
  sync_error_swallowed,       // a failed sync counts as done
  // Snapshots that travel.
  resumed_from_other_snapshot,  // a part of another snapshot is gone on with, and only chunks are checked, not the
                                // whole
  snapshot_named_before_whole,  // a snapshot has its name, and its mark in the log, before all of it is on the disk
  stale_snapshot_mark,          // a snapshot made in steps gets the mark of when it was begun
  // The scrubber and what it has repaired.
  scrub_trusts_header,      // cold data is whole when the headers of its parts are
  repair_drops_unreplaced,  // a damaged segment goes before what lives in it stands elsewhere
  // The cluster's map.
  stale_map_obeyed,  // a node takes in what was routed by an older map than its own
  // No bugs, and not among planted_bugs(): rules that the explorer shows to be a convenience (docs/PROTOCOL.md).
  no_tombstone,  // an abort that overtakes its prepare leaves no trace
};

struct PlantedBug {
  Bug bug;
  std::string_view name;  // as its enumerator
};

#ifdef ASSENT_PLANTED_BUGS
[[nodiscard]] bool planted(Bug bug);
// Once, before any other thread exists and before any core is made.
void plant(Bug bug);
#else
[[nodiscard]] constexpr bool planted(Bug /*bug*/) { return false; }
#endif

// All bugs, in the order of the enumeration.
[[nodiscard]] std::span<const PlantedBug> planted_bugs();
[[nodiscard]] std::optional<Bug> planted_bug(std::string_view name);

}  // namespace assent
