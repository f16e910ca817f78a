// How far other nodes are, in time: from this node's loop to that of another one and back, as its transport measures it
// (server/peer_link.h). A plain value; the node's belongs to the loop's thread.
#pragma once

#include <chrono>
#include <map>

#include "base/ids.h"

namespace assent {

struct PeerLatency {
  bool up = false;                          // connected, and the last round trips came back
  std::chrono::microseconds round_trip{0};  // smoothed; 0: none came back yet
  std::chrono::milliseconds age{0};         // of the last one
};
using PeerLatencies = std::map<NodeId, PeerLatency>;

}  // namespace assent
