// Brings a request to the leader of a group and comes back with what that leader said. Knows how to find nodes and
// leaders (Status of every endpoint, NOT_LEADER hints), and remembers what failed; it does not know what may be sent
// twice: that is the business of the operations (operations.h). Internal to the client.
//
// Safe from any thread; what it starts runs on the runtime's.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "client/directory.h"
#include "client/map.h"
#include "client/options.h"
#include "client/rpc.h"
#include "client/runtime.h"
#include "client/service_error.h"

namespace assent::client {

// One request brought to one leader.
template <class Response>
struct Delivery {
  Target target;
  ServiceError error;
  Response response;
  bool follow_now = false;  // with elsewhere: the hint names somebody else worth asking at once
};

class Courier {
 public:
  explicit Courier(Options options);

  [[nodiscard]] Runtime& runtime() { return runtime_; }
  [[nodiscard]] Directory& directory() { return directory_; }
  [[nodiscard]] const Options& options() const { return options_; }

  // The group's leader, waiting for one to be elected until the deadline. Error: nobody() of the directory, or
  // cancelled.
  [[nodiscard]] Task<Result<Target>> find_leader(std::string group, SteadyTime deadline);
  // The name of T's coordinator group.
  [[nodiscard]] Task<Result<std::string>> find_coordinator(TxnId txn, SteadyTime deadline);

  // One attempt at the group's leader, at most until attempt_deadline. Error: no leader was found until the deadline.
  // routed_by: the epoch of the map that said which shard this belongs to. A node with a newer one refuses it, and then
  // the caller has to look again.
  template <class Stub, class Request, class Response>
  [[nodiscard]] Task<Result<Delivery<Response>>> deliver(std::string group, Method<Stub, Request, Response> method,
                                                         const Request& request, SteadyTime attempt_deadline,
                                                         SteadyTime deadline,
                                                         std::optional<std::uint64_t> routed_by = {}) {
    Result<Target> target = co_await find_leader(std::move(group), deadline);
    if (!target) co_return tl::unexpected(target.error());
    Rpc<Stub, Request, Response> rpc(runtime_, peer(target->endpoint), method, request, attempt_deadline);
    rpc.goes_by(routed_by.value_or(directory_.map_epoch()));
    Reply<Response> reply = co_await rpc;
    Delivery<Response> delivery{*target, judge(reply.status), std::move(reply.response), false};
    if (routed_by && delivery.error.stale_map()) delivery.error.verdict = Verdict::refused;
    delivery.follow_now = note(delivery.target, delivery.error);
    co_return delivery;
  }

  // One attempt at this node, whether it leads or not.
  template <class Stub, class Request, class Response>
  [[nodiscard]] Task<Delivery<Response>> deliver_to(Target target, Method<Stub, Request, Response> method,
                                                    const Request& request, SteadyTime attempt_deadline,
                                                    std::optional<std::uint64_t> routed_by = {}) {
    Rpc<Stub, Request, Response> rpc(runtime_, peer(target.endpoint), method, request, attempt_deadline);
    rpc.goes_by(routed_by.value_or(directory_.map_epoch()));
    Reply<Response> reply = co_await rpc;
    Delivery<Response> delivery{target, judge(reply.status), std::move(reply.response), false};
    if (routed_by && delivery.error.stale_map()) delivery.error.verdict = Verdict::refused;
    if (delivery.error.verdict != Verdict::elsewhere || delivery.error.stale_map())
      note(delivery.target, delivery.error);
    co_return delivery;
  }

  // Asks every node that is known or that answers name. Nodes that do not answer within the status timeout are listed
  // with what happened.
  [[nodiscard]] Task<std::vector<NodeAnswer>> ask_all_nodes(bool digests, SteadyTime deadline);

  // The newest map among those of the nodes that answer, and no older than any that was heard of.
  [[nodiscard]] Task<Result<ClusterMap>> find_map(SteadyTime deadline);
  // Which shard a key belongs to, by the newest map that was heard of.
  [[nodiscard]] Task<Result<Route>> route(std::string key, SteadyTime deadline);

  [[nodiscard]] std::shared_ptr<Peer> peer(const std::string& endpoint);
  [[nodiscard]] std::uint64_t seed();  // for a Backoff

 private:
  // A round of Status calls that any number of operations wait for.
  struct Survey {
    bool digests = false;
    bool until_led = false;  // ends early, as soon as every known group has a leader that answers
    SteadyTime deadline;
    std::mutex mutex;  // protects the three below
    std::set<std::string> asked;
    std::vector<NodeAnswer> answers;
    std::size_t outstanding = 0;
    Event done;
  };

  [[nodiscard]] Task<bool> refresh(SteadyTime deadline);
  [[nodiscard]] std::shared_ptr<Survey> join_refresh(SteadyTime deadline, bool& mine, std::chrono::microseconds& pause);
  void conduct(const std::shared_ptr<Survey>& survey);
  Detached ask(std::shared_ptr<Survey> survey, std::string endpoint);
  bool note(const Target& target, const ServiceError& error);

  struct Ring {
    std::uint64_t epoch = 0;
    HashRing ring;
  };

  const Options options_;
  Directory directory_;
  std::mutex mutex_;                  // protects the five below
  std::shared_ptr<const Ring> ring_;  // none: no map was seen yet
  std::map<std::string, std::shared_ptr<Peer>> peers_;
  std::shared_ptr<Survey> refreshing_;
  SteadyTime refreshed_;
  Rng rng_;
  Runtime runtime_;  // last: its thread uses what stands above
};

}  // namespace assent::client
