// The leader's read barriers (dissertation 6.4). A barrier takes the commit index of its arrival; it is satisfied once
// a majority has answered a heartbeat round that began after it arrived, which proves that no later leader had
// committed anything by then. All barriers that arrive between two outputs share one round.
// Read points that replicas ask for (raft_read_points.cc) are barriers, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/ids.h"
#include "base/membership.h"
#include "consensus/log_contract.h"

namespace assent::raft {

class ReadBarriers {
 public:
  // Asked for by this member when its clock showed `sent`; commit: as of the arrival.
  struct Point {
    Member by;
    std::uint64_t sent = 0;
    Index commit;
  };

  void add(ReadId id, Index commit) { waiting_.push_back({{id, commit}, round_ + 1}); }
  void add_point(const Member& by, std::uint64_t sent, Index commit) {
    points_.push_back({{by, sent, commit}, round_ + 1});
  }
  [[nodiscard]] bool wants_round() const {
    return (!waiting_.empty() && waiting_.back().round > round_) || (!points_.empty() && points_.back().round > round_);
  }
  // Begins a round when a barrier waits for one; true when it did.
  bool begin_round() {
    if (!wants_round()) return false;
    ++round_;
    return true;
  }
  // Satisfies everything that waited for rounds up to this one.
  void answered(std::uint64_t round, std::vector<ReadReady>& ready) {
    while (!waiting_.empty() && waiting_.front().round <= round) {
      ready.push_back(waiting_.front().read);
      waiting_.pop_front();
    }
  }
  // The points that rounds up to this one confirm.
  [[nodiscard]] std::vector<Point> points_answered(std::uint64_t round) {
    std::vector<Point> answered;
    while (!points_.empty() && points_.front().round <= round) {
      answered.push_back(points_.front().point);
      points_.pop_front();
    }
    return answered;
  }
  void abandon(std::vector<ReadId>& lost) {
    for (const Waiting& waiting : waiting_) lost.push_back(waiting.read.id);
    waiting_.clear();
    points_.clear();  // whoever asked asks again
  }
  [[nodiscard]] std::uint64_t round() const { return round_; }  // the newest begun
  [[nodiscard]] std::size_t size() const { return waiting_.size() + points_.size(); }

 private:
  struct Waiting {
    ReadReady read;
    std::uint64_t round = 0;
  };
  struct WaitingPoint {
    Point point;
    std::uint64_t round = 0;
  };
  std::deque<Waiting> waiting_;
  std::deque<WaitingPoint> points_;
  std::uint64_t round_ = 0;
};

}  // namespace assent::raft
