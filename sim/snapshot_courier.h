// Carries one snapshot from node to node in chunks, over a stream that may break, bring a chunk twice or damage one:
// what server/peer_link.cc and server/peer_service.cc do over gRPC. What has arrived is in the receiver's
// SnapshotParts, which are the node's own code; so is the rule where to go on.
//
// Lives as long as something of it is planned.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "node/snapshot_parts.h"
#include "node/transport.h"
#include "sim/network.h"
#include "sim/recorder.h"
#include "sim/schedule.h"

namespace assent::sim {

class SnapshotCourier : public std::enable_shared_from_this<SnapshotCourier> {
 public:
  struct Receiver {
    std::uint64_t life = 0;
    SnapshotParts* parts = nullptr;  // null: it is down, or stands still
  };
  struct Way {
    Schedule& schedule;
    Network& network;
    Recorder& recorder;
    NodeId from;
    NodeId to;
    std::size_t chunk_bytes = 0;
    std::function<bool()> sends;  // false: the sender is gone
    std::function<Receiver()> receiver;
    std::function<void(SnapshotTransfer)> arrive;
    std::function<void(bool delivered)> ended;  // once
  };
  static void start(Way way, SnapshotTransfer transfer);

 private:
  SnapshotCourier(Way way, SnapshotTransfer transfer);

  void ask();
  void open();
  void next();
  void take(Network::StreamPart fate, std::size_t size);
  void finish();
  void broken();
  void again();  // what was refused as damaged
  [[nodiscard]] SnapshotParts* receiver();
  void then(Micros delay, void (SnapshotCourier::*step)());

  const Way way_;
  const SnapshotTransfer transfer_;
  const SnapshotLabel label_;
  std::uint64_t life_ = 0;  // of the receiver when the stream began
  SnapshotParts::Stream stream_;
  std::uint64_t sent_ = 0;
  int attempts_ = 0;
};

}  // namespace assent::sim
