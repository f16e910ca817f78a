#include "server/peer_identity.h"

#include <fmt/format.h>

#include "assent/v1/peer.pb.h"
#include "txn_proto/names.h"

namespace assent {

void PeerIdentity::write_hello(NodeId to, v1::PeerHello& hello) const {
  hello.set_cluster(cluster);
  hello.set_from(self_name());
  hello.set_to(nodes.at(to).name);
  hello.set_incarnation(incarnation);
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
            .refusal = fmt::format("node {} does not know the caller \"{:.63}\"; add it to cluster.peers", self_name(),
                                   hello.from())};
  }
  return {.from = from, .refusal = std::nullopt};
}

}  // namespace assent
