// The pieces that a map and a change of it have in common as bytes. Internal to cluster/.
#pragma once

#include <string>

#include "base/byte_codec.h"
#include "cluster/cluster_map.h"

namespace assent::map_codec {

void write(ByteWriter& out, const MapNode& node);
void write(ByteWriter& out, const std::vector<MapFounder>& founders);
[[nodiscard]] bool read(ByteReader& in, MapNode& node);
[[nodiscard]] bool read(ByteReader& in, std::vector<MapFounder>& founders);
// A u8 that is 0 or 1.
[[nodiscard]] bool read(ByteReader& in, bool& flag);

}  // namespace assent::map_codec
