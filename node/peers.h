// What waits for each other node, already encoded: one frame is being built per peer while the last one is on its way.
//
// Not the transport: this is the bounded queue before it. While limits.peer_queue_bytes_max wait, messages are dropped
// and counted (so that a queue holds at most that and one message more), and so is a queue whose peer took nothing for
// limits.peer_stalled_ticks_max: whatever is lost here is repeated by its sender on ticks, and old messages help
// nobody. Called from the loop.
//
// It also keeps the pair's sign of life, by which sleeping groups know that their leaders' nodes are there
// (consensus/raft/raft_sleep.cc): a peer that was sent nothing for limits.sign_of_life_ticks is sent an empty frame.
//
// It also keeps each peer's incarnation. A frame of a peer's earlier life, or meant for an earlier life of this node,
// is dropped. Whoever sends to our earlier life is greeted with an empty frame, so that it learns of the new one at
// once.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "consensus/log_contract.h"
#include "node/frame.h"
#include "node/limits.h"
#include "node/transport.h"

namespace assent {

class Peers {
 public:
  // siblings: this node has several loops, and what is queued for itself goes to the others of them.
  Peers(NodeId self, std::uint64_t incarnation, const std::vector<NodeId>& others, const Limits& limits,
        bool siblings = false);

  void queue(NodeId to, const ConsensusItem& item) { add(to, item); }
  void queue(NodeId to, const MessageItem& item) { add(to, item); }
  void queue(NodeId to, const MapItem& item) { add(to, item); }
  void queue(NodeId to, const LeadsItem& item) { add(to, item); }
  void queue(NodeId to, const BelongItem& item) { add(to, item); }
  void queue(NodeId to, const LeftItem& item) { add(to, item); }
  // One hint per group and peer waits at a time; a newer one replaces it.
  void queue(NodeId to, const HintItem& item);

  [[nodiscard]] bool knows(NodeId node) const { return peers_.contains(node); }
  [[nodiscard]] std::vector<NodeId> all() const;  // but this node
  // Exactly these from now on, self aside. What waits for one that is gone is dropped.
  void set(const std::vector<NodeId>& others);
  // Whether the items of a frame with this header are to be looked at.
  [[nodiscard]] bool admit(NodeId from, const FrameHeader& header);

  // Hands frames to every peer that is ready for one.
  void send(Transport& transport);
  void tick(const Transport& transport);

  // Peers that fell silent, or began another life, since the last call.
  [[nodiscard]] std::vector<NodeId> take_gone() { return std::exchange(gone_, {}); }
  // Since when nothing was heard of each.
  [[nodiscard]] std::vector<Slept::Silence> silences() const;

  struct Counts {
    std::uint64_t frames_sent = 0;
    std::uint64_t frame_bytes_sent = 0;
    std::uint64_t messages_dropped = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  struct Frame {
    Bytes bytes;  // empty: not begun
    std::uint64_t messages = 0;
  };
  struct Peer {
    std::deque<Frame> closed;  // whole frames, oldest first
    Frame open;                // the one being built
    std::map<GroupId, HintItem> hints;
    bool greet = true;              // owes the peer a frame, if only an empty one
    std::size_t bytes = 0;          // of closed and open
    std::uint64_t incarnation = 0;  // the newest heard of; 0: none
    std::uint64_t stalled_ticks = 0;
    std::uint64_t silent_ticks = 0;     // since it was heard
    std::uint64_t unwritten_ticks = 0;  // since it was sent anything
  };

  template <class Item>
  void add(NodeId to, const Item& item);
  Frame& open_frame(NodeId to, Peer& peer);
  void finish(NodeId to, Peer& peer);  // hints and greeting go into the open frame
  static Bytes take_frame(Peer& peer);
  void tick_life(NodeId node, Peer& peer);

  NodeId self_;
  std::uint64_t incarnation_;
  Limits limits_;
  bool siblings_;
  std::map<NodeId, Peer> peers_;
  std::vector<NodeId> gone_;
  Counts counts_;
};

}  // namespace assent
