// How long a group does not serve when its leader is killed: again and again, on a running cluster. Whoever calls says
// how a node is killed and started again. Blocks; at most one at a time on a cluster.
//
// A trial begins when the kill is ordered, so that the time for ending the process counts, and ends when a write
// through the group has been acknowledged to a client that knew the old leader. The next one begins when all members of
// the group are back and have caught up, and every other group has a leader.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "client/client.h"

namespace assent::failover {

struct Options {
  std::string group;  // empty: the first shard
  std::size_t trials = 100;
  std::chrono::milliseconds patience{60'000};  // for service after a kill, and for the node's return
  // Returns when the node is dead, and when it was started; false when that failed.
  std::function<bool(const std::string& node)> kill;
  std::function<bool(const std::string& node)> start;
  std::function<void(std::chrono::microseconds took)> served;  // after each trial
};

using Times = std::vector<std::chrono::microseconds>;
[[nodiscard]] client::Result<Times> run(client::Client& client, const Options& options);

// The times in units of the election time-out.
struct Figures {
  std::size_t trials = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
  std::size_t within_three = 0;
};
// A percentile is the smallest time such that at least that share of the times is at or below it.
[[nodiscard]] Figures figures(Times times, std::chrono::milliseconds election_timeout);

}  // namespace assent::failover
