// Names of nodes and groups, and the numbers that stand for them inside. People and the API use names; logs, frames and
// consensus use numbers. The number follows from the name alone, so that reordering a configuration file changes
// nothing: a name of up to seven characters is its number (its bytes, big-endian); a longer one is hashed, with the top
// bit set.
//
// Values only, no I/O. Used by the server (configuration, services), the client library and the offline tools.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace assent {

// 1 to 63 of: lower-case letters, digits, '-', '_' and '.', beginning with a letter or digit.
[[nodiscard]] bool is_name(std::string_view text);
// Never zero for a non-empty text; zero for the empty one.
[[nodiscard]] std::uint64_t number_of_name(std::string_view name);
// The name behind a number, when it is short enough to be read back: "s1" for 0x7331. nullopt for a hashed one.
[[nodiscard]] std::optional<std::string> name_of_number(std::uint64_t number);

[[nodiscard]] inline GroupId group_id(std::string_view name) { return GroupId(number_of_name(name)); }
[[nodiscard]] inline NodeId node_id(std::string_view name) { return NodeId(number_of_name(name)); }

// The group that keeps the cluster map. It is no name that a configuration could give to another one.
inline constexpr std::string_view map_group_name = "_map";

enum class GroupKind : std::uint8_t { coordinator, shard };

// The groups of a cluster by name and by number; the one that keeps the map is not among them. A value.
class GroupDirectory {
 public:
  struct Group {
    std::string name;
    GroupId id;
    GroupKind kind = GroupKind::shard;
  };

  // refused when the name is there already, or another name has the same number.
  [[nodiscard]] Result<void> add(std::string name, GroupKind kind);

  [[nodiscard]] const Group* find(std::string_view name) const;
  [[nodiscard]] const Group* find(GroupId id) const;
  // For texts: the name, or "group <number>" for one that is not in the directory; empty for none.
  [[nodiscard]] std::string name(GroupId id) const;
  // Ascending by name.
  [[nodiscard]] std::vector<std::string> names(GroupKind kind) const;
  // "s1, s2": for messages to people.
  [[nodiscard]] std::string list(GroupKind kind) const;
  // The coordinator group of T; none when there is no coordinator group.
  [[nodiscard]] GroupId coordinator_of(const TxnId& txn) const;

 private:
  std::vector<Group> groups_;  // ascending by name
};

// Which of the coordinator groups has T: rendezvous hashing (Thaler & Ravishankar 1998), so that a new group takes only
// its share and every node and client computes the same. none when there are no groups.
[[nodiscard]] GroupId coordinator_of(const TxnId& txn, std::span<const GroupId> coordinators);

}  // namespace assent
