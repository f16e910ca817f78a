// Recorder: what happens to transactions on this node, step by step, in a ring of the newest ones; and the figures that
// are counted on the way. It listens to the drivers (node/txn_watcher.h) and decides nothing.
//
// Belongs to the loop's thread: whoever else wants to know asks there (Inbox::post). A step costs one look into a hash
// table, one reading of the clock and a place in a vector that is used again by the next transaction in the same place
// of the ring. Without a ring (size 0) only the figures are kept, and those that need a record are not.
//
// Invariants: a transaction has one record at most; a step of one kind stands once for each group and peer, with the
// time of its first occurrence, and counts its repeats; the oldest record that is over goes first. One that is not over
// is passed by at most passes_max times, then it goes as well: truth is in the machines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "node/transport.h"
#include "node/txn_watcher.h"
#include "observe/latency_samples.h"
#include "observe/txn_figures.h"
#include "observe/txn_record.h"

namespace assent {

struct RecorderOptions {
  std::size_t ring = 20'000;    // records
  std::size_t steps_max = 400;  // of one record
  std::size_t message_bytes_max = 200;
  std::size_t begun_max = 0;  // transactions that are listed for take_begun()
};

class Recorder final : public TxnWatcher {
 public:
  // The clock must outlive this.
  Recorder(const RecorderOptions& options, const Clock& clock);

  // Now and then: what the wall clock says, in microseconds. Records that begin later are shown by it.
  void set_wall(std::uint64_t wall_micros) { wall_offset_ = static_cast<std::int64_t>(wall_micros - now()); }
  // Off: figures go on, records do not.
  void set_recording(bool on) { recording_ = on && options_.ring > 0; }

  // The request came to this node and has to wait before a group is asked.
  void waits(RequestId id) { arrived_[id] = now(); }
  // It was answered, perhaps without having begun.
  void gave_up(RequestId id) {
    if (!arrived_.empty()) arrived_.erase(id);
  }

  [[nodiscard]] const TxnFigures& figures() const { return figures_; }
  [[nodiscard]] const LatencySamples& latencies() const { return latencies_; }
  [[nodiscard]] const TxnRecord* find(const TxnId& txn) const;
  // The newest first, as they began here; those that visit says no to end it.
  void visit(const std::function<bool(const TxnRecord&)>& visit) const;
  [[nodiscard]] std::size_t size() const { return places_.size(); }
  // Those that began here since it was asked last, or were carried on by this node. Beyond begun_max none is listed.
  [[nodiscard]] std::vector<TxnId> take_begun() { return std::exchange(begun_, {}); }

  void requested(GroupId at, const ClientRequest& request) override;
  void received(GroupId at, GroupId from, const TxnMessage& message) override;
  void applied(GroupId at, Index index, const CoordinatorCommand& command) override;
  void applied(GroupId at, Index index, const ShardCommand& command) override;
  void proposed(GroupId at, const CoordinatorCommand& command) override;
  void proposed(GroupId at, const ShardCommand& command) override;
  void sent(GroupId at, GroupId to, const TxnMessage& message) override;
  void replied(GroupId at, const ClientReply& reply) override;
  void turned(GroupId at) override;
  void refused(GroupId at) override;
  void appended(GroupId at, Index first, Index last, Wal::Ticket ticket) override;
  void resigned(GroupId at) override;
  void submitted(Wal::Ticket ticket) override;
  void synced(Wal::Ticket ticket) override;

 private:
  struct Batch {  // entries of one group that went to the disk together
    Index last;
    Wal::Ticket ticket = 0;
    std::uint64_t appended = 0;
  };
  struct DiskBatch {
    Wal::Ticket ticket = 0;
    std::uint64_t submitted = 0;
    std::uint64_t synced = 0;  // 0: not yet
  };
  struct GroupState {
    std::uint32_t turn = 0;
    std::deque<Batch> batches;
    GroupFigures* figures = nullptr;
  };
  struct Event {  // a step to be noted
    Step step;
    GroupId at;
    GroupId peer = {};
    bool yes = false;
  };

  [[nodiscard]] std::uint64_t now() const { return clock_.monotonic_micros(); }
  [[nodiscard]] GroupState& group(GroupId at);
  [[nodiscard]] TxnRecord* known(const TxnId& txn);
  TxnRecord* record_of(const TxnId& txn);  // made when it is not there; nullptr: nothing is recorded
  // The trace that a request, a message or a log's entry names; the first one stands.
  void belongs(TxnRecord& record, const Bytes& trace);
  template <class Message>
  void learn(TxnRecord& record, const Message& message, GroupId coordinator, GroupId participant);
  void carried_on(TxnRecord& record, bool commit);
  [[nodiscard]] std::size_t free_place();
  // The step, new or repeated; nullptr when the record is full. fresh says which.
  TxnStep* note(TxnRecord& record, const Event& event, bool* fresh = nullptr);
  // With what the log and the disk took for the entry.
  void note_applied(TxnRecord* record, const Event& event, Index index);
  void answered(GroupId at, TxnRecord& record, const TxnAnswer& answer);
  void list_begun(const TxnId& txn);
  void count_answer(GroupId at, TxnRecord& record);
  void count_finished(GroupId at, const TxnRecord& record);
  void count_wait(GroupId at, const TxnRecord& record, TxnStep& proposed);
  [[nodiscard]] ProtocolFigures& figures_of(Protocol protocol) {
    return figures_.by_protocol[static_cast<std::size_t>(protocol)];
  }

  void on(GroupId at, GroupId from, const Prepare& prepare);
  void on(GroupId at, GroupId from, const Vote& vote);
  void on(GroupId at, GroupId from, const Finish& finish);
  void on(GroupId at, GroupId from, const Finished& finished);
  void on(GroupId at, GroupId from, const Inquire& inquire);
  void on(GroupId at, GroupId from, const BallotRequest& request);
  void on(GroupId at, GroupId from, const BallotReply& reply);

  const RecorderOptions options_;
  const Clock& clock_;
  bool recording_ = true;
  std::int64_t wall_offset_ = 0;
  std::uint64_t changes_ = 0;
  LatencySamples latencies_;
  TxnFigures figures_;

  std::vector<TxnRecord> ring_;  // grows to options_.ring
  std::size_t next_ = 0;         // the place that is used next
  std::unordered_map<TxnId, std::size_t> places_;
  std::unordered_map<RequestId, TxnId> asked_;
  std::unordered_map<RequestId, std::uint64_t> arrived_;  // of those that waited
  std::vector<TxnId> begun_;
  std::map<GroupId, GroupState> groups_;
  std::deque<DiskBatch> disk_;  // the newest ones
};

}  // namespace assent
