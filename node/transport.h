// How frames and snapshots leave a node, and the clock: the leaves that the simulator replaces.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log_entry.h"
#include "consensus/log_contract.h"

namespace assent {

struct SnapshotTransfer {
  GroupId group;
  Epoch epoch;
  SnapshotMark mark;
  Bytes data;
};

// Never blocks and promises nothing: a frame may be lost, late, doubled or out of order. Called from the loop's thread.
class Transport {
 public:
  virtual ~Transport() = default;
  // May the next frame for this peer be built? One frame is in flight per peer; while it is, envelopes gather. After a
  // no comes an event TransportReady once the answer has changed; without having been asked none need come.
  [[nodiscard]] virtual bool ready(NodeId to) const = 0;
  virtual void send(NodeId to, Bytes frame) = 0;
  // Ends with an event SnapshotSendEnded to the loop.
  virtual void send_snapshot(NodeId to, SnapshotTransfer transfer) = 0;
};

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time; may jump. Only leaders' stamps are made of it.
  [[nodiscard]] virtual ClusterMillis wall() const = 0;
  // Monotonic microseconds, for measuring only.
  [[nodiscard]] virtual std::uint64_t monotonic_micros() const = 0;
  // Monotonic microseconds that also go on while the process is stopped or the machine sleeps: leases are measured by
  // them. May drift from real time by no more than the cluster is configured for.
  [[nodiscard]] virtual std::uint64_t alive_micros() const { return monotonic_micros(); }
};

}  // namespace assent
