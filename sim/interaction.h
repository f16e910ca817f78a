// The reads of a transaction made one after the other before it is sent, as the client library makes them for an
// interactive one (client/txn.h): each is rehearsed with the writes before it, and then has to answer again what it
// answered. Drives one Client, one call at a time; a client that crashes drops it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/client.h"
#include "txn_proto/types.h"

namespace assent::sim {

class Interaction : public std::enable_shared_from_this<Interaction> {
 public:
  struct Wanted {
    std::vector<Branch> branches;    // with what each read must answer again
    std::vector<BranchResult> seen;  // what each answered; of what writes, nothing
  };
  using Done = std::function<void(std::optional<Wanted>)>;  // nullopt: a read was refused, or given up

  // The client must be idle and outlive it.
  static void start(Client& client, std::vector<Branch> branches, Done done);

 private:
  Interaction(Client& client, std::vector<Branch> branches, Done done);
  void go_on();
  void answered(std::optional<QueryAnswer> answer);

  Client& client_;
  Wanted wanted_;
  Done done_;
  std::size_t branch_ = 0;
  std::size_t operation_ = 0;
};

}  // namespace assent::sim
