// What Raft nodes say to each other: one small struct a message, one variant for all. `term` is always the sender's
// term.
//
//     asks              answers
//     PreVoteRequest    PreVoteReply                   dissertation 9.6: would you vote for me in term + 1?
//     VoteRequest       VoteReply                      3.4
//     AppendRequest     AppendAccept | AppendReject    3.5
//     Heartbeat         HeartbeatReply                 liveness, commit index, read rounds (6.4)
//     TimeoutNow        -                              3.10: leadership transfer
//     Sleep             SleepReply                     nothing to do: no more ticks and heartbeats (raft_sleep.cc)
//     LeaseRequest      LeaseGrant                     6.4.1: nobody else is helped to lead (raft_lease.cc)
//     ReadPointRequest  ReadPointReply                 6.4, for replicas (raft_read_points.cc)
//     -                 StaleTerm                      to a leader whose term is over
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/log_entry.h"

namespace assent::raft {

struct PreVoteRequest {
  Epoch term;  // the vote asked for is one of term + 1
  Position last;
};

struct PreVoteReply {
  Epoch term;
  Epoch proposed;  // the term that was asked about
  bool granted = false;
};

struct VoteRequest {
  Epoch term;
  Position last;
  bool forced = false;  // the leader asked for this election: loyalty to it does not stand in the way
};

struct VoteReply {
  Epoch term;
  bool granted = false;
};

struct AppendRequest {
  Epoch term;
  Position prev;
  Index commit;
  std::vector<EntryPtr> entries;  // contiguous from prev.index + 1
};

// The sender's log equals the leader's up to match, durably.
struct AppendAccept {
  Epoch term;
  Index match;
};

// AppendReject::rejected when it answers no request: more than any leader has, and less than what may not travel
// (number_max in message_codec.h).
inline constexpr Index no_request{(1ULL << 62U) - 1};

// The sender's log does not hold the entry before `rejected` + 1. Beyond hint nothing can match: it is the last place
// at or below `rejected` whose epoch is not newer than the one the leader has at `rejected`.
//
// With no_request it is a word by itself: the sender lost entries that it had acknowledged, and its log ends at hint. A
// leader takes any `rejected` beyond its own last index for that. One that does not know the word begins to probe,
// which does no harm, and finds the loss out when it has the next entry to send.
struct AppendReject {
  Epoch term;
  Index rejected;
  Position hint;
};

struct Heartbeat {
  Epoch term;
  Index commit;             // never beyond what the receiver is known to match: if it is, the receiver lost entries
  std::uint64_t round = 0;  // of read barriers; echoed
};

struct HeartbeatReply {
  Epoch term;
  std::uint64_t round = 0;
};

struct TimeoutNow {
  Epoch term;
};

struct StaleTerm {
  Epoch term;
};

struct Sleep {
  Epoch term;
  Index last;               // of the leader's log: committed, and known to be on the receiver's disk
  std::uint64_t round = 0;  // echoed
};

// The sender sleeps.
struct SleepReply {
  Epoch term;
  std::uint64_t round = 0;
};

struct LeaseRequest {
  Epoch term;
  std::uint64_t sent = 0;  // by the leader's clock; echoed, and of no meaning to anybody else
};

struct LeaseGrant {
  Epoch term;
  std::uint64_t sent = 0;
};

struct ReadPointRequest {
  Epoch term;
  std::uint64_t sent = 0;  // by the asking replica's clock, in microseconds; echoed
};

// Whatever was committed before the request came stands at or below index.
struct ReadPointReply {
  Epoch term;
  std::uint64_t sent = 0;
  Index index;
};

using Message = std::variant<PreVoteRequest, PreVoteReply, VoteRequest, VoteReply, AppendRequest, AppendAccept,
                             AppendReject, Heartbeat, HeartbeatReply, TimeoutNow, StaleTerm, Sleep, SleepReply,
                             LeaseRequest, LeaseGrant, ReadPointRequest, ReadPointReply>;

[[nodiscard]] Epoch term_of(const Message& message);
// One line for transcripts and traces, such as "append 3 after 2@4: 3@5..3@6 commit 4". A place is written epoch@index.
[[nodiscard]] std::string describe(const Message& message);

}  // namespace assent::raft
