// What one node saw of one transaction: steps with the times at which they happened, in the groups that the node led.
//
// Values and pure functions over them. The recorder (observe/recorder.h) writes records; a timeline
// (observe/timeline.h) is made of the records of all nodes. Times are microseconds of the node's monotonic clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "observe/trace_context.h"
#include "txn_proto/types.h"

namespace assent {

enum class Step : std::uint8_t {
  // at the group that answers the client
  asked = 0,              // its Execute began here; queued: since it came to this node
  prepare_sent = 1,       // to peer
  vote_heard = 2,         // of peer; yes
  decision_proposed = 3,  // to the own log; yes: commit
  decision_applied = 4,
  ballot_sent = 5,   // to peer, with the value that it is to accept; yes: commit
  ballot_heard = 6,  // peer has accepted
  answered = 7,      // yes: committed
  finish_sent = 8,   // yes: commit
  finished_heard = 9,
  // at a participant
  prepare_heard = 10,  // from peer
  vote_proposed = 11,  // its work has run; yes
  vote_applied = 12,   // the vote stands in its log; of one phase: the outcome
  vote_sent = 13,
  finish_heard = 14,
  finish_proposed = 15,
  finish_applied = 16,
  finished_sent = 17,
  ballot_asked = 18,    // an acceptor is asked to promise or accept
  ballot_applied = 19,  // ... and its log has it
  inquired = 20,        // by peer, which is in doubt; at the coordinator
  sealed = 21,          // an empty register was filled with a no
  forced = 22,          // by an operator; yes: commit
  // at the group that answers the client, of a recorded transaction
  begin_proposed = 23,
  begin_applied = 24,  // from here on who takes part may be called
};
inline constexpr Step step_last = Step::begin_applied;
[[nodiscard]] std::string_view to_string(Step step);

struct TxnStep {
  std::uint64_t micros = 0;
  GroupId at;
  GroupId peer;               // none where there is none
  Index index;                // of an applied step: its entry
  std::uint32_t queued = 0;   // micros: of an applied step, until its batch went to the disk; of a proposed vote, what
                              // it had waited for locks; of asked, since the request came to this node
  std::uint32_t synced = 0;   // ... until the own disk had it
  std::uint32_t applied = 0;  // ... until a majority had it and it was applied
  std::uint32_t turn = 0;     // of an arrival: the turn of its driver
  std::uint16_t repeats = 0;  // later ones like it
  Step step = Step::asked;
  bool yes = false;
};

struct TxnRecord {
  TxnId txn;
  Protocol protocol = Protocol::automatic;
  Mode mode = Mode::atomic;           // when known
  GroupId coordinator;                // who answers the client; none: not known here
  std::vector<GroupId> participants;  // when known
  std::vector<ServiceAddress> services;
  Outcome outcome = Outcome::none;
  AbortReason reason = AbortReason::none;
  GroupId refused_by;
  std::string message;                                // of the refusal
  std::int64_t wall_offset = 0;                       // micros: wall clock minus monotonic clock, when the record began
  std::uint64_t changed = 0;                          // counts the recorder's steps
  std::vector<TxnStep> steps;                         // in the order in which they happened
  std::uint64_t steps_lost = 0;                       // beyond what a record may hold
  std::optional<TraceContext> caller = std::nullopt;  // the span that it belongs to, when the caller named one
  bool recovered = false;                             // carried on by a leader that had not begun it
  std::uint64_t sample = 0;                           // its number among the recorder's latency samples; 0: none
};

// The trace that its spans belong to: the caller's, else one that goes by the transaction's id. 32 hex digits.
[[nodiscard]] std::string trace_id_of(const TxnRecord& record);
// The first of a kind; peer none: whosever.
[[nodiscard]] const TxnStep* first_step(const TxnRecord& record, Step step, GroupId at, GroupId peer = {});
// Of the last time that the kind happened for the first time to somebody.
[[nodiscard]] const TxnStep* last_step(const TxnRecord& record, Step step, GroupId at);
[[nodiscard]] std::size_t count_steps(const TxnRecord& record, Step step, GroupId at);

enum class TxnPhase : std::uint8_t { execute = 0, prepare = 1, precommit = 2, decide = 3, commit = 4, abort = 5 };
inline constexpr std::size_t txn_phases = 6;
[[nodiscard]] std::string_view to_string(TxnPhase phase);

// Where the time went at the group that answered the client. The phases up to the answer follow each other without a
// gap, so they add up to the whole; commit and abort go on beside and behind it.
struct PhaseSpan {
  TxnPhase phase = TxnPhase::execute;
  std::uint64_t from = 0;
  std::optional<std::uint64_t> to;  // none: it goes on
};
struct PhaseSpans {
  std::uint64_t began = 0;  // when the request came to the node
  std::optional<std::uint64_t> answered;
  std::vector<PhaseSpan> phases;
};
// nullopt when the group's leader did not see it begin.
[[nodiscard]] std::optional<PhaseSpans> phases_of(const TxnRecord& record, GroupId at);

// In what order a person would call it now, from what this record shows.
enum class TxnProgress : std::uint8_t {
  active,
  preparing,
  prepared,
  precommitted,
  committing,
  committed,
  aborting,
  aborted
};
[[nodiscard]] std::string_view to_string(TxnProgress progress);  // "ACTIVE"
[[nodiscard]] TxnProgress progress_of(const TxnRecord& record);
// The client has its answer, of a group that this node led.
[[nodiscard]] bool is_answered(const TxnRecord& record);
// Nothing more is expected to happen to it.
[[nodiscard]] bool is_over(const TxnRecord& record);

}  // namespace assent
