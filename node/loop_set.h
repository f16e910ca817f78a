// Several loops that together are one node: a Loop towards the host, which sees all groups in it. Each loop has its
// groups (node/loop_placement.h), its log, its snapshots and its disk; nothing is shared. What comes for a group goes
// to its loop; what loops say to a peer leaves in one frame; what they say to each other goes from one to the other.
//
//     peer's frame -> FrameDemux -> the loops of its items        request, answer, snapshot -> the loop of its group
//     loop's frame to a peer -> at most one of each loop waits -> one frame, when the transport is ready
//     loop's frame to this node -> FrameDemux -> the other loops
//
// It decides nothing: a frame between loops may be lost like any other. Used by the host's thread alone.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "node/lane.h"
#include "node/loop.h"

namespace assent {

// What loop number `loop` of so many is opened with, where a node with one is opened with config. The disk is that of
// the loop: its paths begin in loop_folder(loop).
[[nodiscard]] NodeConfig lane_config(const NodeConfig& config, std::size_t loop, std::size_t loops);

// One lane for each loop, in their order; transport is the node's. config is that of the node.
[[nodiscard]] std::unique_ptr<Loop> make_loop_set(const NodeConfig& config, std::vector<std::unique_ptr<Lane>> lanes,
                                                  Transport& transport);

}  // namespace assent
