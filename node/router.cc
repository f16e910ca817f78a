#include "node/router.h"

#include <algorithm>

#include "node/loop_placement.h"

namespace assent {

namespace {

bool holds(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

Router::Router(NodeId self, const std::vector<GroupConfig>& groups, const std::vector<NodeId>& nodes, Place place)
    : self_(self), place_(place) {
  this->nodes(nodes);
  for (const GroupConfig& group : groups) members(group.id, group.members);
}

bool Router::elsewhere(GroupId group) const { return loop_of(group, place_.loops) != place_.loop; }

void Router::nodes(const std::vector<NodeId>& nodes) {
  everybody_ = nodes;
  if (!holds(nodes, self_)) everybody_.push_back(self_);
  nodes_.clear();
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(nodes_), [this](NodeId node) { return node != self_; });
}

void Router::members(GroupId group, const std::vector<NodeId>& nodes) {
  Entry& entry = groups_[group];
  entry.others.clear();
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(entry.others),
               [&](NodeId node) { return node != self_ || elsewhere(group); });
}

void Router::believe(GroupId group, const Leadership& leadership) {
  if (auto found = groups_.find(group); found != groups_.end()) {
    found->second.local = Leader{leadership.epoch, leadership.leader};
  }
}

// The group's entry, if what is said of its leader may be news.
Router::Entry* Router::find_for(GroupId group, const Leader& leader) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return nullptr;
  // Of itself a node asks its own replica.
  const std::vector<NodeId>& candidates = elsewhere(group) ? everybody_ : nodes_;
  const bool may_be = holds(candidates, leader.node) && leader.epoch >= found->second.learned.epoch;
  return may_be ? &found->second : nullptr;
}

void Router::learn(GroupId group, const Leader& leader) {
  Entry* entry = find_for(group, leader);
  if (entry == nullptr || entry->learned == leader) return;
  entry->learned = leader;
  entry->used_since = 0;
}

void Router::hear(GroupId group, const Leader& leader) {
  Entry* entry = find_for(group, leader);
  if (entry == nullptr) return;
  entry->learned = leader;
  entry->used_since = 0;
  entry->unknown_since = 0;
}

void Router::tick() {
  ++now_;
  std::erase_if(used_, [this](GroupId group) {
    Entry& entry = groups_.at(group);
    if (entry.used_since == 0) return true;
    if (now_ - entry.used_since <= unconfirmed_ticks) return false;
    entry.learned = Leader{};
    entry.used_since = 0;
    return true;
  });
}

Router::Leader Router::leader(GroupId group) const {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  const Entry& entry = found->second;
  if (!entry.local.node.none() && entry.local.epoch >= entry.learned.epoch) return entry.local;
  if (!entry.learned.node.none() && entry.learned.epoch >= entry.local.epoch) return entry.learned;
  return {};
}

std::span<const NodeId> Router::route(GroupId group) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  Entry& entry = found->second;
  const Leader known = leader(group);
  if (!known.node.none()) {
    if (known == entry.learned && known != entry.local && entry.used_since == 0) {
      entry.used_since = now_;
      used_.insert(group);
    }
    known_ = known.node;
    if (known == entry.local) entry.unknown_since = 0;
    return {&known_, 1};
  }
  if (entry.unknown_since == 0) entry.unknown_since = now_;
  if (!entry.others.empty() && now_ - entry.unknown_since <= unconfirmed_ticks) return entry.others;
  return elsewhere(group) ? everybody_ : nodes_;
}

}  // namespace assent
