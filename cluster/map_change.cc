#include "cluster/map_change.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "cluster/map_codec.h"

namespace assent {
namespace {

constexpr std::uint8_t version = 1;

tl::unexpected<Error> refuse(std::string why) { return fail(ErrorCode::refused, std::move(why)); }

template <class List, class One>
void insert_by_name(List& list, One one) {
  const auto place = std::lower_bound(list.begin(), list.end(), one.name,
                                      [](const One& a, const std::string& name) { return a.name < name; });
  list.insert(place, std::move(one));
}

template <class List>
std::vector<std::string> names_of(const List& list) {
  std::vector<std::string> names;
  names.reserve(list.size());
  for (const auto& one : list) names.push_back(one.name);
  return names;
}

// A new name among those that are there.
template <class List>
Result<void> judge_name(const List& list, std::string_view what, const std::string& name) {
  if (!is_name(name)) {
    return refuse(
        fmt::format("\"{:.80}\" is not a name; use 1 to 63 lower-case letters, digits, '-', '_' and '.'", name));
  }
  for (const auto& one : list) {
    if (one.name == name) return refuse(fmt::format("there is a {} {} already; choose another name", what, name));
    if (number_of_name(one.name) == number_of_name(name)) {
      return refuse(fmt::format("{} and {} have the same number by chance; choose another name", one.name, name));
    }
  }
  return {};
}

bool is_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || text.size() - colon - 1 > 5) return false;
  const std::string_view port = text.substr(colon + 1);
  const bool digits =
      !port.empty() && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
  return digits && plain && text.size() <= 300 && std::stoi(std::string(port)) <= 65'535 &&
         std::stoi(std::string(port)) > 0;
}

std::vector<MapFounder> by_node(std::vector<MapFounder> founders) {
  std::sort(founders.begin(), founders.end(), [](const MapFounder& a, const MapFounder& b) { return a.node < b.node; });
  return founders;
}

class Changer {
 public:
  explicit Changer(const ClusterMap& map) : next_(map) {}

  Result<ClusterMap> operator()(const AddNode& add) {
    if (auto good = judge_name(next_.nodes, "node", add.node.name); !good) return fail(good.error());
    if (next_.nodes.size() >= map_nodes_max)
      return refuse(fmt::format("there are {} nodes, the most there may be", map_nodes_max));
    for (const auto& [what, endpoint] : {std::pair{"peer", &add.node.peer}, {"client", &add.node.client}}) {
      if (endpoint->empty() && what == std::string_view("client")) continue;
      if (!is_endpoint(*endpoint)) {
        return refuse(fmt::format("the {} address \"{:.80}\" of {} is not host:port", what, *endpoint, add.node.name));
      }
      for (const MapNode& other : next_.nodes) {
        if (*endpoint != other.peer && *endpoint != other.client) continue;
        return refuse(fmt::format("{} is the address of {}; every node needs its own", *endpoint, other.name));
      }
    }
    if (add.node.peer == add.node.client) {
      return refuse(fmt::format("{} is given for peers and for clients; each needs a port of its own", add.node.peer));
    }
    insert_by_name(next_.nodes, add.node);
    return done();
  }

  Result<ClusterMap> operator()(const RemoveNode& remove) {
    if (next_.node(remove.name) == nullptr) return no_node(remove.name);
    if (next_.nodes.size() == 1) return refuse(fmt::format("{} is the last node of the cluster", remove.name));
    std::erase_if(next_.nodes, [&](const MapNode& node) { return node.name == remove.name; });
    return done();
  }

  Result<ClusterMap> operator()(const CreateShard& create) {
    if (auto good = judge_name(next_.groups, "group", create.name); !good) return fail(good.error());
    if (next_.groups.size() >= map_groups_max) {
      return refuse(fmt::format("there are {} groups, the most there may be", map_groups_max));
    }
    if (create.founders.size() % 2 == 0) {
      return refuse(
          fmt::format("{} would have {} replicas; name an odd number: an even one survives no more losses than "
                      "one less",
                      create.name, create.founders.size()));
    }
    MapGroup group{.name = create.name,
                   .kind = GroupKind::shard,
                   .founders = by_node(create.founders),
                   .since = next_.epoch + 1,
                   .in_ring = create.in_ring};
    for (std::size_t i = 0; i < group.founders.size(); ++i) {
      const std::string& node = group.founders[i].node;
      if (next_.node(node) == nullptr) return no_node(node);
      if (i > 0 && group.founders[i - 1].node == node) return refuse(fmt::format("{} is named twice", node));
    }
    if (std::none_of(next_.groups.begin(), next_.groups.end(),
                     [](const MapGroup& one) { return one.kind == GroupKind::coordinator; })) {
      return refuse("this cluster has no coordinator group, which transactions over several shards need");
    }
    insert_by_name(next_.groups, std::move(group));
    return done();
  }

