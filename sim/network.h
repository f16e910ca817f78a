// The network between nodes, and between clients and nodes: carries deliveries and decides how many copies arrive, and
// when. It never looks into what it carries. A link is one direction between two nodes.
//
// In-order links behave as a TCP stream does: a delivery comes no earlier than the one before it on its link. Those
// that the swarm lets overtake, double, straggle or come again after a restart are what broken proxies and reconnects
// make.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/rng.h"
#include "sim/recorder.h"
#include "sim/schedule.h"
#include "sim/swarm.h"

namespace assent::sim {

class Network {
 public:
  using Deliver = std::function<void()>;

  // Whole and quick until begin().
  Network(Schedule& schedule, Recorder& recorder, Rng rng)
      : schedule_(schedule), recorder_(recorder), rng_(rng), parts_rng_(rng.split("stream parts")) {}

  void begin(const NetworkFaults& faults) { faults_ = faults; }

  // A frame on the link: deliver is called never, once or several times.
  void frame(NodeId from, NodeId to, Deliver deliver);
  // A snapshot beside the frames: at most one arrival, and then ended with what the sender believes.
  void snapshot(NodeId from, NodeId to, std::size_t bytes, Deliver arrive, std::function<void(bool delivered)> ended);
  // One message of a stream beside the frames that brings a snapshot chunk by chunk: when it is there, and whether the
  // stream breaks with it, brings it twice, or damages it. Drawn from a stream of its own.
  struct StreamPart {
    Micros delay = 0;
    bool lost = false;
    bool doubled = false;
    bool damaged = false;
  };
  [[nodiscard]] StreamPart stream_part(NodeId from, NodeId to);
  // One way between a client and a node; partitions do not concern it.
  void client(Deliver deliver);

  // How long the sender is busy with a frame of this size before it may send the next one to this peer.
  [[nodiscard]] Micros write_time(NodeId from, NodeId to, std::size_t bytes);

  void block(NodeId from, NodeId to) { blocked_[{from, to}] += 1; }
  void unblock(NodeId from, NodeId to);
  [[nodiscard]] bool blocked(NodeId from, NodeId to) const { return blocked_.contains({from, to}); }
  // From now on every link is whole and quick. Frames on their way still arrive, late ones too.
  void heal();

 private:
  using LinkKey = std::pair<NodeId, NodeId>;
  struct Link {
    Micros last_arrival = 0;
    Micros clogged_until = 0;
    std::deque<Deliver> old;  // some earlier frames, to come again
  };

  void deliver_at(LinkKey key, Micros when, Deliver deliver);
  [[nodiscard]] Micros delay();
  void remember(Link& link, const Deliver& deliver);

  Schedule& schedule_;
  Recorder& recorder_;
  Rng rng_;
  Rng parts_rng_;
  NetworkFaults faults_;
  std::map<LinkKey, Link> links_;
  std::map<LinkKey, unsigned> blocked_;  // how many partitions cut the link
};

// A way to cut a cluster: the links to block.
using Cut = std::vector<std::pair<NodeId, NodeId>>;
// Draws one of: two halves, one node alone, one direction between two halves, one link, a ring, two
// sides with one node that talks to both (a bridge).
[[nodiscard]] Cut draw_cut(Rng& rng, const std::vector<NodeId>& nodes, Recorder& recorder);

}  // namespace assent::sim
