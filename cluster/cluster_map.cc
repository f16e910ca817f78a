#include "cluster/cluster_map.h"

#include <algorithm>
#include <set>

#include "cluster/map_codec.h"

namespace assent {
namespace {

constexpr std::uint8_t version = 1;
constexpr std::size_t address_bytes_max = 300;

template <class List>
auto* named(List& list, std::string_view name) {
  const auto found = std::find_if(list.begin(), list.end(), [name](const auto& one) { return one.name == name; });
  return found == list.end() ? nullptr : &*found;
}

// Names ascend and are names, and no two have one number.
template <class List>
bool names_are_good(const List& list) {
  std::set<std::uint64_t> numbers;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!is_name(list[i].name) || !numbers.insert(number_of_name(list[i].name)).second) return false;
    if (i > 0 && list[i - 1].name >= list[i].name) return false;
  }
  return true;
}

bool read_group(ByteReader& in, MapGroup& group) {
  group.name = std::string(in.bytes());
  const std::uint8_t kind = in.u8();
  if (!in.ok() || kind > 1) return false;
  group.kind = kind == 0 ? GroupKind::coordinator : GroupKind::shard;
  group.since = in.u64();
  return map_codec::read(in, group.in_ring) && map_codec::read(in, group.founders) && !group.founders.empty();
}

}  // namespace

namespace map_codec {

void write(ByteWriter& out, const MapNode& node) { out.bytes(node.name).bytes(node.client).bytes(node.peer); }

void write(ByteWriter& out, const std::vector<MapFounder>& founders) {
  out.u32(static_cast<std::uint32_t>(founders.size()));
  for (const MapFounder& founder : founders) out.bytes(founder.node).u64(founder.disk);
}

bool read(ByteReader& in, MapNode& node) {
  node.name = std::string(in.bytes());
  node.client = std::string(in.bytes());
  node.peer = std::string(in.bytes());
  return in.ok() && node.client.size() <= address_bytes_max && node.peer.size() <= address_bytes_max;
}

bool read(ByteReader& in, std::vector<MapFounder>& founders) {
  const std::uint32_t count = in.u32();
  if (!in.ok() || count > in.remaining() / 12) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    MapFounder& founder = founders.emplace_back();
    founder.node = std::string(in.bytes());
    founder.disk = in.u64();
    if (!in.ok() || !is_name(founder.node)) return false;
    if (i > 0 && founders[i - 1].node >= founder.node) return false;
  }
  return true;
}

bool read(ByteReader& in, bool& flag) {
  const std::uint8_t byte = in.u8();
  flag = byte == 1;
  return in.ok() && byte <= 1;
}

}  // namespace map_codec

const MapNode* ClusterMap::node(std::string_view name) const { return named(nodes, name); }
const MapGroup* ClusterMap::group(std::string_view name) const { return named(groups, name); }

std::vector<std::string> ClusterMap::ring_shards() const {
  std::vector<std::string> shards;
  for (const MapGroup& group : groups) {
    if (group.kind == GroupKind::shard && group.in_ring) shards.push_back(group.name);
  }
  return shards;
}

Bytes encode(const ClusterMap& map) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(version).u64(map.epoch).u32(static_cast<std::uint32_t>(map.nodes.size()));
  for (const MapNode& node : map.nodes) map_codec::write(out, node);
  out.u32(static_cast<std::uint32_t>(map.groups.size()));
  for (const MapGroup& group : map.groups) {
    out.bytes(group.name).u8(group.kind == GroupKind::coordinator ? 0 : 1).u64(group.since);
    out.u8(group.in_ring ? 1 : 0);
    map_codec::write(out, group.founders);
  }
  return bytes;
}

Result<ClusterMap> decode_cluster_map(ByteView bytes) {
  const auto bad = [] { return fail(ErrorCode::malformed, "these bytes are no cluster map that this build knows"); };
  ByteReader in(bytes);
  ClusterMap map;
  if (in.u8() != version) return bad();
  map.epoch = in.u64();
  const std::uint32_t nodes = in.u32();
  if (!in.ok() || nodes > map_nodes_max) return bad();
  for (std::uint32_t i = 0; i < nodes; ++i) {
    if (!map_codec::read(in, map.nodes.emplace_back())) return bad();
  }
  const std::uint32_t groups = in.u32();
  if (!in.ok() || groups > map_groups_max) return bad();
  for (std::uint32_t i = 0; i < groups; ++i) {
    if (!read_group(in, map.groups.emplace_back())) return bad();
  }
  if (!in.complete() || !names_are_good(map.nodes) || !names_are_good(map.groups)) return bad();
  return map;
}

}  // namespace assent
