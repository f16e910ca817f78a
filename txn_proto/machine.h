// What every replicated machine and its driver share (ARCHITECTURE: machine and driver).
//
// A machine is replicated truth, changed only by apply(). A driver is the leader's volatile intention: it proposes
// commands, sends messages, answers clients; it is built anew at every election and thrown away at its end. Everything
// a driver sends is a hint that can be derived again from its machine; it is repeated on ticks until acknowledged.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

// Where and when a command was committed; the same on every replica.
struct EntryContext {
  Epoch epoch;
  Index index;
  ClusterMillis stamp;
};

// Of a driver that has nothing to do until something comes, however long that takes.
inline constexpr std::uint64_t rest_for_ever = std::numeric_limits<std::uint64_t>::max();

template <class Command>
struct DriverOutput {
  std::vector<Command> propose;
  std::vector<Envelope> send;
  std::vector<ClientReply> reply;
  std::vector<ReadId> read;  // barriers to request; answered by read_ready() or read_lost()
  std::vector<ServiceCall> call = {};

  [[nodiscard]] bool empty() const {
    return propose.empty() && send.empty() && reply.empty() && read.empty() && call.empty();
  }
};

// A driver D over a machine M has these, called from the group that owns both:
//   void lead(Epoch);                          self_ready: everything of earlier epochs is applied
//   void resign();                             answer waiting clients with not_leader or unknown_outcome, forget all
//   void receive(const Envelope&);
//   void request(const ClientRequest&);
//   void applied(const EntryContext&, const M::Command&, const M::Applied&);   after M::apply on the leader
//   void refused(const M::Command&, const Error&);                             the log would not take a proposal
//   void read_ready(ReadId); void read_lost(ReadId);
//   void tick();
//   std::uint64_t rest_ticks() const;          for how many ticks it has nothing to do unless something comes
//   void rested(std::uint64_t);                in place of so many ticks
//   DriverOutput<M::Command> take_output();  bool has_output() const;

}  // namespace assent
