// Where a new group goes: rendezvous hashing (Thaler & Ravishankar 1998). Of all nodes the ones with the highest weight
// for the group's name have its replicas, where
//
//     weight(group, node) = XXH3-64(group "\0" node, seed 0)
//
// and of equal weights the smaller name wins. So everybody computes the same, a node that is added takes only its share
// of what comes later, and what one that leaves had goes to all others alike: to the next by weight. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assent {

[[nodiscard]] std::uint64_t placement_weight(std::string_view group, std::string_view node);
// All of them, the best first.
[[nodiscard]] std::vector<std::string> by_weight(std::string_view group, std::vector<std::string> nodes);

}  // namespace assent
