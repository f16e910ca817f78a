// A read of several shards at one instant without locks, as the client library makes it (client/read.cc): all shards
// are asked, then all are asked whether anything of it has changed. Drives one Client, one call at a time; a client
// that crashes drops it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/client.h"
#include "txn_proto/types.h"

namespace assent::sim {

class SnapshotRead : public std::enable_shared_from_this<SnapshotRead> {
 public:
  using Done = std::function<void(std::optional<std::vector<BranchResult>>)>;  // nullopt: disturbed, or given up

  // Up to so many rounds. The client must be idle and outlive the read.
  static void start(Client& client, std::vector<Branch> branches, unsigned rounds, Done done);

 private:
  SnapshotRead(Client& client, std::vector<Branch> branches, unsigned rounds, Done done)
      : client_(client), branches_(std::move(branches)), rounds_(rounds), done_(std::move(done)) {}
  void read();
  void validate(std::size_t branch);
  void disturbed();

  Client& client_;
  std::vector<Branch> branches_;
  unsigned rounds_;
  Done done_;
  std::vector<QueryAnswer> answers_;
};

}  // namespace assent::sim
