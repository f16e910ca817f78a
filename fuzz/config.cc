// A configuration file, as an operator writes it.
#include "server/config.h"

#include "fuzz/fuzz.h"

namespace assent::fuzz {

void run_config(ByteView bytes) {
  const ConfigSources sources{
      .flags = {}, .environment = {}, .file = std::string(bytes), .file_name = "n.yaml", .host_name = "box"};
  const auto loaded = load_config(sources);
  if (!loaded) {
    require(!loaded.error().empty(), "a configuration is refused for a reason");
    for (const ConfigProblem& problem : loaded.error()) require(!problem.what.empty(), "a problem is told in words");
    return;
  }
  require(loaded->config.peers.contains(loaded->config.node_name), "a node stands in its own cluster");
}

std::vector<Bytes> config_seeds() {
  return {R"(node:
  name: n2
  data_dir: /tmp/x
listen: { client: "127.0.0.1:7420", peer: "127.0.0.1:7421" }
cluster:
  name: bank
  peers: { n1: "10.0.0.1:7421", n2: "10.0.0.2:7421", n3: "[::1]:7421" }
  clients: { n1: "10.0.0.1:7420", n2: "10.0.0.2:7420" }
  groups:
    - { id: c0, role: coordinator, members: [n1, n2, n3] }
    - { id: s1, role: shard, members: [n1, n2, n3] }
txn: { timeout: 3s, prepare_timeout: 500ms, retention: 10m, clock_skew_max: 1m, history: { keep: 48h } }
raft: { heartbeat: 50ms, election_timeout: 1s, snapshot_every: 1000 }
storage: { fsync: off }
limits: { message_bytes: 4MiB }
log: { level: debug, format: json }
)",
          "node: &a { name: box }\nlisten: *a\ncluster: [1, 2]\n"};
}

}  // namespace assent::fuzz
