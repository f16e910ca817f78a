#include "sim/network.h"

#include <algorithm>

namespace assent::sim {
namespace {

constexpr std::size_t remembered_frames = 8;
constexpr Micros straggle_max = 8 * second;
constexpr Micros stale_delay_max = 3 * second;

Cut cut_between(const std::vector<NodeId>& from, const std::vector<NodeId>& to, bool both) {
  Cut cut;
  for (const NodeId a : from) {
    for (const NodeId b : to) {
      if (a == b) continue;
      cut.emplace_back(a, b);
      if (both) cut.emplace_back(b, a);
    }
  }
  return cut;
}

// Each node hears its two neighbours only.
Cut ring(const std::vector<NodeId>& nodes) {
  Cut cut;
  const std::size_t count = nodes.size();
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < count; ++j) {
      const std::size_t apart = (j + count - i) % count;
      if (apart > 1 && apart + 1 < count) cut.emplace_back(nodes[i], nodes[j]);
    }
  }
  return cut;
}

}  // namespace

Micros Network::delay() {
  return faults_.delay_min + static_cast<Micros>(rng_.exponential(static_cast<double>(faults_.delay_mean)));
}

void Network::remember(Link& link, const Deliver& deliver) {
  if (faults_.stale == 0) return;
  link.old.push_back(deliver);
  if (link.old.size() > remembered_frames)
    link.old.erase(link.old.begin() + static_cast<std::ptrdiff_t>(rng_.below(4)));
}

void Network::deliver_at(LinkKey key, Micros when, Deliver deliver) {
  schedule_.at(when, [this, key, deliver = std::move(deliver)] {
    if (blocked(key.first, key.second)) return recorder_.fault("frame lost in a partition");
    deliver();
  });
}

void Network::frame(NodeId from, NodeId to, Deliver deliver) {
  const LinkKey key{from, to};
  Link& link = links_[key];
  if (blocked(from, to)) return recorder_.fault("frame lost in a partition");
  remember(link, deliver);
  if (rng_.chance(faults_.clog)) {
    recorder_.fault("link clogged");
    link.clogged_until =
        schedule_.now() + static_cast<Micros>(rng_.exponential(static_cast<double>(faults_.clog_mean)));
  }
  if (rng_.chance(faults_.stale) && !link.old.empty()) {
    recorder_.fault("old frame came again");
    deliver_at(key, schedule_.now() + rng_.below(stale_delay_max), link.old[rng_.below(link.old.size())]);
  }
  if (rng_.chance(faults_.loss)) return recorder_.fault("frame lost");
  if (rng_.chance(faults_.duplicate)) {
    recorder_.fault("frame doubled");
    deliver_at(key, schedule_.now() + delay() + delay(), deliver);
  }
  if (rng_.chance(faults_.straggle)) {
    recorder_.fault("frame straggled");
    return deliver_at(key, schedule_.now() + rng_.below(straggle_max), std::move(deliver));
  }
  Micros arrival = std::max(schedule_.now() + delay(), link.clogged_until);
  if (rng_.chance(faults_.reorder)) {
    recorder_.fault("frame left its place");
  } else {
    arrival = std::max(arrival, link.last_arrival);
    link.last_arrival = arrival;
  }
  deliver_at(key, arrival, std::move(deliver));
}

void Network::snapshot(NodeId from, NodeId to, std::size_t bytes, Deliver arrive, std::function<void(bool)> ended) {
  const Micros arrival = schedule_.now() + 2 * delay() + bytes / 50;  // 50 MB a second
  const bool lost = rng_.chance(faults_.snapshot_loss);
  const bool unacknowledged = rng_.chance(faults_.snapshot_loss);
  if (lost) recorder_.fault("snapshot lost");
  if (!lost && unacknowledged) recorder_.fault("snapshot arrived, answer lost");
  schedule_.at(arrival, [this, from, to, lost, unacknowledged, arrive = std::move(arrive), ended = std::move(ended)] {
    const bool arrives = !lost && !blocked(from, to);
    if (arrives) arrive();
    const bool told = arrives && !unacknowledged && !blocked(to, from);
    schedule_.after(delay(), [ended, told] { ended(told); });
  });
}

Network::StreamPart Network::stream_part(NodeId from, NodeId to) {
  StreamPart part;
  const auto mean = static_cast<double>(faults_.delay_mean);
  part.delay = faults_.delay_min / 4 + static_cast<Micros>(parts_rng_.exponential(mean / 4));
  part.lost = parts_rng_.chance(faults_.snapshot_loss * 0.3);
  part.doubled = parts_rng_.chance(faults_.snapshot_loss * 0.05);
  part.damaged = parts_rng_.chance(faults_.snapshot_loss * 0.1);
  if (part.lost) recorder_.fault("snapshot's stream broken");
  if (part.doubled) recorder_.fault("chunk of a snapshot doubled");
  if (part.damaged) recorder_.fault("chunk of a snapshot damaged");
  part.lost = part.lost || blocked(from, to);
  return part;
}

void Network::client(Deliver deliver) {
  if (rng_.chance(faults_.client_loss)) return recorder_.fault("client message lost");
  schedule_.after(delay(), std::move(deliver));
}

Micros Network::write_time(NodeId from, NodeId to, std::size_t bytes) {
  const Micros writing = 5 + bytes / 500;
  const Micros clogged_until = links_[{from, to}].clogged_until;
  return clogged_until > schedule_.now() ? clogged_until - schedule_.now() + writing : writing;
}

void Network::unblock(NodeId from, NodeId to) {
  const auto found = blocked_.find({from, to});
  if (found == blocked_.end()) return;
  if (--found->second == 0) blocked_.erase(found);
}

void Network::heal() {
  blocked_.clear();
  faults_ = NetworkFaults{};
  for (auto& [key, link] : links_) {
    link.clogged_until = 0;
    link.old.clear();
  }
}

Cut draw_cut(Rng& rng, const std::vector<NodeId>& nodes, Recorder& recorder) {
  std::vector<NodeId> left;
  std::vector<NodeId> right;
  for (const NodeId node : nodes) (rng.chance(0.5) ? left : right).push_back(node);
  const NodeId one = nodes[rng.below(nodes.size())];
  const NodeId other = nodes[rng.below(nodes.size())];
  switch (rng.below(7)) {
    case 0: recorder.fault("partition: two sides"); return cut_between(left, right, true);
    case 1: recorder.fault("partition: one direction"); return cut_between(left, right, false);
    case 2: recorder.fault("partition: one node alone"); return cut_between({one}, nodes, true);
    case 3: recorder.fault("partition: one node hears nobody"); return cut_between(nodes, {one}, false);
    case 4: recorder.fault("partition: one link, one way"); return cut_between({one}, {other}, false);
    case 5: {
      std::erase(left, one);
      std::erase(right, one);
      recorder.fault("partition: bridge");
      return cut_between(left, right, true);
    }
    default:
      if (nodes.size() < 4) {
        recorder.fault("partition: one link");
        return cut_between({one}, {other}, true);
      }
      recorder.fault("partition: ring");
      return ring(nodes);
  }
}

}  // namespace assent::sim
