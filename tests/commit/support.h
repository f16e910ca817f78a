// Shorthand for tests of the commit machines and drivers.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/conductor.h"
#include "coordinator/decisions.h"
#include "participant/caretaker.h"
#include "participant/memory_store.h"
#include "participant/shard.h"
#include "sim/explore/describe.h"

namespace assent::testing {

using explore::coordinator_group;
inline constexpr GroupId shard_1{1};
inline constexpr GroupId shard_2{2};
inline constexpr std::uint64_t start_millis = 1'800'000'000'000;

// The n-th id; ids made `millis` after the start.
inline TxnId txn(std::uint64_t n, std::uint64_t millis = 0) {
  return TxnId::make(ClusterMillis(start_millis + millis), n >> 52U, n << 12U);
}

inline EntryContext at(std::uint64_t epoch, std::uint64_t index, std::uint64_t millis = 0) {
  return EntryContext{Epoch(epoch), Index(index), ClusterMillis(start_millis + millis)};
}

inline KvAdd add(std::string key, std::int64_t delta) {
  return KvAdd{std::move(key), delta, std::nullopt, std::nullopt};
}

inline Work put(const std::string& key, const std::string& value) { return Work{KvPut{key, value}}; }

inline Execute transfer(const TxnId& id, Work on_1, Work on_2, Protocol protocol = Protocol::two_phase) {
  Execute execute;
  execute.txn = id;
  execute.protocol = protocol;
  execute.branches = {Branch{shard_1, std::move(on_1)}, Branch{shard_2, std::move(on_2)}};
  return execute;
}

inline Execute single(const TxnId& id, GroupId shard, Work work) {
  Execute execute;
  execute.txn = id;
  execute.branches = {Branch{shard, std::move(work)}};
  return execute;
}

template <class Message>
std::vector<Message> sent(const std::vector<Envelope>& envelopes, GroupId to = {}) {
  std::vector<Message> found;
  for (const Envelope& envelope : envelopes) {
    const auto* message = std::get_if<Message>(&envelope.message);
    if (message != nullptr && (to.none() || envelope.to == to)) found.push_back(*message);
  }
  return found;
}

template <class One, class Command>
std::vector<One> proposed(const std::vector<Command>& commands) {
  std::vector<One> found;
  for (const Command& command : commands) {
    if (const auto* one = std::get_if<One>(&command)) found.push_back(*one);
  }
  return found;
}

inline const TxnAnswer* answer_to(const std::vector<ClientReply>& replies, std::uint64_t request) {
  for (const ClientReply& reply : replies) {
    if (reply.id == RequestId(request) && reply.answer) return std::get_if<TxnAnswer>(&*reply.answer);
  }
  return nullptr;
}

inline const Error* error_to(const std::vector<ClientReply>& replies, std::uint64_t request) {
  for (const ClientReply& reply : replies) {
    if (reply.id == RequestId(request) && !reply.answer) return &reply.answer.error();
  }
  return nullptr;
}

template <class Output>
void append(Output& to, Output from) {
  std::move(from.propose.begin(), from.propose.end(), std::back_inserter(to.propose));
  std::move(from.send.begin(), from.send.end(), std::back_inserter(to.send));
  std::move(from.reply.begin(), from.reply.end(), std::back_inserter(to.reply));
  std::move(from.read.begin(), from.read.end(), std::back_inserter(to.read));
  std::move(from.call.begin(), from.call.end(), std::back_inserter(to.call));
}

}  // namespace assent::testing
