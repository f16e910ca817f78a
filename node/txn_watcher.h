// What goes into the drivers of a node and comes out of them, told to whoever records it. The cores know nothing of it:
// their inputs and outputs are all there is to tell.
//
// Called on the loop's thread, only for groups that this node leads, in the order in which things happen. A watcher
// changes nothing and must not call back into the loop.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "storage/wal.h"
#include "txn_proto/commands.h"
#include "txn_proto/types.h"

namespace assent {

// Each loop of a node has a log of its own, and tickets of its own: the top byte of what a watcher is told names it.
inline constexpr unsigned ticket_loop_shift = 56;
[[nodiscard]] constexpr Wal::Ticket ticket_of(std::size_t loop, Wal::Ticket ticket) {
  return Wal::Ticket{loop} << ticket_loop_shift | ticket;
}

class TxnWatcher {
 public:
  virtual ~TxnWatcher() = default;

  // ---- a driver's inputs ----
  virtual void requested(GroupId at, const ClientRequest& request) = 0;
  virtual void received(GroupId at, GroupId from, const TxnMessage& message) = 0;
  // The entry at this index was applied to the machine; the driver hears of it next.
  virtual void applied(GroupId at, Index index, const CoordinatorCommand& command) = 0;
  virtual void applied(GroupId at, Index index, const ShardCommand& command) = 0;

  // ---- its outputs: what one turn of a driver wanted, and the end of that turn ----
  virtual void proposed(GroupId at, const CoordinatorCommand& command) = 0;
  virtual void proposed(GroupId at, const ShardCommand& command) = 0;
  virtual void sent(GroupId at, GroupId to, const TxnMessage& message) = 0;  // to groups and to services
  virtual void replied(GroupId at, const ClientReply& reply) = 0;
  virtual void turned(GroupId at) = 0;

  // ---- the log below it ----
  virtual void refused(GroupId at) = 0;  // a proposal
  // Entries first to last were appended and go to this node's disk with this ticket.
  virtual void appended(GroupId at, Index first, Index last, Wal::Ticket ticket) = 0;
  virtual void resigned(GroupId at) = 0;

  // ---- the disk, of all groups ----
  virtual void submitted(Wal::Ticket ticket) = 0;  // the batch is on its way
  virtual void synced(Wal::Ticket ticket) = 0;     // it and all before it of the same loop are durable
};

}  // namespace assent
