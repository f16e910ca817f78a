#include "consensus/raft/progress.h"

#include <algorithm>

namespace assent::raft {

bool Progress::may_send(const Window& window) const {
  switch (state_) {
    case State::probe: return !paused_;
    case State::replicate: return inflight_.size() < window.messages_max && inflight_bytes_ < window.bytes_max;
    case State::snapshot: return false;
  }
  return false;
}

void Progress::sent(Index last, std::size_t bytes) {
  if (state_ == State::probe) {
    paused_ = true;
    return;
  }
  next_ = last.next();
  question_ = false;  // this request asks the same
  inflight_.push_back({last, bytes});
  inflight_bytes_ += bytes;
}

void Progress::accepted(Index match, bool reachable) {
  match_ = std::max(match_, match);
  next_ = std::max(next_, match_.next());
  while (!inflight_.empty() && inflight_.front().last <= match_) {
    inflight_bytes_ -= inflight_.front().bytes;
    inflight_.pop_front();
  }
  if (state_ == State::probe || (state_ == State::snapshot && reachable)) become_replicate();
}

bool Progress::rejected(Index rejected, Index suggested) {
  if (state_ == State::snapshot || rejected < match_) return false;
  if (state_ == State::probe && rejected.next() != next_) return false;
  if (rejected == match_) {
    if (state_ != State::probe || suggested > match_ || match_.none()) return false;
    match_ = suggested.previous();
  }
  become_probe(std::max(match_.next(), std::min(suggested, rejected)));
  return true;
}

// A word that comes late, or once more, after the follower was sent all of it again, takes match back to what is still
// true: whoever has more has that, too. What was committed stays so, for that only grows; the follower is sent entries
// that it has, acknowledges them, and match is where it was. Until then it counts for less than it might, which can
// delay a commitment, a hand-over and sleep, and can allow nothing. An acknowledgement that comes late, from before the
// loss, makes match too high once more: the next heartbeat is answered with the next word.
bool Progress::lost(Index suggested) {
  if (suggested > match_) return false;
  match_ = suggested.previous();
  commit_told = std::min(commit_told, match_);
  sleep_answered = 0;  // that was in another life
  if (state_ == State::snapshot) {
    next_ = match_.next();  // the transfer goes on: it brings what is missing
  } else {
    become_probe(match_.next());
  }
  return true;
}

void Progress::alive(Index last) {
  heard();
  paused_ = false;
  if (state_ == State::replicate && match_ < last) question_ = true;
}

bool Progress::take_question() {
  const bool asked = question_;
  question_ = false;
  return asked;
}

void Progress::begin_snapshot() {
  become_probe(match_.next());
  state_ = State::snapshot;
}

void Progress::snapshot_ended(std::uint32_t patience_ticks) {
  if (state_ == State::snapshot) patience_ticks_ = std::max(patience_ticks, 1U);
}

void Progress::tick() {
  if (silent_ticks < std::numeric_limits<std::uint32_t>::max()) ++silent_ticks;
  if (state_ != State::snapshot || patience_ticks_ == 0) return;
  if (--patience_ticks_ == 0) become_probe(match_.next());
}

void Progress::become_probe(Index next) {
  state_ = State::probe;
  next_ = next;
  paused_ = false;
  question_ = false;
  patience_ticks_ = 0;
  inflight_.clear();
  inflight_bytes_ = 0;
}

void Progress::become_replicate() {
  become_probe(match_.next());
  state_ = State::replicate;
}

}  // namespace assent::raft
