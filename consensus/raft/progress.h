// What a leader knows about one follower's log, and when it may send to it. Pure bookkeeping: no messages, no log.
//
//     probe --accepted--> replicate --rejected--> probe      the place where the logs part is not known: one request at
//     a time probe, replicate --begin_snapshot--> snapshot          the entries it needs are gone from the leader's
//     memory snapshot --accepted(reaching the log)--> replicate snapshot --failed, or no answer in time--> probe
//
// Invariants: match < next; in replicate, at most the window's messages and bytes are unanswered. match goes back only
//   * for a follower that left the group, forgot its log and came back as who it was (node/leaving.h):
//     when it lacks what a probe right behind the match asks for;
//   * for one that lost entries to damage:
//     when it says so (lost()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>

#include "base/ids.h"

namespace assent::raft {

struct Window {
  std::size_t messages_max = 0;
  std::size_t bytes_max = 0;
};

class Progress {
 public:
  enum class State : std::uint8_t { probe, replicate, snapshot };

  explicit Progress(Index next) : next_(next) {}

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] Index match() const { return match_; }
  [[nodiscard]] Index next() const { return next_; }
  [[nodiscard]] std::size_t inflight() const { return inflight_.size(); }
  [[nodiscard]] std::size_t inflight_bytes() const { return inflight_bytes_; }
  // A request was sent to which no answer is known yet.
  [[nodiscard]] bool waiting() const { return paused_ || !inflight_.empty(); }

  [[nodiscard]] bool may_send(const Window& window) const;
  // Entries from next() up to last left. In replicate, next() moves on at once.
  void sent(Index last, std::size_t bytes);
  // The follower has everything up to match. reachable: the leader still has what comes after it.
  void accepted(Index match, bool reachable);
  // The follower lacks what comes before rejected + 1, and suggested is where to try next. False when the answer is
  // stale.
  bool rejected(Index rejected, Index suggested);
  // The follower lost entries that it had acknowledged; it still has what comes before suggested, or else did not even
  // have so much. False when it is not known to match further than that: nothing new.
  bool lost(Index suggested);
  // A sign of life: a probe may be repeated, and a stream that is not answered in full is worth a question.
  void alive(Index last);
  [[nodiscard]] bool has_question() const { return question_; }
  // True once after alive() found the stream unanswered: ask with an empty request whether anything was lost.
  bool take_question();

  void begin_snapshot();
  // The transfer ended; the follower's answer is awaited for patience ticks before it is probed again.
  void snapshot_ended(std::uint32_t patience_ticks);
  void tick();

  void heard() {
    recently_active = true;
    silent_ticks = 0;
  }

  bool recently_active = false;                                            // heard from in this check-quorum interval
  std::uint32_t silent_ticks = std::numeric_limits<std::uint32_t>::max();  // since it was heard; the maximum: never
  Index commit_told;                 // the newest commit index that was sent to it
  std::uint64_t round_answered = 0;  // of read barriers
  std::uint64_t sleep_answered = 0;  // the newest round of Sleep
  std::uint64_t lease_sent = 0;      // when the newest request for a lease left that it has granted; 0: none

 private:
  struct Sent {
    Index last;
    std::size_t bytes = 0;
  };

  void become_probe(Index next);
  void become_replicate();

  State state_ = State::probe;
  Index match_;
  Index next_;
  bool paused_ = false;               // probe: a request is under way
  bool question_ = false;             // replicate
  std::uint32_t patience_ticks_ = 0;  // snapshot: 0 while the transfer lasts
  std::deque<Sent> inflight_;
  std::size_t inflight_bytes_ = 0;
};

}  // namespace assent::raft
