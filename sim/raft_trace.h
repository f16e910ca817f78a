// What the Raft cores do, for trace validation against a specification: one JSON object a line, in causal order, with
// the names of etcd-io/raft's state_trace.go. Ids are strings, "0" is none; a member in a later incarnation is "1.17".
// Beyond those names: "gid" is the group, which a reader filters by, and "logTerm" is the term of the last entry. Of a
// snapshot the place is told where it arrives.
//   {"tag":"trace","event":{"name":"SendAppendEntriesRequest","nid":"1","gid":"2","state":{"term":3,"vote":"1","commit":7},
//    "role":"StateLeader","log":9,"logTerm":3,"conf":[["1","2","3"],[]],"msg":{"type":"MsgApp",...}}}
// A line shows its member after what it tells. Pre-votes and hand-overs are left out, as there. A message that waits
// for the disk is sent when that is done.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "consensus/raft/messages.h"
#include "sim/line_file.h"
#include "sim/watched_log.h"

namespace assent::raft {
class Raft;
}

namespace assent::sim {

class RaftTrace final : public LogWatcher {
 public:
  [[nodiscard]] Result<void> open(const std::string& path) { return file_.open(path); }

  void built(const Replica& at, const LogSetup& setup, const ReplicatedLog& log) override;
  void received(const Replica& at, NodeId from, ByteView message, const ReplicatedLog& log) override;
  void received_snapshot(const Replica& at, NodeId from, Epoch epoch, const SnapshotMark& mark,
                         const ReplicatedLog& log) override;
  void gave(const Replica& at, const Output& output, const ReplicatedLog& log) override;
  void synced(const Replica& at, std::uint64_t output_number, const ReplicatedLog& log) override;
  void stepped(const Replica& at, const ReplicatedLog& log) override;

 private:
  struct Parked {
    std::uint64_t number = 0;
    NodeId to;
    Bytes bytes;
  };
  struct Core {
    std::size_t role = 0;
    Index commit;
    Index last;
    std::deque<Parked> parked;
  };

  void event(const Replica& at, const raft::Raft& core, std::string_view name, const std::string& message = {});
  void moved(const Replica& at, const raft::Raft& core);
  void sent(const Replica& at, const raft::Raft& core, NodeId to, ByteView bytes);

  LineFile file_;
  std::map<Replica, Core> cores_;
};

}  // namespace assent::sim
