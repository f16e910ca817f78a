// The leader's read barriers (dissertation 6.4). A barrier takes the commit index of its arrival; it is satisfied once
// a majority has answered a heartbeat round that began after it arrived, which proves that no later leader had
// committed anything by then. All barriers that arrive between two outputs share one round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/ids.h"
#include "consensus/log_contract.h"

namespace assent::raft {

class ReadBarriers {
 public:
  void add(ReadId id, Index commit) { waiting_.push_back({{id, commit}, round_ + 1}); }
  [[nodiscard]] bool wants_round() const { return !waiting_.empty() && waiting_.back().round > round_; }
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
  void abandon(std::vector<ReadId>& lost) {
    for (const Waiting& waiting : waiting_) lost.push_back(waiting.read.id);
    waiting_.clear();
  }
  [[nodiscard]] std::uint64_t round() const { return round_; }  // the newest begun
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  struct Waiting {
    ReadReady read;
    std::uint64_t round = 0;
  };
  std::deque<Waiting> waiting_;
  std::uint64_t round_ = 0;
};

}  // namespace assent::raft
