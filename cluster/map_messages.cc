#include "cluster/map_messages.h"

namespace assent {

namespace {

template <class List>
std::vector<MapFounder> read_founders(const List& from) {
  std::vector<MapFounder> founders;
  for (const v1::MapFounder& founder : from) founders.push_back({founder.node(), founder.disk()});
  return founders;
}

template <class List>
void write_founders(const std::vector<MapFounder>& founders, List& out) {
  for (const MapFounder& founder : founders) {
    v1::MapFounder& who = *out.Add();
    who.set_node(founder.node);
    who.set_disk(founder.disk);
  }
}

void write_node(const MapNode& node, v1::Node& out) {
  out.set_name(node.name);
  out.set_client_endpoint(node.client);
  out.set_peer_endpoint(node.peer);
}

struct WriteChange {
  v1::ChangeMapRequest& out;
  void operator()(const AddNode& one) const { write_node(one.node, *out.mutable_add_node()); }
  void operator()(const RemoveNode& one) const { out.set_remove_node(one.name); }
  void operator()(const CreateShard& one) const {
    out.mutable_create_shard()->set_name(one.name);
    write_founders(one.founders, *out.mutable_create_shard()->mutable_founders());
    out.mutable_create_shard()->set_in_ring(one.in_ring);
  }
  void operator()(const PutInRing& one) const {
    out.mutable_ring()->set_shard(one.shard);
    out.mutable_ring()->set_in_ring(one.in_ring);
  }
};

MapNode read_node(const v1::Node& from) {
  return {.name = from.name(), .client = from.client_endpoint(), .peer = from.peer_endpoint()};
}

}  // namespace

void write_map(const ClusterMap& map, v1::GetMapResponse& out) {
  out.set_epoch(map.epoch);
  for (const MapNode& node : map.nodes) write_node(node, *out.add_nodes());
  for (const MapGroup& group : map.groups) {
    v1::MapGroup& one = *out.add_groups();
    one.set_name(group.name);
    one.set_role(group.kind == GroupKind::coordinator ? "coordinator" : "shard");
    write_founders(group.founders, *one.mutable_founders());
    one.set_since(group.since);
    one.set_in_ring(group.in_ring);
  }
}

Result<ClusterMap> read_map(const v1::GetMapResponse& from) {
  ClusterMap map;
  map.epoch = from.epoch();
  for (const v1::Node& node : from.nodes()) map.nodes.push_back(read_node(node));
  for (const v1::MapGroup& group : from.groups()) {
    map.groups.push_back({.name = group.name(),
                          .kind = group.role() == "coordinator" ? GroupKind::coordinator : GroupKind::shard,
                          .founders = read_founders(group.founders()),
                          .since = group.since(),
                          .in_ring = group.in_ring()});
  }
  return decode_cluster_map(encode(map));
}

void write_change(const MapChange& change, v1::ChangeMapRequest& out) { std::visit(WriteChange{out}, change); }

Result<MapChange> read_change(const v1::ChangeMapRequest& from) {
  switch (from.change_case()) {
    case v1::ChangeMapRequest::kAddNode: return AddNode{read_node(from.add_node())};
    case v1::ChangeMapRequest::kRemoveNode: return RemoveNode{from.remove_node()};
    case v1::ChangeMapRequest::kCreateShard:
      return CreateShard{from.create_shard().name(), read_founders(from.create_shard().founders()),
                         from.create_shard().in_ring()};
    case v1::ChangeMapRequest::kRing: return PutInRing{from.ring().shard(), from.ring().in_ring()};
    case v1::ChangeMapRequest::CHANGE_NOT_SET: break;
  }
  return fail(ErrorCode::malformed, "change: none is named, or one that this node does not know");
}

}  // namespace assent
