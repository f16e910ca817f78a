// What happened to the node and its groups, for a person: the newest few hundred events, and how many there were of
// each kind. Belongs to the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace assent {

enum class NodeEventKind : std::uint8_t { started, leader, leader_lost, snapshot, transfer, map, damage };
[[nodiscard]] std::string_view to_string(NodeEventKind kind);

struct NodeEvent {
  std::uint64_t number = 0;  // 1, 2, ... while the process lives
  std::uint64_t wall_micros = 0;
  NodeEventKind kind = NodeEventKind::started;
  std::string group;  // empty: of the node
  std::string text;   // one sentence
};

class EventLog {
 public:
  explicit EventLog(std::size_t most = 500) : most_(most) {}

  void add(NodeEvent event) {
    event.number = ++last_;
    ++counts_[{event.kind, event.group}];
    events_.push_back(std::move(event));
    if (events_.size() > most_) events_.pop_front();
  }

  [[nodiscard]] const std::deque<NodeEvent>& events() const { return events_; }  // oldest first
  [[nodiscard]] std::uint64_t count(NodeEventKind kind, const std::string& group) const {
    const auto found = counts_.find({kind, group});
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  const std::size_t most_;
  std::uint64_t last_ = 0;
  std::deque<NodeEvent> events_;
  std::map<std::pair<NodeEventKind, std::string>, std::uint64_t> counts_;
};

inline std::string_view to_string(NodeEventKind kind) {
  switch (kind) {
    case NodeEventKind::started: return "started";
    case NodeEventKind::leader: return "leader";
    case NodeEventKind::leader_lost: return "leader_lost";
    case NodeEventKind::damage: return "damage";
    case NodeEventKind::snapshot: return "snapshot";
    case NodeEventKind::transfer: return "transfer";
    case NodeEventKind::map: return "map";
  }
  return "";
}

}  // namespace assent
