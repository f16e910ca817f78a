// A frame of a peer, cut into what each of a node's loops is to hear: consensus, messages and what is said of a
// replica that goes for the loop of their group, hints for all (whoever asked is not told apart), the map and what a
// node leads for loop 0.
//
// Every loop judges for itself whether its peers are alive and in which life. So a loop that a frame has nothing for is
// given its header alone: when the frame is such a sign of life itself, when the header says another life than the one
// before, and when the loop was given nothing of this peer for header_ticks.
//
// Pure but for what it remembers of each peer; a frame that cannot be read goes to loop 0 as it is, which counts it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "node/frame.h"

namespace assent {

class FrameDemux {
 public:
  struct Part {
    std::size_t loop = 0;
    Bytes frame;
  };

  FrameDemux(std::size_t loops, std::uint64_t header_ticks) : loops_(loops), header_ticks_(header_ticks) {}

  void tick() { ++now_; }
  // In the order of the loops, each once at most. Of a frame that one of the own loops sent: from is this node, and
  // `sender` the loop, which is given nothing.
  [[nodiscard]] std::vector<Part> split(NodeId from, Bytes frame, std::optional<std::size_t> sender = std::nullopt);

 private:
  struct Given {  // to one loop, of one peer
    std::uint64_t tick = 0;
    std::uint64_t sender_incarnation = 0;
    std::uint64_t target_incarnation = 0;
  };
  [[nodiscard]] std::optional<std::size_t> loop_of_all() const;
  void distribute(const FrameHeader& header, std::vector<Bytes>& frames) const;

  std::size_t loops_;
  std::uint64_t header_ticks_;
  std::uint64_t now_ = 0;
  std::map<NodeId, std::vector<Given>> given_;
  std::vector<FrameItem> items_;  // scratch
};

}  // namespace assent
