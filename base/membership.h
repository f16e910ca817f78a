// Who belongs to a group: the voters, during a change also those of before, and the learners. Plain data: consensus
// makes it, log entries and snapshots carry it, storage keeps it. The rules by which it changes are in
// consensus/raft/membership_change.h.
//
// A member is a node in one incarnation: 0 for those that founded the group, and another number for each disk that came
// to a node later. Who lost a disk has forgotten its votes, and so comes back as somebody else.
//
// Invariants of a valid membership: every list strictly ascending; no voter (incoming or outgoing) is a learner;
// learners_next are outgoing voters that are voters no more; at least one voter.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace assent {

struct Member {
  NodeId node;
  std::uint64_t incarnation = 0;

  constexpr Member() = default;
  constexpr Member(NodeId founder) : node(founder) {}  // NOLINT: a node is the founding member of that name
  constexpr Member(NodeId n, std::uint64_t i) : node(n), incarnation(i) {}
  constexpr auto operator<=>(const Member&) const = default;
  [[nodiscard]] constexpr bool none() const { return node.none(); }
};

struct Membership {
  std::vector<Member> voters;
  std::vector<Member> outgoing;       // the voters of before, while joint: a majority of each must agree
  std::vector<Member> learners;       // are sent the log, and count for nothing
  std::vector<Member> learners_next;  // outgoing voters that are learners once the joint state is left

  Membership() = default;
  Membership(const std::vector<NodeId>& founders) : voters(founders.begin(), founders.end()) {}  // NOLINT
  Membership(std::initializer_list<NodeId> founders) : voters(founders.begin(), founders.end()) {}

  [[nodiscard]] bool empty() const { return voters.empty(); }
  [[nodiscard]] bool joint() const { return !outgoing.empty(); }
  [[nodiscard]] bool plain() const;  // voters alone, all of them founders: what formats of version 1 can say
  [[nodiscard]] bool votes(const Member& member) const;    // in either half
  [[nodiscard]] bool has(const Member& member) const;      // in any of the lists
  [[nodiscard]] std::vector<Member> all() const;           // everybody once, ascending
  [[nodiscard]] std::vector<Member> voting() const;        // the voters of either half, once, ascending
  [[nodiscard]] std::vector<NodeId> voting_nodes() const;  // nodes of the voters of either half, once, ascending
  [[nodiscard]] std::vector<NodeId> nodes() const;         // of everybody, once, ascending
  [[nodiscard]] Member voter_on(NodeId node) const;        // incoming; none when no voter is there
  [[nodiscard]] bool valid() const;

  bool operator==(const Membership&) const = default;
};

// One step of a change; several together are one change.
struct MemberChange {
  enum class Kind : std::uint8_t { voter, learner, remove };
  Kind kind = Kind::learner;
  Member member;

  bool operator==(const MemberChange&) const = default;
};

// "3", or "3.17" in a later incarnation.
[[nodiscard]] std::string to_string(const Member& member);
// "voters=(1 2)&&(1 3) learners=(4) learners_next=(3)"
[[nodiscard]] std::string to_string(const Membership& membership);

// Bytes: u8 version (1), then voters, outgoing, learners and learners_next, each a u32 n and n times u64 node, u64
// incarnation. Decoding is total: any bytes give a valid membership or nothing.
[[nodiscard]] Bytes encode_membership(const Membership& membership);
[[nodiscard]] std::optional<Membership> decode_membership(ByteView bytes);

}  // namespace assent

template <>
struct fmt::formatter<assent::Member> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const assent::Member& member, Context& context) const {
    return fmt::formatter<std::string>::format(assent::to_string(member), context);
  }
};
