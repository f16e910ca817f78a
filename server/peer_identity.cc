#include "server/peer_identity.h"

#include <fmt/format.h>

#include "assent/v1/peer.pb.h"
#include "txn_proto/names.h"

namespace assent {

namespace {

template <class Message>
std::optional<std::string> believed(PeerMemory* memory, const std::string& node, const Message& message) {
  if (memory == nullptr || !message.has_previous()) return std::nullopt;
  return memory->meet(node, {message.incarnation(), message.previous(), message.disk()});
}

std::optional<std::string> other_generation(const std::string& node, std::uint64_t theirs, std::uint64_t ours) {
  if (theirs == ours) return std::nullopt;
  const std::string what =
      fmt::format("node {} is of generation {} of the cluster and this one of {}", node, theirs, ours);
  if (theirs > ours) {
    return what +
           ": the cluster was recovered without this node, which must come back with an empty data directory (assentd "
           "start --rejoin --generation " +
           fmt::format("{})", theirs);
  }
  return what + ": it must come back with an empty data directory (assentd start --rejoin --generation " +
         fmt::format("{})", ours);
}

std::optional<std::string> levels_apart(const std::string& node, std::uint32_t theirs, std::uint32_t ours) {
  if (levels_are_adjacent(theirs, ours)) return std::nullopt;
  return fmt::format(
      "node {} speaks protocol level {} and this one level {}: only adjacent levels serve together; upgrade the older "
      "one to each release in turn",
      node, theirs, ours);
}

}  // namespace

void PeerIdentity::write_hello(NodeId to, v1::PeerHello& hello) const {
  hello.set_cluster(cluster);
  hello.set_from(self_name());
  hello.set_to(nodes.at(to).name);
  hello.set_incarnation(incarnation);
  hello.set_previous(previous);
  hello.set_disk(disk);
  hello.set_generation(generation);
  hello.set_probes(true);
  hello.set_level(level);
  hello.set_uses_level(uses_level);
}

void PeerIdentity::write_accepted(v1::PeerAccepted& accepted) const {
  accepted.set_incarnation(incarnation);
  accepted.set_previous(previous);
  accepted.set_disk(disk);
  accepted.set_generation(generation);
  accepted.set_probes(true);
  accepted.set_level(level);
  accepted.set_uses_level(uses_level);
}

std::optional<std::string> PeerIdentity::check(NodeId called, const v1::PeerAccepted& accepted) const {
  const std::string& name = nodes.at(called).name;
  if (auto apart = levels_apart(name, accepted.level(), level)) return apart;
  if (auto other = other_generation(name, accepted.generation(), generation)) return other;
  return believed(memory.get(), name, accepted);
}

PeerIdentity::Verdict PeerIdentity::check(const v1::PeerHello& hello) const {
  if (hello.cluster() != cluster) {
    return {.from = {},
            .refusal =
                fmt::format("this node belongs to cluster \"{}\", the caller to \"{:.63}\"", cluster, hello.cluster())};
  }
  if (hello.to() != self_name()) {
    return {.from = {},
            .refusal = fmt::format("this is node {}, the caller wants {:.63}; compare cluster.peers of both",
                                   self_name(), hello.to())};
  }
  const NodeId from = node_id(hello.from());
  const auto known = nodes.find(from);
  if (known == nodes.end() || known->second.name != hello.from() || from == self) {
    return {.from = {},
            .refusal = fmt::format("node {0} does not know the caller \"{1:.63}\"; add it to cluster.peers, or give: "
                                   "assentctl cluster add {1:.63}",
                                   self_name(), hello.from())};
  }
  if (known->second.gone) {
    return {
        .from = {},
        .refusal = fmt::format(
            "node {0} was removed from the cluster; to have it back, give: assentctl cluster add {0}", hello.from())};
  }
  if (auto apart = levels_apart(hello.from(), hello.level(), level)) {
    return {.from = from, .refusal = std::move(apart)};
  }
  if (auto other = other_generation(hello.from(), hello.generation(), generation)) {
    return {.from = from, .refusal = std::move(other)};
  }
  return {.from = from, .refusal = believed(memory.get(), hello.from(), hello)};
}

}  // namespace assent
