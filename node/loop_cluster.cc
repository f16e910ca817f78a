// What nodes tell each other beside their groups: the map that they go by, how many groups they lead, their levels.
#include "base/protocol_level.h"
#include "node/node_loop.h"

namespace assent {
namespace {

// For so long a node is believed that told how many groups it leads.
constexpr std::uint64_t leads_ticks_max = 300;

}  // namespace

// ---- a cluster that changes ----

void NodeLoop::adopt(const std::vector<NodeId>& nodes, const std::vector<GroupConfig>& groups) {
  if (failure_) return;
  router_.nodes(nodes);
  peers_.set(nodes);
  for (const GroupConfig& group : groups) {
    if (router_.knows(group.id)) continue;
    config_.groups.push_back(group);
    router_.members(group.id, group.members);
    if (carries(group)) add_running(group);
  }
}

void NodeLoop::know_shards(const std::vector<GroupId>& shards) {
  shards_ = shards;
  for (auto& [id, group] : groups_) group.know_shards(shards_);
}

void NodeLoop::announce(MapNews news) {
  if (news.epoch <= map_.epoch) return;
  map_ = std::move(news);
  say_map();
}

void NodeLoop::say_map() {
  if (map_.epoch == 0) return;  // who never heard of one may be a program that does not know what this is
  for (const NodeId peer : peers_.all()) peers_.queue(peer, MapItem{map_.epoch, {}});
}

std::uint64_t NodeLoop::own_leads() const {
  const auto here = std::count_if(groups_.begin(), groups_.end(), [](const auto& one) { return one.second.leads(); });
  return leads_besides_ + static_cast<std::uint64_t>(here);
}

void NodeLoop::say_leads() {
  if (!config_.tells_leads) return;
  const std::uint64_t now = own_leads();
  if (now == said_leads_ && now_ticks_ % map_ticks != 0) return;
  said_leads_ = now;
  for (const NodeId peer : peers_.all()) peers_.queue(peer, LeadsItem{now});
}

// Who has told nothing may have none.
std::uint32_t NodeLoop::level_of(const Membership& members) const {
  std::uint32_t lowest = config_.level;
  for (const NodeId node : members.nodes()) {
    if (node == config_.self) continue;
    const auto told = peer_levels_.find(node);
    lowest = std::min(lowest, told == peer_levels_.end() ? 0 : told->second);
  }
  return lowest;
}

void NodeLoop::write_level_commands() {
  for (auto& [id, group] : groups_) {
    if (group.leads() && level_of(group.status().log.members) >= protocol_level()) {
      group.write_level_command(clock_.wall());
    }
  }
}

std::map<NodeId, std::uint64_t> NodeLoop::leads() const {
  std::map<NodeId, std::uint64_t> all{{config_.self, own_leads()}};
  for (const auto& [node, leads] : heard_leads_) {
    if (peers_.knows(node) && now_ticks_ - leads.heard <= leads_ticks_max) all[node] = leads.groups;
  }
  return all;
}

void NodeLoop::on_item(NodeId from, const MapItem& item) {
  if (item.epoch < map_.epoch) return peers_.queue(from, MapItem{map_.epoch, map_.map});
  if (item.epoch == map_.epoch) return;
  if (item.map.empty()) return peers_.queue(from, MapItem{map_.epoch, {}});  // to be told
  if (!heard_ || heard_->epoch < item.epoch) heard_ = MapNews{item.epoch, Bytes(item.map)};
}

}  // namespace assent
