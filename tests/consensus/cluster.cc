#include "tests/consensus/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "consensus/raft/membership_change.h"
#include "consensus/raft/quorum.h"
#include "sim/member_changes.h"

namespace assent::testing {
namespace {

constexpr std::uint64_t sent_kept_max = 20'000;
constexpr double resume_probability = 0.03;  // a tick

std::string text(const Entry& entry) {
  return fmt::format("{}@{} stamp {} '{}'", entry.epoch, entry.index, entry.stamp, entry.payload.substr(0, 16));
}

double sometimes(Rng& rng, double rare, double common) {
  switch (rng.below(3)) {
    case 0: return 0;
    case 1: return rare;
    default: return common;
  }
}

}  // namespace

Faults Faults::swarm(Rng& rng) {
  Faults faults;
  faults.drop = sometimes(rng, 0.02, 0.2);
  faults.duplicate = sometimes(rng, 0.05, 0.4);
  faults.delay_max = rng.below(3) == 0 ? 0 : rng.between(1, 12);
  faults.sync_delay_max = rng.below(3) == 0 ? 0 : rng.between(1, 15);
  faults.crash = sometimes(rng, 0.001, 0.01);
  faults.restart = 0.01 + 0.1 * rng.unit();
  faults.partition = sometimes(rng, 0.005, 0.03);
  faults.heal = 0.01 + 0.1 * rng.unit();
  faults.pause = sometimes(rng, 0.001, 0.01);
  faults.skew = sometimes(rng, 0.02, 0.3);
  faults.transfer = sometimes(rng, 0.002, 0.02);
  faults.propose = 0.05 + 0.9 * rng.unit();
  faults.read = 0.3 * rng.unit();
  faults.snapshot_every = rng.below(3) == 0 ? 0 : rng.between(1, 20);
  return faults;
}

Cluster::Cluster(const LogFactory& factory, CoreLimits limits, std::size_t nodes, std::uint64_t seed, Faults faults,
                 std::size_t spares)
    : limits_(limits), faults_(faults), rng_(Rng(seed).split("cluster")) {
  for (std::size_t i = 1; i <= nodes; ++i) founders_.push_back(NodeId(i));
  for (std::size_t i = 1; i <= nodes + spares; ++i) {
    const LogSetup setup{
        .self = NodeId(i), .group = GroupId(7), .members = founders_, .seed = seed, .durable = {}, .incarnation = 0};
    nodes_.push_back(Node{.host = Host(factory, setup),
                          .handed = {},
                          .handed_epoch = {},
                          .committed = {},
                          .leadership = {},
                          .reads = {},
                          .heard = {}});
  }
}

std::string Cluster::report() const {
  std::string text;
  for (const std::string& violation : violations_) text += violation + "\n";
  for (const Node& node : nodes_) {
    if (!node.host.up()) continue;
    const LogStatus status = node.host.log().status();
    text +=
        fmt::format("n{} epoch {} leader {} log {}..{} committed {} {}\n", node.host.member(), status.leadership.epoch,
                    status.leadership.leader, status.first, status.last, status.committed, to_string(status.members));
  }
  return text;
}

void Cluster::wrong(const std::string& what) {
  if (violations_.size() < 20) violations_.push_back(fmt::format("tick {}: {}", now_, what));
}

// ---- time ----

void Cluster::step() {
  ++now_;
  deliver_due();
  for (Node& node : nodes_) {
    if (!node.host.up()) {
      if (clients_on_ && rng_.chance(faults_.restart) && faults_.crash > 0) restart(node.host.id().value);
      continue;
    }
    if (node.paused && faults_.pause > 0 && rng_.chance(resume_probability)) node.paused = false;
    if (node.paused) continue;
    sync_due(node);
    tell_time(node);
    if (limits_.sleeps) hear_life(node);
    const std::uint64_t ticks = rng_.chance(faults_.skew) ? 2 * rng_.below(2) : 1;
    for (std::uint64_t i = 0; i < ticks; ++i) node.host.log().tick();
    if (clients_on_) clients(node);
    pump(node.host.id().value);
    if (clients_on_) misfortune(node);
  }
}

// One is too slow by as much as may be, the next is right, the third too quick.
void Cluster::tell_time(Node& node) const {
  const double drift = limits_.clock_drift * (static_cast<double>(node.host.id().value % 3) - 1);
  node.host.log().set_clock(static_cast<std::uint64_t>(static_cast<double>(now_) * 1'000 * (1 + drift)));
}

// What a host does for sleepers: it hears of each other node regularly, or else wakes them.
void Cluster::hear_life(Node& node) {
  node.host.log().set_idle(true);
  bool gone = false;
  for (const Node& other : nodes_) {
    if (other.host.id() == node.host.id()) continue;
    Node::Heard& heard = node.heard[other.host.id()];
    const bool speaks = other.host.up() && !other.paused && linked(other.host.id(), node.host.id());
    if (!speaks || now_ % 2 == 1 || rng_.chance(faults_.drop)) {
      gone = ++heard.ago_ticks == limits_.election_ticks || gone;
      continue;
    }
    gone = gone || (heard.incarnation != 0 && heard.incarnation != other.host.incarnation());
    heard = {other.host.incarnation(), 0};
  }
  if (gone && node.host.log().asleep()) node.host.log().wake({.ticks = 0, .silences = silences(node)});
}

std::vector<Slept::Silence> Cluster::silences(const Node& node) {
  std::vector<Slept::Silence> all;
  for (const auto& [other, heard] : node.heard) all.push_back({other, heard.ago_ticks});
  return all;
}

std::uint64_t Cluster::asleep() const {
  return static_cast<std::uint64_t>(std::count_if(
      nodes_.begin(), nodes_.end(), [](const Node& node) { return node.host.up() && node.host.log().asleep(); }));
}

void Cluster::deliver_due() {
  while (!flights_.empty() && flights_.begin()->first <= now_) {
    const Flight flight = std::move(flights_.extract(flights_.begin()).mapped());
    Node& to = node(flight.to);
    if (!to.host.up() || to.paused || !linked(flight.from, flight.to)) continue;
    tell_time(to);
    to.heard[flight.from].ago_ticks = 0;
    const bool slept = to.host.log().asleep();
    to.host.log().receive(flight.from, flight.bytes);
    if (slept && !to.host.log().asleep()) to.host.log().wake({.ticks = 0, .silences = silences(to)});
    if (rng_.chance(0.5)) pump(flight.to.value);  // else together with what comes next
  }
  while (!transfers_.empty() && transfers_.begin()->first <= now_) {
    deliver(transfers_.extract(transfers_.begin()).mapped());
  }
}

void Cluster::deliver(const Transfer& transfer) {
  Node& to = node(transfer.to);
  const bool delivered = to.host.up() && !to.paused && linked(transfer.from, transfer.to) && !rng_.chance(faults_.drop);
  if (delivered) {
    to.host.store_snapshot(transfer.mark);
    to.host.log().receive_snapshot(transfer.from, transfer.epoch, transfer.mark);
    pump(transfer.to.value);
  }
  Node& from = node(transfer.from);
  if (!from.host.up() || from.host.incarnation() != transfer.incarnation) return;
  from.host.log().snapshot_sent(transfer.to, delivered);
  pump(transfer.from.value);
}

void Cluster::sync_due(Node& node) {
  if (node.disk_stopped || node.host.writes() == 0 || node.sync_due > now_) return;
  std::vector<ConsensusMessage> leaving;
  node.host.sync(rng_.between(1, node.host.writes()), leaving);
  send(node.host.id(), std::move(leaving));
  node.sync_due = now_ + rng_.below(faults_.sync_delay_max + 1);
  pump(node.host.id().value);
}

void Cluster::clients(Node& node) {
  const std::uint64_t id = node.host.id().value;
  while (rng_.chance(faults_.propose)) {
    if (!propose(id, 8 + rng_.below(64))) break;
  }
  if (rng_.chance(faults_.read)) read(id);
  if (faults_.change > 0 && rng_.chance(faults_.change)) change_members(node);
  if (rng_.chance(faults_.transfer)) node.host.log().transfer_leadership(NodeId(rng_.between(1, nodes_.size())));
  if (faults_.snapshot_every == 0) return;
  const auto& newest = node.host.newest_snapshot();
  const std::uint64_t since = node.handed.value - std::min(node.handed.value, newest ? newest->last.index.value : 0);
  if (since >= faults_.snapshot_every) {
    node.host.take_snapshot(Index(node.handed.value - rng_.below(std::min<std::uint64_t>(since, 3))));
  }
}

void Cluster::misfortune(Node& node) {
  if (rng_.chance(faults_.pause)) node.paused = true;
  if (faults_.lose_disk > 0 && rng_.chance(faults_.lose_disk) && may_lose(node.host.member())) {
    return lose_disk(node.host.id().value);
  }
  if (rng_.chance(faults_.crash)) crash(node.host.id().value, rng_.below(node.host.writes() + 1));
  if (rng_.chance(faults_.heal / static_cast<double>(nodes_.size()))) heal();
  if (!rng_.chance(faults_.partition / static_cast<double>(nodes_.size()))) return;
  std::set<std::uint64_t> side;
  for (std::uint64_t i = 1; i <= nodes_.size(); ++i) {
    if (rng_.chance(0.5)) side.insert(i);
  }
  if (rng_.chance(0.5)) return partition(side);
  for (const std::uint64_t from : side) cut(from, rng_.between(1, nodes_.size()));  // asymmetric and partial
}

void Cluster::converge() {
  clients_on_ = false;
  faults_ = {};
  heal();
  flights_.clear();
  for (Node& node : nodes_) {
    node.paused = node.disk_stopped = false;
    if (!node.host.up()) restart(node.host.id().value);
  }
  const std::uint64_t bound = 60ULL * limits_.election_ticks;
  const std::uint64_t led = await_leader(bound);
  if (led == 0) return wrong("L9: no leader after healing");
  run(bound);
  std::uint64_t target = 0;
  for (std::uint64_t wait = 0; wait < bound && target == 0; ++wait) {
    const std::uint64_t now_leads = leader();
    if (now_leads != 0 && propose(now_leads)) target = host(now_leads).log().status().last.value;
    step();
  }
  if (target == 0) return wrong("L9: no proposal was taken after healing");
  run(bound);
  // A learner far behind, through the smallest of windows, may take longer.
  const Membership members = members_at(Index(committed()));
  for (Node& node : nodes_) {
    if (node.handed.value < target && members.votes(node.host.member()))
      wrong(fmt::format("L9: n{} handed out {} of {}", node.host.id(), node.handed, target));
    if (!node.reads.empty())
      wrong(fmt::format("L9: n{} left {} reads without an answer", node.host.id(), node.reads.size()));
  }
}

void Cluster::change_members(Node& leader) {
  const Membership now = leader.host.log().status().members;
  std::vector<Member> nodes;
  for (const Node& node : nodes_) nodes.push_back(node.host.member());
  const std::vector<MemberChange> changes = sim::draw_member_changes(now, nodes, rng_);
  // Who has just lost its disk may still count as alive at the leader; whoever operates looks first.
  const auto after = raft::change_membership(now, changes);
  if (!after || intact(*after, {})) static_cast<void>(change(leader.host.id().value, changes));
}

// Whether a majority still has the disk that it had.
bool Cluster::intact(const Membership& members, const Member& without) const {
  return raft::reached_by_quorum(members, [&](const Member& member) -> std::uint64_t {
           return member != without && !graves_.contains(member) ? 1 : 0;
         }) > 0;
}

// Whoever counts on this member has a majority without it.
bool Cluster::may_lose(const Member& member) const {
  if (!intact(members_at(Index(committed())), member)) return false;
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
    if (!node.host.up()) return false;  // it may know of a membership that nobody else does
    return intact(node.host.log().status().members, member);
  });
}

const DurableLog* Cluster::disk_of(const Member& member) const {
  if (const auto grave = graves_.find(member); grave != graves_.end()) return &grave->second;
  const Host& host = nodes_.at(member.node.value - 1).host;
  return host.member() == member ? &host.disk() : nullptr;
}

Membership Cluster::members_at(Index index) const {
  const auto after = memberships_.upper_bound(index);
  return after == memberships_.begin() ? Membership(founders_) : std::prev(after)->second;
}

// ---- steering ----

std::uint64_t Cluster::leader() const {
  std::uint64_t best = 0;
  Epoch epoch;
  for (const Node& node : nodes_) {
    if (!node.host.up() || !node.leadership.self_ready || node.leadership.epoch <= epoch) continue;
    epoch = node.leadership.epoch;
    best = node.host.id().value;
  }
  return best;
}

std::uint64_t Cluster::await_leader(std::uint64_t ticks) {
  for (; ticks > 0 && leader() == 0; --ticks) step();
  return leader();
}

void Cluster::isolate(std::uint64_t node) { partition({node}); }

void Cluster::partition(const std::set<std::uint64_t>& side) {
  for (std::uint64_t a = 1; a <= nodes_.size(); ++a) {
    for (std::uint64_t b = 1; b <= nodes_.size(); ++b) {
      if (side.contains(a) != side.contains(b)) cut(a, b);
    }
  }
}

void Cluster::crash(std::uint64_t id, std::size_t surviving_writes) {
  Node& gone = node(NodeId(id));
  gone.host.crash(surviving_writes);
  gone.reads.clear();
  gone.leadership = {};
  gone.handed = gone.host.disk().snapshot.last.index;
  gone.handed_epoch = gone.host.disk().snapshot.last.epoch;
  gone.committed = {};
}

void Cluster::restart(std::uint64_t id) { node(NodeId(id)).host.start(); }

void Cluster::damage(std::uint64_t id, Index whole) {
  crash(id);
  host(id).damage(whole);
  restart(id);
}

bool Cluster::propose(std::uint64_t id, std::size_t bytes) {
  Host& at = host(id);
  if (!at.up()) return false;
  Bytes command = fmt::format("{}:", next_command_++);
  command.resize(std::max(bytes, command.size()), 'x');
  // Clocks of nodes differ, and jump back now and then.
  const ClusterMillis clock(1'000'000 + 10 * now_ + 100 * id - rng_.below(500));
  return at.log().propose(command, clock).has_value();
}

bool Cluster::change(std::uint64_t id, const std::vector<MemberChange>& changes) {
  Host& at = host(id);
  return at.up() && at.log().change_membership(changes, ClusterMillis(1'000'000 + 10 * now_)).has_value();
}

void Cluster::lose_disk(std::uint64_t id) {
  Node& gone = node(NodeId(id));
  const Member former = gone.host.member();
  crash(id);
  graves_[former] = gone.host.lose_disk(former.incarnation + 1);
  gone.handed = {};
  gone.handed_epoch = {};
}

bool Cluster::read(std::uint64_t id) {
  Node& at = node(NodeId(id));
  const ReadId read(next_read_++);
  if (!at.host.up()) return false;
  tell_time(at);
  if (!at.host.log().request_read(read)) return false;
  at.reads[read] = Index(committed());
  return true;
}

void Cluster::replay_everything_sent() {
  for (const Flight& flight : sent_) flights_.emplace(now_ + 1, flight);
}

// ---- outputs ----

void Cluster::pump(std::uint64_t id) {
  Node& at = node(NodeId(id));
  for (bool more = at.host.up(); more;) {
    std::vector<ConsensusMessage> leaving;
    const Output out = at.host.take(leaving);
    after_output(at, out);
    send(at.host.id(), std::move(leaving));
    more = !out.committed.empty();  // an output is bounded: what is left comes with the next
  }
}

void Cluster::send(NodeId from, std::vector<ConsensusMessage> messages) {
  for (ConsensusMessage& message : messages) {
    ++messages_;
    const Flight flight{from, message.to, std::move(message.bytes)};
    if (sent_.size() < sent_kept_max) sent_.push_back(flight);
    if (rng_.chance(faults_.drop)) continue;
    const std::uint64_t copies = rng_.chance(faults_.duplicate) ? 2 : 1;
    for (std::uint64_t i = 0; i < copies; ++i) flights_.emplace(now_ + 1 + rng_.below(faults_.delay_max + 1), flight);
  }
}

void Cluster::after_output(Node& at, const Output& out) {
  trace_.add(out.number).add(out.append.size()).add(out.committed.size()).add(at.host.log().digest());
  for (const auto& message : out.send_now) trace_.add(message.to).add(message.bytes);
  for (const auto& message : out.send_after_sync) trace_.add(message.to).add(message.bytes);
  check_bounds(at, out);
  check_append(at, out);
  if (out.install) {
    ++installs_;
    const SnapshotMark& mark = *out.install;
    if (!at.host.has_snapshot(mark))
      wrong(fmt::format("n{} installs a snapshot that it was never given", at.host.id()));
    if (mark.last.index <= at.handed) wrong(fmt::format("n{} installs an old snapshot", at.host.id()));
    if (!out.append.empty() || !out.committed.empty()) wrong("an install comes alone with hard_state");
    const auto known = committed_.find(mark.last.index);
    if (known == committed_.end() || known->second.epoch != mark.last.epoch || known->second.stamp != mark.stamp) {
      wrong(fmt::format("L1: n{} installs a snapshot at an entry that was never committed", at.host.id()));
    }
    at.handed = mark.last.index;
    at.handed_epoch = mark.last.epoch;
  }
  check_committed(at, out);
  if (out.leadership) check_leadership(at, *out.leadership);
  check_reads(at, out);
  for (const SnapshotSend& request : out.snapshots_to_send) {
    const auto& newest = at.host.newest_snapshot();
    if (!newest) {
      wrong(fmt::format("n{} asks for a snapshot to be sent, but there is none", at.host.id()));
      continue;
    }
    transfers_.emplace(now_ + 2 + rng_.below(2 * faults_.delay_max + 1),
                       Transfer{at.host.id(), request.to, at.host.incarnation(), request.epoch, *newest});
  }
}

void Cluster::check_append(const Node& at, const Output& out) {
  Index expected;
  Epoch epoch;
  ClusterMillis stamp;
  for (const EntryPtr& entry : out.append) {
    if (!expected.none() && entry->index != expected) wrong(fmt::format("n{} appends with a gap", at.host.id()));
    if (entry->epoch < epoch || entry->stamp < stamp)
      wrong(fmt::format("L2: n{} appends {}", at.host.id(), text(*entry)));
    expected = entry->index.next();
    epoch = entry->epoch;
    stamp = entry->stamp;
    const auto [known, fresh] = written_.try_emplace({entry->epoch, entry->index}, *entry);
    if (!fresh && known->second != *entry) {
      wrong(fmt::format("L2: {} and {} at one place", text(known->second), text(*entry)));
    }
  }
}

void Cluster::check_committed(Node& at, const Output& out) {
  for (const EntryPtr& entry : out.committed) {
    if (entry->index != at.handed.next()) {
      wrong(fmt::format("L1: n{} hands out {} after {}", at.host.id(), entry->index, at.handed));
    }
    at.handed = entry->index;
    at.handed_epoch = entry->epoch;
    const auto [known, fresh] = committed_.try_emplace(entry->index, *entry);
    if (!fresh) {
      if (known->second != *entry)
        wrong(fmt::format("L1: {} and {} both committed", text(known->second), text(*entry)));
      continue;
    }
    if (known != committed_.begin() && std::prev(known)->second.stamp > entry->stamp)
      wrong("L2: committed stamps go back");
    if (entry->kind == EntryKind::membership) {
      ++changes_;
      memberships_[entry->index] = decode_membership(entry->payload).value();
    }
    if (!durable_majority(*entry)) wrong(fmt::format("L4: {} committed without a durable majority", text(*entry)));
  }
  const Index committed = at.host.log().status().committed;
  if (committed < at.committed) wrong(fmt::format("n{}: the commit index went back", at.host.id()));
  at.committed = committed;
}

// By what was in force when it was written, or by a change that stands after it: those are in force before they are
// committed.
bool Cluster::durable_majority(const Entry& entry) const {
  const auto holds = [&](const Member& member) -> std::uint64_t {
    const DurableLog* disk = disk_of(member);
    return disk != nullptr && Host::holds(*disk, {entry.epoch, entry.index}) ? 1 : 0;
  };
  if (raft::reached_by_quorum(members_at(entry.index), holds) > 0) return true;
  return std::any_of(written_.begin(), written_.end(), [&](const auto& one) {
    const auto& [at, later] = one;
    return later.kind == EntryKind::membership && at.index > entry.index && at.epoch >= entry.epoch &&
           raft::reached_by_quorum(decode_membership(later.payload).value(), holds) > 0;
  });
}

void Cluster::check_leadership(Node& at, const Leadership& leadership) {
  if (leadership.epoch < at.leadership.epoch) wrong(fmt::format("n{}: the epoch went back", at.host.id()));
  at.leadership = leadership;
  if (!leadership.self_leads) {
    if (leadership.self_ready) wrong("self_ready without self_leads");
    return;
  }
  const std::pair self{at.host.id(), at.host.incarnation()};
  const auto [known, fresh] = leaders_.try_emplace(leadership.epoch, self);
  if (!fresh && known->second != self) {
    wrong(fmt::format("L3: epoch {} is led by n{} and n{}", leadership.epoch, known->second.first, self.first));
  }
  if (!leadership.self_ready) return;
  if (at.handed_epoch != leadership.epoch) wrong(fmt::format("L5: n{} is ready without an own entry", at.host.id()));
  for (const auto& [index, entry] : committed_) {
    if (entry.epoch < leadership.epoch && index > at.handed)
      wrong(fmt::format("L5: n{} is ready without {}", at.host.id(), index));
  }
}

void Cluster::check_reads(Node& at, const Output& out) {
  for (const ReadReady& ready : out.reads) {
    const auto asked = at.reads.extract(ready.id);
    if (asked.empty()) {
      wrong(fmt::format("L6: n{} answers read {} that was not asked", at.host.id(), ready.id));
    } else if (ready.index < asked.mapped()) {
      wrong(fmt::format("L6: n{} answers a read at {}, committed was {}", at.host.id(), ready.index, asked.mapped()));
    }
    ++reads_ready_;
  }
  for (const ReadId lost : out.reads_lost) {
    if (at.reads.erase(lost) == 0) wrong(fmt::format("L6: n{} loses read {} that was not asked", at.host.id(), lost));
    ++reads_lost_;
  }
}

void Cluster::check_bounds(Node& at, const Output& out) {
  const auto check = [&](const std::vector<ConsensusMessage>& messages) {
    for (const ConsensusMessage& message : messages) {
      if (message.to == at.host.id() || message.to.value > nodes_.size()) wrong("a message to nobody");
      if (message.bytes.size() > limits_.message_bytes_max)
        wrong(fmt::format("L8: a message of {} bytes", message.bytes.size()));
    }
  };
  check(out.send_now);
  check(out.send_after_sync);
  const std::uint64_t bytes = at.host.log().status().log_bytes;
  if (bytes > limits_.log_bytes_max) wrong(fmt::format("L8: n{} keeps {} bytes of log", at.host.id(), bytes));
}

}  // namespace assent::testing
