// What a node is in its present term. Data of a role cannot outlive it.
//
//     Follower --no leader for a timeout--> PreCandidate --a majority would vote--> Candidate --a majority voted-->
//     Leader
//        |  ^                                    |  ^                                  |  |                           |
//        |  +---------a majority would not-------+  +--------timeout-------------------+  |                           |
//        |  +-------------------------------a majority refused----------------------------+                           |
//        +--TimeoutNow from the leader--> Candidate                                                                   |
//     any --newer term, or its leader heard--> Follower <---no majority heard from for an interval (check-quorum)-----+
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "consensus/raft/progress.h"
#include "consensus/raft/quorum.h"
#include "consensus/raft/read_barriers.h"

namespace assent::raft {

struct Follower {
  Member leader;                    // none when unknown
  std::uint32_t elapsed_ticks = 0;  // since the leader was heard or a vote was given
  std::uint32_t timeout_ticks = 0;
  bool uncertain = false;  // woken by somebody else, it has not heard its leader since
};

struct PreCandidate {
  Tally tally;
  std::uint32_t elapsed_ticks = 0;
  std::uint32_t timeout_ticks = 0;
};

struct Candidate {
  Tally tally;  // its own vote is added when it is durable
  std::uint32_t elapsed_ticks = 0;
  std::uint32_t timeout_ticks = 0;
};

struct Peer {
  Member member;
  Progress progress;
};

struct Transfer {
  Member to;
  std::uint32_t elapsed_ticks = 0;
};

struct Leader {
  std::vector<Peer> peers;  // all members but itself, learners too, ascending
  Index epoch_start;        // its first entry
  ReadBarriers reads;
  std::size_t uncommitted_bytes = 0;
  std::uint32_t quorum_ticks = 0;
  std::optional<Transfer> transfer;
  std::uint32_t idle_ticks = 0;   // with nothing to do, for anybody
  bool drowsy = false;            // asks everybody to sleep
  std::uint64_t sleep_round = 0;  // the newest begun
  bool lease_over = false;        // for the rest of the term: somebody was asked to take over

  [[nodiscard]] const Progress* find(const Member& member) const {
    for (const Peer& peer : peers) {
      if (peer.member == member) return &peer.progress;
    }
    return nullptr;
  }
  [[nodiscard]] Progress* find(const Member& member) {
    return const_cast<Progress*>(std::as_const(*this).find(member));  // NOLINT: of this object, which is not const
  }
};

using Role = std::variant<Follower, PreCandidate, Candidate, Leader>;

}  // namespace assent::raft
