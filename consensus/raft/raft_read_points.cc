// Read points: what lets any replica answer reads that may be stale, and say how old at most they are.
//
//     replica: ReadPointRequest(now by its clock) --> leader: a read barrier, ReadPointReply(the same number, index)
//
// Safety. The leader answers as it would a read (6.4): once a majority has confirmed, after the request came, that it
// still leads, or by a lease that is good at that moment (raft_lease.cc). So whatever anybody was told to be committed
// before the request *came* stands at or below index, and all the more what was told before it *left*. When it left
// the replica knows by its own clock, which is the only clock that is read: no two are compared, and how long anything
// took on its way does not matter, for the age counts from the sending. The replica's clock may be too slow: the age
// that is told is the longest time that can have passed (clock_drift_ppm). It must not stand still while the process
// does (Clock::alive_micros()).
//
// A point is true for ever. Leaders may change behind it, the replica may be cut off, sleep, or follow another: its age
// grows, and that is all. A restart forgets the points. An answer to an earlier life would be believed only if its
// number lay between this life's beginning and now; the host drops frames of earlier lives (node/peers.h).
//
// Asked for only when somebody wants to read and the last point grows old (node/stale_reads.h): a group that nobody
// reads so pays nothing, a group that sleeps goes on sleeping while its points are young enough, and is woken by the
// request as by any other.
#include <algorithm>

#include "base/planted.h"
#include "consensus/raft/raft.h"

namespace assent::raft {

void Raft::request_read_point() {
  if (!clock_known_ || silent_) return;
  // One at a time, and one a tick: whoever lags behind its points has no use for more of them. An answer that does not
  // come is asked for again at the pace of heartbeats.
  const bool waits = point_asked_ > points_.newest_asked();
  if (point_asked_ != 0 && ticks_ - point_asked_tick_ < (waits ? options_.heartbeat_ticks : 1)) return;
  if (auto* leader = std::get_if<Leader>(&role_)) {
    if (!ask_for_point(*leader, self_, clock_)) return;
  } else if (const auto* follower = std::get_if<Follower>(&role_); follower != nullptr && !follower->leader.none()) {
    wake_up(true);
    answer_leader(follower->leader, ReadPointRequest{.term = term_, .sent = clock_});
  } else {
    return;
  }
  point_asked_ = clock_;
  point_asked_tick_ = ticks_;
}

std::optional<ReadPoint> Raft::read_point(Index applied) const {
  if (!clock_known_) return std::nullopt;
  return points_.youngest(applied, clock_, options_.clock_drift_ppm);
}

// False: it cannot be asked now.
bool Raft::ask_for_point(Leader& role, const Member& by, std::uint64_t sent) {
  if (handed_ < role.epoch_start || role.reads.size() >= options_.reads_max) return false;
  if (leased(role) || planted(Bug::read_point_unconfirmed)) {
    give_point({by, sent, commit_});
    return true;
  }
  wake_up(false);
  role.reads.add_point(by, sent, commit_);
  return true;
}

void Raft::give_point(const ReadBarriers::Point& point) {
  if (point.by == self_) return points_.add(point.commit, point.sent);
  send_now(point.by, ReadPointReply{.term = term_, .sent = point.sent, .index = point.commit});
}

Raft::Next Raft::on(Leader& role, const Member& from, const ReadPointRequest& message) {
  Progress* progress = role.find(from);
  if (progress == nullptr) {
    ignore();
    return std::nullopt;
  }
  progress->heard();
  static_cast<void>(ask_for_point(role, from, message.sent));  // it asks again
  return std::nullopt;
}

Raft::Next Raft::on(Follower& role, const Member& /*from*/, const ReadPointReply& message) {
  role.elapsed_ticks = 0;
  if (!clock_known_ || message.sent < clock_began_ || message.sent > clock_) {
    ignore();
    return std::nullopt;
  }
  points_.add(message.index, planted(Bug::stale_read_age_from_receipt) ? clock_ : message.sent);
  return std::nullopt;
}

}  // namespace assent::raft
