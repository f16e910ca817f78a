#include "base/membership.h"

#include <algorithm>
#include <iterator>

#include "base/byte_codec.h"

namespace assent {
namespace {

constexpr std::uint8_t version = 1;
constexpr std::size_t member_bytes = 16;

bool holds(const std::vector<Member>& members, const Member& member) {
  return std::binary_search(members.begin(), members.end(), member);
}

bool strictly_ascending(const std::vector<Member>& members) {
  return std::adjacent_find(members.begin(), members.end(), [](const Member& a, const Member& b) { return a >= b; }) ==
         members.end();
}

bool none_in(const std::vector<Member>& members, const std::vector<Member>& others) {
  return std::none_of(members.begin(), members.end(), [&others](const Member& m) { return holds(others, m); });
}

std::vector<Member> once(std::initializer_list<const std::vector<Member>*> lists) {
  std::vector<Member> everybody;
  for (const auto* members : lists) everybody.insert(everybody.end(), members->begin(), members->end());
  std::sort(everybody.begin(), everybody.end());
  everybody.erase(std::unique(everybody.begin(), everybody.end()), everybody.end());
  return everybody;
}

// Two incarnations of one node stand side by side.
std::vector<NodeId> nodes_of(const std::vector<Member>& members) {
  std::vector<NodeId> nodes;
  for (const Member& member : members) {
    if (nodes.empty() || nodes.back() != member.node) nodes.push_back(member.node);
  }
  return nodes;
}

std::string list(const std::vector<Member>& members) {
  std::string text = "(";
  for (const Member& member : members) text += (text.size() == 1 ? "" : " ") + to_string(member);
  return text + ")";
}

void write(ByteWriter& out, const std::vector<Member>& members) {
  out.u32(static_cast<std::uint32_t>(members.size()));
  for (const Member& member : members) out.id(member.node).u64(member.incarnation);
}

bool read(ByteReader& in, std::vector<Member>& members) {
  const std::uint32_t count = in.u32();
  if (count > in.remaining() / member_bytes) return false;  // before anything is allocated for it
  members.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto node = in.id<NodeId>();
    members.emplace_back(node, in.u64());
  }
  return true;
}

}  // namespace

bool Membership::votes(const Member& member) const { return holds(voters, member) || holds(outgoing, member); }

bool Membership::has(const Member& member) const {
  return votes(member) || holds(learners, member);  // learners_next are outgoing voters
}

std::vector<Member> Membership::all() const { return once({&voters, &outgoing, &learners}); }

std::vector<Member> Membership::voting() const { return once({&voters, &outgoing}); }

bool Membership::plain() const {
  return !joint() && learners.empty() &&
         std::all_of(voters.begin(), voters.end(), [](const Member& member) { return member.incarnation == 0; });
}

std::vector<NodeId> Membership::voting_nodes() const { return nodes_of(voting()); }

std::vector<NodeId> Membership::nodes() const { return nodes_of(all()); }

Member Membership::voter_on(NodeId node) const {
  const auto found = std::find_if(voters.begin(), voters.end(), [node](const Member& m) { return m.node == node; });
  return found == voters.end() ? Member{} : *found;
}

bool Membership::valid() const {
  const auto named = [](const std::vector<Member>& members) {
    return std::none_of(members.begin(), members.end(), [](const Member& m) { return m.none(); });
  };
  return !voters.empty() && strictly_ascending(voters) && strictly_ascending(outgoing) &&
         strictly_ascending(learners) && strictly_ascending(learners_next) && none_in(learners, voters) &&
         none_in(learners, outgoing) && none_in(learners_next, voters) && named(voters) && named(outgoing) &&
         named(learners) && std::includes(outgoing.begin(), outgoing.end(), learners_next.begin(), learners_next.end());
}

std::string to_string(const Member& member) {
  if (member.incarnation == 0) return fmt::format("{}", member.node);
  return fmt::format("{}.{}", member.node, member.incarnation);
}

std::string to_string(const Membership& membership) {
  std::string text = "voters=" + list(membership.voters);
  if (membership.joint()) text += "&&" + list(membership.outgoing);
  if (!membership.learners.empty()) text += " learners=" + list(membership.learners);
  if (!membership.learners_next.empty()) text += " learners_next=" + list(membership.learners_next);
  return text;
}

Bytes encode_membership(const Membership& membership) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.u8(version);
  write(out, membership.voters);
  write(out, membership.outgoing);
  write(out, membership.learners);
  write(out, membership.learners_next);
  return bytes;
}

std::optional<Membership> decode_membership(ByteView bytes) {
  ByteReader in(bytes);
  Membership membership;
  if (in.u8() != version) return std::nullopt;
  for (auto* members : {&membership.voters, &membership.outgoing, &membership.learners, &membership.learners_next}) {
    if (!read(in, *members)) return std::nullopt;
  }
  if (!in.complete() || !membership.valid()) return std::nullopt;
  return membership;
}

}  // namespace assent
