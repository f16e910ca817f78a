// Runs the scenarios of tests/transcripts/raft: a command, the line ----, and what happened, as the core narrates it.
//
//     nodes 3 [election=10] [heartbeat=3] [window=N] [append=BYTES] [tail=N] [spares=N] [lag=N] [sleep=N]
//             [promise=N] [lease=N]    makes nodes 1..3, the founders, and spares that belong to nothing yet
//     restore 2 term=7 [vote=1] [log=1,1,4] [snapshot=EPOCH@INDEX]    rebuilds a node from this, with these epochs
//     tick 1 [times] | campaign 1      campaign: ticks until it stops following
//     propose 1 a b | read 1 5 | transfer 1 2 | snapshot 1    calls into node 1
//     idle 1 on | idle 1 off           whether its host has anything for it to do
//     wake 2 1:15                      node 2 heard of node 1 fifteen ticks ago
//     clock 500 | clock 1 500          the time everywhere, or at node 1, in microseconds
//     change 1 learner:4 voter:4 remove:3.7 | members 1    asks node 1 for a change; who it takes for members
//     lose 3 7                         node 3's disk is lost; it comes back as member 3.7
//     damage 3 5                       node 3 crashes, and its log comes back whole only up to 5
//     sync 1 | disk 1 off | disk 1 on  writes are done at once while a disk is on
//     deliver [1->2] | drop [1->2] | hold 1->2 | release    what is on its way now; shows each message
//     settle                           delivers until nothing moves; narration only
//     cut 1->2 | isolate 1 | heal | crash 1 | restart 1 | status | log 1
//     converge                         heals all; ends with the logs of all members equal
//
// Raft's invariants are checked after every command. consensus_transcript_test --rewrite writes what happened into the
// file.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "consensus/raft/raft.h"
#include "tests/consensus/host.h"

namespace assent::testing {

struct Block {
  std::vector<std::string> comments;
  std::string command;
  std::vector<std::string> output;
};

[[nodiscard]] std::vector<Block> parse_transcript(const std::string& text);
[[nodiscard]] std::string print_transcript(const std::vector<Block>& blocks);

class Transcript {
 public:
  // What happened. A command that cannot be read, or a broken invariant, is a line that begins with "ERROR".
  std::vector<std::string> run(const std::string& command);
  [[nodiscard]] bool converged() const { return converged_; }

 private:
  struct Flight {
    NodeId from;
    NodeId to;
    Bytes bytes;
    std::optional<SnapshotMark> snapshot;
    Epoch epoch;
  };
  using Link = std::pair<NodeId, NodeId>;
  using Arguments = std::vector<std::string>;

  void dispatch(const std::string& verb, const Arguments& arguments);
  void nodes(const Arguments& arguments);
  void restore(const Arguments& arguments);
  void tick(NodeId node, std::uint64_t times);
  void campaign(NodeId node);
  void propose(const Arguments& arguments);
  void deliver(const Arguments& arguments, bool drop);
  void deliver(const Flight& flight, bool show);
  void hold(const Link& link);
  void settle();
  void converge();
  void change(const Arguments& arguments);
  void status();
  void show_log(NodeId node);
  void pump(NodeId node);
  void sync(NodeId node);
  void leave(NodeId from, std::vector<ConsensusMessage> messages);
  void check();
  void say(std::string line) { output_.push_back(std::move(line)); }
  void error(const std::string& what) { say("ERROR " + what); }
  [[nodiscard]] Host& host(NodeId node) { return *hosts_.at(node); }
  [[nodiscard]] raft::Raft& core(NodeId node) { return dynamic_cast<raft::Raft&>(host(node).log()); }
  [[nodiscard]] NodeId node_of(const std::string& text) const;
  [[nodiscard]] Member member_of(const std::string& text) const;  // "3" or "3.17"
  [[nodiscard]] Link link_of(const std::string& text) const;
  [[nodiscard]] std::string describe(const Flight& flight) const;

  RaftOptions options_;
  std::vector<NodeId> founders_;
  std::vector<NodeId> nodes_;  // founders and spares
  std::map<NodeId, std::unique_ptr<Host>> hosts_;
  std::deque<Flight> flights_;
  std::deque<Flight> held_;
  std::set<Link> cut_;
  std::set<NodeId> disk_off_;
  std::vector<std::string> output_;
  bool converged_ = false;

  std::map<Index, Entry> committed_;
  std::map<Epoch, NodeId> leaders_;
  std::map<std::pair<Member, Epoch>, NodeId> votes_;
  std::map<std::pair<NodeId, std::uint64_t>, Index> commits_;
};

}  // namespace assent::testing
