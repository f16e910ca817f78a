#include "cluster/placement.h"

#include <algorithm>

#include "base/digest.h"

namespace assent {

std::uint64_t placement_weight(std::string_view group, std::string_view node) {
  std::string text(group);
  text += '\0';
  text += node;
  return xxh3(text);
}

std::vector<std::string> by_weight(std::string_view group, std::vector<std::string> nodes) {
  std::sort(nodes.begin(), nodes.end(), [group](const std::string& a, const std::string& b) {
    const std::uint64_t weight_a = placement_weight(group, a);
    const std::uint64_t weight_b = placement_weight(group, b);
    return weight_a != weight_b ? weight_a > weight_b : a < b;
  });
  return nodes;
}

}  // namespace assent
