#include "node/peers.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace assent {

Peers::Peers(NodeId self, std::uint64_t incarnation, const std::vector<NodeId>& others, const Limits& limits,
             bool siblings)
    : self_(self), incarnation_(incarnation), limits_(limits), siblings_(siblings) {
  if (siblings_) peers_[self_].greet = false;  // who lives while this lives
  set(others);
}

std::vector<NodeId> Peers::all() const {
  std::vector<NodeId> nodes;
  for (const auto& [node, peer] : peers_) {
    if (node != self_) nodes.push_back(node);
  }
  return nodes;
}

void Peers::set(const std::vector<NodeId>& others) {
  std::erase_if(peers_, [&](const auto& one) {
    if (one.first == self_ || std::find(others.begin(), others.end(), one.first) != others.end()) return false;
    for (const Frame& frame : one.second.closed) counts_.messages_dropped += frame.messages;
    counts_.messages_dropped += one.second.open.messages;
    gone_.push_back(one.first);
    return true;
  });
  for (const NodeId other : others) {
    if (other != self_) peers_.try_emplace(other);
  }
}

template <class Item>
void Peers::add(NodeId to, const Item& item) {
  const auto found = peers_.find(to);
  // Asked before the message is added: one that is larger than the whole bound must pass some day.
  if (found == peers_.end() || found->second.bytes >= limits_.peer_queue_bytes_max) {
    ++counts_.messages_dropped;
    return;
  }
  const std::size_t size = encoded_size(item);
  Peer& peer = found->second;
  if (peer.open.messages > 0 && peer.open.bytes.size() + size > limits_.frame_bytes_max) {
    peer.closed.push_back(std::exchange(peer.open, {}));
  }
  Frame& frame = open_frame(to, peer);
  append_item(frame.bytes, item);
  ++frame.messages;
  peer.bytes += size;
}
template void Peers::add(NodeId, const ConsensusItem&);
template void Peers::add(NodeId, const MessageItem&);
template void Peers::add(NodeId, const MapItem&);
template void Peers::add(NodeId, const LeadsItem&);
template void Peers::add(NodeId, const BelongItem&);
template void Peers::add(NodeId, const LeftItem&);

void Peers::queue(NodeId to, const HintItem& item) {
  if (const auto found = peers_.find(to); found != peers_.end()) found->second.hints[item.group] = item;
}

Peers::Frame& Peers::open_frame(NodeId to, Peer& peer) {
  if (peer.open.bytes.empty()) {
    append_header(peer.open.bytes, FrameHeader{self_, to, incarnation_, 0});
    peer.bytes += frame_header_bytes;
  }
  return peer.open;
}

bool Peers::admit(NodeId from, const FrameHeader& header) {
  const auto found = peers_.find(from);
  if (found == peers_.end() || header.sender != from || header.target != self_) return false;
  Peer& peer = found->second;
  if (header.sender_incarnation < peer.incarnation) return false;
  if (peer.incarnation != 0 && header.sender_incarnation > peer.incarnation) gone_.push_back(from);
  peer.incarnation = header.sender_incarnation;
  if (header.target_incarnation != 0 && header.target_incarnation != incarnation_) {
    peer.greet = true;
    return false;
  }
  peer.silent_ticks = 0;
  return true;
}

void Peers::finish(NodeId to, Peer& peer) {
  if (peer.hints.empty() && !peer.greet) return;
  Frame& frame = open_frame(to, peer);
  for (const auto& [group, hint] : peer.hints) {
    append_item(frame.bytes, hint);
    ++frame.messages;
    peer.bytes += encoded_size(hint);
  }
  peer.hints.clear();
  peer.greet = false;
}

Bytes Peers::take_frame(Peer& peer) {
  Bytes frame;
  if (peer.closed.empty()) {
    frame = std::exchange(peer.open, {}).bytes;
  } else {
    frame = std::move(peer.closed.front().bytes);
    peer.closed.pop_front();
  }
  peer.bytes -= frame.size();
  set_target_incarnation(frame, peer.incarnation);
  return frame;
}

void Peers::send(Transport& transport) {
  for (auto& [to, peer] : peers_) {
    // The transport is asked only when there is something to send: being asked, it wakes the loop when it is ready.
    while ((peer.bytes != 0 || !peer.hints.empty() || peer.greet) && transport.ready(to)) {
      finish(to, peer);
      if (peer.bytes == 0) break;
      Bytes frame = take_frame(peer);
      peer.unwritten_ticks = 0;
      ++counts_.frames_sent;
      counts_.frame_bytes_sent += frame.size();
      transport.send(to, std::move(frame));
    }
  }
}

void Peers::tick(const Transport& transport) {
  for (auto& [to, peer] : peers_) {
    if (limits_.sign_of_life_ticks > 0 && to != self_) tick_life(to, peer);
    if (peer.bytes == 0 || transport.ready(to)) {
      peer.stalled_ticks = 0;
      continue;
    }
    if (++peer.stalled_ticks < limits_.peer_stalled_ticks_max) continue;
    for (const Frame& frame : peer.closed) counts_.messages_dropped += frame.messages;
    counts_.messages_dropped += peer.open.messages;
    peer.closed.clear();
    peer.open = {};
    peer.bytes = 0;
    peer.stalled_ticks = 0;
  }
}

void Peers::tick_life(NodeId node, Peer& peer) {
  if (++peer.silent_ticks == limits_.peer_silent_ticks_max) gone_.push_back(node);
  if (++peer.unwritten_ticks >= limits_.sign_of_life_ticks) peer.greet = true;
}

std::vector<Slept::Silence> Peers::silences() const {
  std::vector<Slept::Silence> all;
  all.reserve(peers_.size());
  for (const auto& [node, peer] : peers_) {
    if (node == self_) continue;
    all.push_back({node, static_cast<std::uint32_t>(
                             std::min<std::uint64_t>(peer.silent_ticks, std::numeric_limits<std::uint32_t>::max()))});
  }
  return all;
}

}  // namespace assent
