// What this program speaks with other nodes and writes into logs, as one number.
//
//   0  programs that do not tell a level
//   1  tells its level; read points (consensus/raft/raft_read_points.cc)
//
// It grows by one with a release that sends or writes anything that the release before does not know: a kind of log
// entry, of a command, of a message, a version of a file that others are sent. Nodes of two adjacent levels serve
// together. What came with a level is used in a group only once all of its members have that level, so that the release
// before can be put back until then; whoever meets what it does not know all the same stops that group before it
// applies it (node/group.h). docs/OPERATIONS.md, "Upgrading", has the operator's side.
//
// Both are functions so that a program for tests can have the level above in one file of its own
// (tests/upgrade/next_level.cc). Thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace assent {

[[nodiscard]] std::uint32_t protocol_level();

// A command that a leader of this level writes into its group's log, once all members have the level, and that means
// nothing to a program of this level. Empty: this level has none.
[[nodiscard]] std::string_view level_command();

// Nodes that far apart do not speak with each other.
[[nodiscard]] constexpr bool levels_are_adjacent(std::uint32_t one, std::uint32_t other) {
  return one > other ? one - other <= 1 : other - one <= 1;
}

}  // namespace assent
