// Which of a node's loops a group lives in: a function of the group's id and of how many loops the node has, so that
// whoever has a frame, a request or a snapshot for a group knows its loop without asking. It never changes while a data
// directory lives (storage/data_directory.h keeps the number).
//
// Nodes of one cluster may have different numbers of loops: nobody outside of a node sees them.
#pragma once

#include <cstddef>
#include <string>

#include "base/ids.h"

namespace assent {

inline constexpr std::size_t loops_max = 64;

// Below loops, which is 1 to loops_max. XXH3-64 of the id's eight little-endian bytes, modulo loops; the group of the
// cluster map is always in loop 0, whose host follows the map.
[[nodiscard]] std::size_t loop_of(GroupId group, std::size_t loops);

// Where loop `loop` of several keeps its log and snapshots, in the data directory; empty for loop 0, which has what the
// only loop of a node has.
[[nodiscard]] std::string loop_folder(std::size_t loop);

}  // namespace assent
