// A group of hosts under one virtual clock and one seed, with a network and disks that do what the seed says, and the
// contract's laws checked after every step. What is wrong is collected as text, so that a test may also expect it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/rng.h"
#include "consensus/log_contract.h"
#include "tests/consensus/host.h"

namespace assent::testing {

// What the core under test was configured with; for L8 and L9.
struct CoreLimits {
  std::uint32_t election_ticks = 10;
  std::size_t command_bytes_max = 0;
  std::size_t message_bytes_max = 0;
  std::size_t log_bytes_max = 0;
  bool sleeps = false;     // then the hosts do for sleepers what the contract says
  double clock_drift = 0;  // of the hosts' clocks, at most; a tick is a millisecond by a true one
};

struct Faults {
  double drop = 0;
  double duplicate = 0;
  std::uint64_t delay_max = 0;       // ticks, drawn for each message
  std::uint64_t sync_delay_max = 0;  // ticks
  double crash = 0;                  // a node and a tick
  double restart = 0.05;             // a tick, when down
  double partition = 0;              // a tick
  double heal = 0.05;
  double pause = 0;  // a node and a tick; what arrives meanwhile is lost
  double skew = 0;   // a node ticks not at all or twice
  double transfer = 0;
  double change = 0;     // of the members: a node and a tick
  double lose_disk = 0;  // a node and a tick: as many as leave a majority of every membership with what it promised
  double propose = 0.3;
  double read = 0.1;
  std::uint64_t snapshot_every = 0;  // handed-out entries; 0: never

  // Drawn from a seed: each fault may be absent, rare or common.
  static Faults swarm(Rng& rng);
};

class Cluster {
 public:
  // spares: further nodes, which belong to the group only once they are taken in.
  Cluster(const LogFactory& factory, CoreLimits limits, std::size_t nodes, std::uint64_t seed, Faults faults = {},
          std::size_t spares = 0);

  // One unit of time: messages and writes that are due, a tick of each node, clients, faults.
  void step();
  void run(std::uint64_t ticks) {
    for (std::uint64_t i = 0; i < ticks; ++i) step();
  }
  // Ends all faults and client load, brings every node up; then within a bound a leader commits and all members agree
  // (L9).
  void converge();

  [[nodiscard]] std::vector<std::string> violations() const { return violations_; }
  [[nodiscard]] std::string report() const;

