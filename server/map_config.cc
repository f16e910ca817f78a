#include "server/map_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/digest.h"
#include "server/durable_file.h"

namespace assent {

namespace {

constexpr std::string_view first_line = "assent cluster map 1";

std::string path_of(const std::string& data_dir) { return data_dir + "/MAP"; }

}  // namespace

ClusterMap configured_map(const ServerConfig& config) {
  ClusterMap map;
  for (const auto& [name, peer] : config.peers) {
    const auto client = config.clients.find(name);
    map.nodes.push_back(
        {.name = name, .client = client == config.clients.end() ? "" : client->second.text(), .peer = peer.text()});
  }
  for (const GroupSetting& setting : config.groups) {
    const bool coordinates = setting.role == "coordinator";
    MapGroup group{.name = setting.name,
                   .kind = coordinates ? GroupKind::coordinator : GroupKind::shard,
                   .founders = {},
                   .since = setting.since,
                   .in_ring = !coordinates && setting.in_ring};
    for (std::size_t i = 0; i < setting.members.size(); ++i) {
      group.founders.push_back({setting.members[i], i < setting.disks.size() ? setting.disks[i] : 0});
    }
    std::sort(group.founders.begin(), group.founders.end(),
              [](const MapFounder& a, const MapFounder& b) { return a.node < b.node; });
    map.groups.push_back(std::move(group));
  }
  std::sort(map.groups.begin(), map.groups.end(), [](const MapGroup& a, const MapGroup& b) { return a.name < b.name; });
  return map;
}

ServerConfig with_map(ServerConfig config, const ClusterMap& map) {
  std::map<std::string, Endpoint> peers;
  std::map<std::string, Endpoint> clients;
  if (const auto own = config.peers.find(config.node_name); own != config.peers.end()) peers.insert(*own);
  if (const auto own = config.clients.find(config.node_name); own != config.clients.end()) clients.insert(*own);
  for (const MapNode& node : map.nodes) {
    if (const auto peer = parse_endpoint(node.peer)) peers[node.name] = *peer;
    if (const auto client = parse_endpoint(node.client)) clients[node.name] = *client;
  }
  config.peers = std::move(peers);
  config.clients = std::move(clients);
  config.groups.clear();
  for (const MapGroup& group : map.groups) {
    GroupSetting setting{.name = group.name,
                         .role = group.kind == GroupKind::coordinator ? "coordinator" : "shard",
                         .members = {},
                         .disks = {},
                         .since = group.since,
                         .in_ring = group.in_ring};
    for (const MapFounder& founder : group.founders) {
      setting.members.push_back(founder.node);
      setting.disks.push_back(founder.disk);
    }
    config.groups.push_back(std::move(setting));
  }
  config.map_epoch = map.epoch;
  return config;
}

GroupConfig map_group(const ServerConfig& config) {
  const auto rank = [](const GroupSetting& group) {
    return std::tuple(group.since != 0, group.role != "coordinator", group.name);
  };
  const auto first = std::min_element(config.groups.begin(), config.groups.end(),
                                      [&](const GroupSetting& a, const GroupSetting& b) { return rank(a) < rank(b); });
  GroupConfig out{
      .id = group_id(map_group_name), .name = std::string(map_group_name), .role = GroupRole::map, .members = {}};
  if (first != config.groups.end()) {
    for (const std::string& member : first->members) out.members.push_back(node_id(member));
  }
  std::sort(out.members.begin(), out.members.end());
  return out;
}

Result<std::optional<KeptMap>> load_map(const std::string& data_dir) {
  const std::string path = path_of(data_dir);
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return std::nullopt;
    return fail(ErrorCode::io, fmt::format("cannot read {}", path));
  }
  const auto damaged = [&path] {
    return fail(ErrorCode::corruption,
                fmt::format("{} is damaged: move it away, and start this node with --join HOST:PORT of another node, "
                            "which gives it the map again",
                            path));
  };
  std::string head;
  KeptMap kept;
  std::string checksum;
  std::getline(file, head);
  std::getline(file, kept.cluster);
  std::getline(file, checksum);
  std::ostringstream rest;
  if (file.peek() != std::ifstream::traits_type::eof()) rest << file.rdbuf();
  const std::string bytes = rest.str();
  if (head != first_line || checksum != fmt::format("{:016x}", xxh3(kept.cluster + "\n" + bytes))) return damaged();
  auto map = decode_cluster_map(bytes);
  if (!map) return damaged();
  kept.map = std::move(*map);
  return kept;
}

Result<void> save_map(const std::string& data_dir, const KeptMap& kept) {
  const Bytes bytes = encode(kept.map);
  return replace_file(
      path_of(data_dir),
      fmt::format("{}\n{}\n{:016x}\n", first_line, kept.cluster, xxh3(kept.cluster + "\n" + bytes)) + bytes);
}

}  // namespace assent