  Result<ClusterMap> operator()(const PutInRing& put) {
    const auto found = std::find_if(next_.groups.begin(), next_.groups.end(),
                                    [&](const MapGroup& group) { return group.name == put.shard; });
    if (found == next_.groups.end() || found->kind != GroupKind::shard) {
      return fail(ErrorCode::not_found, fmt::format("there is no shard \"{:.63}\"", put.shard));
    }
    if (found->in_ring == put.in_ring) {
      return refuse(fmt::format("{} is {} the ring already", put.shard, put.in_ring ? "in" : "out of"));
    }
    if (!put.in_ring && next_.ring_shards().size() == 1) {
      return refuse(fmt::format("{} is the last shard in the ring; keys must belong to one", put.shard));
    }
    found->in_ring = put.in_ring;
    return done();
  }

 private:
  Result<ClusterMap> done() {
    ++next_.epoch;
    return std::move(next_);
  }
  [[nodiscard]] tl::unexpected<Error> no_node(const std::string& name) const {
    return fail(ErrorCode::not_found,
                fmt::format("there is no node \"{:.63}\"; there are {}", name, fmt::join(names_of(next_.nodes), ", ")));
  }

  ClusterMap next_;
};

struct Write {
  ByteWriter& out;
  void operator()(const AddNode& one) const {
    out.u8(1);
    map_codec::write(out, one.node);
  }
  void operator()(const RemoveNode& one) const { out.u8(2).bytes(one.name); }
  void operator()(const CreateShard& one) const {
    out.u8(3).bytes(one.name).u8(one.in_ring ? 1 : 0);
    map_codec::write(out, by_node(one.founders));
  }
  void operator()(const PutInRing& one) const { out.u8(4).bytes(one.shard).u8(one.in_ring ? 1 : 0); }
};

bool read_change(ByteReader& in, MapChange& change) {
  switch (in.u8()) {
    case 1: return map_codec::read(in, change.emplace<AddNode>().node);
    case 2: change.emplace<RemoveNode>().name = std::string(in.bytes()); return in.ok();
    case 3: {
      CreateShard& create = change.emplace<CreateShard>();
      create.name = std::string(in.bytes());
      return map_codec::read(in, create.in_ring) && map_codec::read(in, create.founders);
    }
    case 4: {
      PutInRing& put = change.emplace<PutInRing>();
      put.shard = std::string(in.bytes());
      return map_codec::read(in, put.in_ring);
    }
    default: return false;
  }
}

}  // namespace

Result<ClusterMap> changed(const ClusterMap& map, const MapChange& change) { return std::visit(Changer(map), change); }

Result<ClusterMap> changed(const ClusterMap& map, const MapCommand& command) {
  if (command.expected != map.epoch) {
    return fail(ErrorCode::conflict,
                fmt::format("the cluster's map is of epoch {} and the change follows {}; look again", map.epoch,
                            command.expected));
  }
  if (map.epoch != 0) return changed(map, command.change);
  return changed(command.base, command.change);
}

Bytes encode(const MapCommand& command) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(version).u64(command.expected).bytes(command.expected == 0 ? encode(command.base) : Bytes());
  std::visit(Write{out}, command.change);
  return bytes;
}

Result<MapCommand> decode_map_command(ByteView bytes) {
  const auto bad = [] {
    return fail(ErrorCode::unsupported, "a change of the cluster's map that this build does not know");
  };
  ByteReader in(bytes);
  MapCommand command;
  if (in.u8() != version) return bad();
  command.expected = in.u64();
  const ByteView base = in.bytes();
  if (!in.ok()) return bad();
  if (command.expected == 0) {
    auto map = decode_cluster_map(base);
    if (!map) return bad();
    command.base = std::move(*map);
  } else if (!base.empty()) {
    return bad();
  }
  if (!read_change(in, command.change) || !in.complete()) return bad();
  return command;
}

}  // namespace assent