  // ---- steering ----
  [[nodiscard]] Host& host(std::uint64_t node) { return nodes_.at(node - 1).host; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  // The ready leader of the newest epoch; 0 when there is none.
  [[nodiscard]] std::uint64_t leader() const;
  // Runs until there is one, at most that long; 0 when there is none.
  std::uint64_t await_leader(std::uint64_t ticks);
  void cut(std::uint64_t from, std::uint64_t to) { cut_.insert({NodeId(from), NodeId(to)}); }  // one direction
  void isolate(std::uint64_t node);
  void partition(const std::set<std::uint64_t>& side);
  void heal() { cut_.clear(); }
  void crash(std::uint64_t node, std::size_t surviving_writes = 0);
  void restart(std::uint64_t node);
  // It crashes and comes back with a log that is whole only up to here.
  void damage(std::uint64_t node, Index whole);
  bool propose(std::uint64_t node, std::size_t bytes = 8);
  bool read(std::uint64_t node);
  bool change(std::uint64_t node, const std::vector<MemberChange>& changes);
  void lose_disk(std::uint64_t node);
  void stop_disk(std::uint64_t node, bool stopped) { nodes_.at(node - 1).disk_stopped = stopped; }
  void pause(std::uint64_t node, bool paused) { nodes_.at(node - 1).paused = paused; }
  void replay_everything_sent();  // every message ever sent, once more
  void pump(std::uint64_t node);
  Faults& faults() { return faults_; }

  // ---- looking in ----
  [[nodiscard]] std::uint64_t committed() const { return committed_.empty() ? 0 : committed_.rbegin()->first.value; }
  [[nodiscard]] std::uint64_t handed(std::uint64_t node) const { return nodes_.at(node - 1).handed.value; }
  [[nodiscard]] std::uint64_t now() const { return now_; }
  [[nodiscard]] std::uint64_t newest_epoch() const { return leaders_.empty() ? 0 : leaders_.rbegin()->first.value; }
  [[nodiscard]] std::uint64_t trace() const { return trace_.value(); }
  [[nodiscard]] std::uint64_t installs() const { return installs_; }
  [[nodiscard]] std::uint64_t reads_ready() const { return reads_ready_; }
  [[nodiscard]] std::uint64_t reads_lost() const { return reads_lost_; }
  [[nodiscard]] std::uint64_t elections() const { return leaders_.size(); }
  [[nodiscard]] std::uint64_t messages() const { return messages_; }
  [[nodiscard]] std::uint64_t changes() const { return changes_; }  // memberships committed
  [[nodiscard]] std::uint64_t disks_lost() const { return graves_.size(); }
  [[nodiscard]] std::uint64_t asleep() const;  // replicas that sleep now

 private:
  struct Node {
    Host host;
    Index handed;
    Epoch handed_epoch;
    Index committed;  // as the status said, in this incarnation
    Leadership leadership;
    std::map<ReadId, Index> reads;  // and what each must reflect
    std::uint64_t sync_due = 0;
    bool disk_stopped = false;
    bool paused = false;
    struct Heard {
      std::uint64_t incarnation = 0;
      std::uint32_t ago_ticks = 0;
    };
    std::map<NodeId, Heard> heard;  // signs of life of the others
  };
  struct Flight {
    NodeId from;
    NodeId to;
    Bytes bytes;
  };
  struct Transfer {
    NodeId from;
    NodeId to;
    std::uint64_t incarnation = 0;
    Epoch epoch;
    SnapshotMark mark;
  };

  Node& node(NodeId id) { return nodes_.at(id.value - 1); }
  void send(NodeId from, std::vector<ConsensusMessage> messages);
  void deliver_due();
  void deliver(const Transfer& transfer);
  void tell_time(Node& node) const;
  void hear_life(Node& node);
  [[nodiscard]] static std::vector<Slept::Silence> silences(const Node& node);
  void sync_due(Node& node);
  void clients(Node& node);
  void misfortune(Node& node);
  void change_members(Node& leader);
  [[nodiscard]] bool may_lose(const Member& member) const;
  [[nodiscard]] bool intact(const Membership& members, const Member& without) const;
  [[nodiscard]] const DurableLog* disk_of(const Member& member) const;
  [[nodiscard]] Membership members_at(Index index) const;
  [[nodiscard]] bool durable_majority(const Entry& entry) const;
  void after_output(Node& node, const Output& out);
  void check_append(const Node& node, const Output& out);
  void check_committed(Node& node, const Output& out);
  void check_leadership(Node& node, const Leadership& leadership);
  void check_reads(Node& node, const Output& out);
  void check_bounds(Node& node, const Output& out);
  void wrong(const std::string& what);
  [[nodiscard]] bool linked(NodeId from, NodeId to) const { return !cut_.contains({from, to}); }

  CoreLimits limits_;
  Faults faults_;
  Rng rng_;
  std::vector<Node> nodes_;
  std::uint64_t now_ = 0;
  std::multimap<std::uint64_t, Flight> flights_;
  std::multimap<std::uint64_t, Transfer> transfers_;
  std::vector<Flight> sent_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  bool clients_on_ = true;
  std::uint64_t next_command_ = 1;
  std::uint64_t next_read_ = 1;

  std::map<Index, Entry> committed_;
  std::map<Position, Entry> written_;
  std::map<Epoch, std::pair<NodeId, std::uint64_t>> leaders_;
  std::vector<std::string> violations_;
  Digest trace_;
  std::uint64_t installs_ = 0;
  std::uint64_t reads_ready_ = 0;
  std::uint64_t reads_lost_ = 0;
  std::uint64_t messages_ = 0;
  std::vector<NodeId> founders_;
  std::map<Index, Membership> memberships_;  // committed
  std::map<Member, DurableLog> graves_;      // what lost disks had
  std::uint64_t changes_ = 0;
};

}  // namespace assent::testing
