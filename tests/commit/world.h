// A world of one coordinator group, two shards and any services. The groups are each an abstract replicated log:
// entries of the leader wait in its log until the test commits them, elections lose any suffix of them, deposed leaders
// may go on acting on what they knew, and messages wait until the test delivers, doubles or drops them. The machines
// and drivers are the real ones.
//
// After every commit of an entry and every answer the invariants are checked:
//   A1 agreement, A2 stability, A6 honest answer (an answer equals the outcome, whoever gives it), A3 validity, A8 at
//   most once, locks are a function of the prepared set, reloading gives the same machine.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "service_model.h"
#include "sim/explore/describe.h"
#include "sim/explore/sides.h"
#include "support.h"

namespace assent::testing {

struct WorldOptions : explore::SideOptions {
  std::uint64_t tick_millis = 10;
};

using explore::CoordinatorSide;
using explore::Names;
using explore::ShardSide;

template <class Side>
struct Group {
  GroupId id;
  Epoch epoch;
  Index index;
  ClusterMillis stamp;
  std::unique_ptr<Side> leader;  // its machine is what the log has committed
  std::deque<typename Side::Command> pending;
  std::vector<std::unique_ptr<Side>> deposed;  // do not know it yet
};

class World {
 public:
  explicit World(WorldOptions options = {});

  // ---- what a test does ----
  void request(RequestId id, GroupId group, ClientBody body);
  void deliver(std::size_t message, bool keep, std::optional<std::size_t> to_deposed = std::nullopt);
  void drop(std::size_t message);
  bool commit(GroupId group);                  // the first pending entry; false: none
  bool refuse(GroupId group, ErrorCode code);  // the log takes back its last pending entry
  // carry: the new leader proposes again, in its own epoch, what did not survive; no log of ours does, the fence allows
  // it.
  void elect(GroupId group, std::size_t survive, bool carry = false);
  void depose(GroupId group, std::size_t which);  // a deposed leader learns of it
  void tick(GroupId group, bool deposed_too);
  void tick_deposed(GroupId group);
  void advance(std::uint64_t millis) { now_ += millis; }
  void services_ask();  // those in doubt, what came of it
  // No faults from here on: delivers and commits all and ticks until nothing is left to do. False: it does not end.
  bool converge(std::uint64_t ticks_max = 3'000);

  // ---- what it sees ----
  [[nodiscard]] const std::vector<Envelope>& network() const { return network_; }
  [[nodiscard]] std::size_t pending(GroupId group) const;
  [[nodiscard]] std::size_t deposed(GroupId group) const;
  [[nodiscard]] Group<CoordinatorSide>& coordinator() { return coordinator_; }
  [[nodiscard]] Group<ShardSide>& shard(GroupId id) { return id == shard_1 ? shards_[0] : shards_[1]; }
  [[nodiscard]] const ServiceModel& services() const { return services_; }
  [[nodiscard]] bool quiescent() const;  // A7: nothing prepared, locked, open or active
  [[nodiscard]] std::uint64_t now() const { return now_; }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] Outcome outcome(const TxnId& txn) const;  // as told or applied
  [[nodiscard]] std::uint64_t ended_by_hand() const { return ended_by_hand_; }
  std::function<void(const ClientReply&)> on_reply;
  // Whether the shard has a part in the transaction: the no of another's register is nobody's.
  std::function<bool(const TxnId&, GroupId)> takes_part = [](const TxnId&, GroupId) { return true; };
  std::function<void(const std::string&)> narrate;
  Names names;
  double refuse_chance = 0;  // of each proposal, by the log
  std::function<Mode(const TxnId&)> mode_of = [](const TxnId&) { return Mode::atomic; };
  double service_no_chance = 0;  // of each first Prepare, by a service; of each Prepare, by a retriable one
  double trouble_chance = 0;     // of each call to a service: nothing is done, and that is said
  std::function<bool(const TxnId&, GroupId)> retriable = [](const TxnId&, GroupId) { return false; };
  Rng rng{1};

 private:
  template <class F>
  void with(GroupId group, F f);
  template <class Side>
  void drain(Group<Side>& group, Side& side, bool leads);
  template <class Side>
  void commit_one(Group<Side>& group);
  template <class Side>
  void elect_in(Group<Side>& group, std::size_t survive, bool carry);
  template <class Side>
  void start(Group<Side>& group);
  void say(const std::string& line) const;
  void reply(const ClientReply& reply);
  void hear_service_answer(const TxnId& txn, const ClientReply& reply);
  void deliver_to_service(const Envelope& envelope);
  void check_order(const Envelope& envelope);
  void check_retriable(const TxnId& txn, GroupId service, bool prepares);
  [[nodiscard]] std::optional<TxnMessage> trouble_of(const Envelope& envelope);
  void check_entry(GroupId group, const CoordinatorCommand& command);
  void check_entry(GroupId group, const ShardCommand& command);
  void learn(const TxnId& txn, Outcome outcome, const std::string& where);
  void check_votes(const PrepareWork& prepare);
  void check_ballot(GroupId group, const BallotWork& work, const Acceptor* acceptor);
  void check_shard(const Group<ShardSide>& group);
  void violate(const std::string& what);

  WorldOptions options_;
  std::uint64_t now_ = start_millis;
  Group<CoordinatorSide> coordinator_;
  std::vector<Group<ShardSide>> shards_;
  std::vector<Envelope> network_;
  std::map<TxnId, std::pair<Outcome, std::string>> known_;
  std::map<std::pair<GroupId, TxnId>, Outcome> finished_;
  // Where ballots decide: who ever accepted what, in which ballot.
  std::map<std::tuple<TxnId, Ballot, Outcome>, std::set<GroupId>> accepted_;
  std::vector<std::string> violations_;
  ServiceModel services_;
  std::map<RequestId, TxnId> service_questions_;
  std::uint64_t questions_ = 0;
  bool calm_ = false;
  std::uint64_t ended_by_hand_ = 0;
};

}  // namespace assent::testing
