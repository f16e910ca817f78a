#include "sim/core_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/messages.h"
#include "consensus/raft/quorum.h"
#include "consensus/raft/raft_factory.h"
#include "sim/durability_checker.h"
#include "sim/member_changes.h"
#include "sim/raft_checker.h"
#include "sim/recorder.h"
#include "sim/spotter.h"
#include "sim/watched_log.h"

namespace assent::sim {
namespace {

constexpr std::uint64_t steps_plain = 2'000;
constexpr std::uint64_t steps_changing = 5'000;
constexpr std::uint64_t promise_micros = 4'000;
constexpr int rounds_to_converge = 400;  // a tick of everybody and all that follows from it
constexpr int rounds_to_sleep = 20;
constexpr int deliveries_of_a_round = 100'000;
constexpr GroupId group{1};

enum class Kind : std::uint8_t { plain, leases, losses };

RaftOptions draw_options(Rng rng, Kind kind) {
  RaftOptions options;
  if (kind == Kind::losses && rng.split("sleep").chance(0.5)) options.sleep_ticks = 3;
  if (kind == Kind::leases) {
    options.promise_micros = promise_micros;
    options.lease_micros = promise_micros * 9 / 10;
  }
  options.election_ticks = 4;
  options.heartbeat_ticks = 1;
  options.append_bytes_max = rng.chance(0.5) ? 64 : 4'096;
  options.inflight_max = rng.between(1, 8);
  options.tail_entries_max = rng.below(3);
  return options;
}

struct Letter {
  NodeId from;
  NodeId to;
  Bytes bytes;
  std::optional<SnapshotMark> snapshot = std::nullopt;  // instead of bytes
  Epoch epoch = {};                                     // with it
};

// What the disk has still to write.
struct Write {
  Output output;
  std::optional<SnapshotMark> compact = std::nullopt;  // instead of an output: entries up to here may go
};

// A core, what its disk has, and what its disk has still to write.
struct Node {
  LogSetup setup;
  std::unique_ptr<ReplicatedLog> log;
  std::deque<Write> unsynced;
  SnapshotMark snapshot;  // the newest; in files of its own, so at once durable
  Index handed;           // committed entries that it gave us
  bool led = false;
  std::map<ReadId, Index> reads;  // under way: what anybody had been told when it came in
};

class Walk {
 public:
  Walk(std::uint64_t seed, Kind kind, bool narrate)
      : rng_(Rng(seed).split("core walk")),
        leases_(kind == Kind::leases),
        losses_(kind == Kind::losses),
        recorder_(schedule_, narrate ? std::optional(TimeSpan{}) : std::nullopt),
        durability_(recorder_),
        raft_(recorder_, durability_),
        spotter_(recorder_, durability_),
        watchers_{&durability_, &raft_, &spotter_},
        factory_(watch(make_raft_factory(draw_options(rng_.split("options"), kind)), watchers_)) {
    result_.seed = seed;
    // In every other walk members change. Two voters, or four, are no better than one, or three, at outliving
    // anything; but two changes of theirs that know nothing of each other may have majorities that do not meet.
    Rng crowd = rng_.split("members");
    const bool changing = crowd.chance(0.5);
    const std::size_t founders = !changing ? 3 : crowd.chance(0.6) ? 4 : crowd.between(2, 3);
    nodes_.resize(changing ? 5 : founders);
    side_.resize(nodes_.size());
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      node.setup.self = NodeId(i + 1);
      node.setup.group = group;
      for (std::size_t member = 1; member <= founders; ++member) node.setup.members.emplace_back(member);
      node.setup.seed = rng_.split(fmt::format("node {}", i)).next();
      members_.emplace_back(node.setup.self);
      rebuild(node);
    }
    // Some walks lose and cut off more than others.
    Rng shares = rng_.split("shares");
    old_ = shares.below(120);
    loss_ = shares.unit() * 0.3;
    cut_ = 1 + shares.below(30);
    crash_ = shares.below(15);
    sync_ = 40 + shares.below(300);
    compact_ = shares.below(40);
    if (leases_) {
      Rng times = rng_.split("times");
      time_ = 1 + times.below(12);  // so that a lease may outlast an election
      read_ = 20 + times.below(60);
      transfer_ = 5 + times.below(30);
    }
    if (losses_) {
      Rng damage = rng_.split("damage");
      hurt_ = damage.unit() * damage.unit();  // most are hurt seldom: else there is soon nobody who can be elected
      idle_ = damage.below(30);
    }
    if (!changing) return;
    // Five nodes have more to say to each other, and more elections to hold.
    change_ = 10 + shares.below(80);
    old_ = shares.below(40);
    cut_ = 4 + shares.below(20);
    crash_ = shares.below(8);
    sync_ = 150 + shares.below(250);
    compact_ = shares.below(20);
    tick_ = 60 + shares.below(150);
    transfer_ = shares.below(20);
    heard_max_ = 4;
    steps_max_ = steps_changing;
    if (losses_) crash_ += 2;
  }

  WalkResult run() {
    while (result_.steps < steps_max_ && !recorder_.failed()) step();
    if (losses_ && !recorder_.failed()) end_well();
    result_.wrong = recorder_.why();
    const auto longer = recorder_.rare_reached().find("snapshot installed over a longer log");
    result_.longer_logs = longer == recorder_.rare_reached().end() ? 0 : longer->second;
    return result_;
  }

 private:
  void step() {
    ++result_.steps;
    // In thousandths, the rest are messages on their way.
    std::uint64_t draw = rng_.below(1'000);
    const auto falls = [&draw](std::uint64_t share) {
      const bool hit = draw < share;
      draw -= hit ? 0 : share;
      return hit;
    };
    if (!fresh_leader_.none()) return greet(nodes_[std::exchange(fresh_leader_, {}).value - 1]);
    Node& node = any();
    if (falls(old_)) return deliver_old();
    if (falls(cut_)) return cut();
    if (falls(crash_)) return crash(node);
    if (falls(sync_)) return sync(node);
    if (falls(compact_)) return compact(node);
    if (falls(tick_)) return tick(node);
    if (falls(60)) return propose();
    if (falls(read_)) return read();
    if (falls(time_)) return pass_time();
    if (falls(idle_)) return be_idle(rng_.chance(0.7));
    if (falls(change_)) return change_members();
    if (falls(transfer_))
      return leases_ ? hand_over() : (node.log->transfer_leadership(any().setup.self), collect(node));
    for (std::uint64_t left = rng_.between(1, heard_max_); left > 0; --left) deliver_fresh();
  }

  Node& any() { return nodes_[rng_.below(nodes_.size())]; }

  void rebuild(Node& node) {
    node.log = factory_(node.setup).value();  // the disk never holds what the core may not hear
    node.reads.clear();
    node.led = false;
    node.handed = node.setup.durable.snapshot.last.index;
    if (leases_) node.log->set_clock(now_);
    if (losses_) node.log->set_idle(idle_now_);
    collect(node);
  }

  // ---- damage ----

  // The log is whole up to some place, and says up to which it was written.
  void damage(Node& node) {
    DurableLog& disk = node.setup.durable;
    const std::size_t whole = rng_.below(disk.entries.size() + 1);
    if (whole == disk.entries.size()) return;
    const Entry& last = *disk.entries.back();
    node.setup.left = std::max(node.setup.left, Position{last.epoch, last.index});
    disk.entries.resize(whole);
    durability_.hurt({group, node.setup.self});
    result_.losses += 1;
    recorder_.say("n{} has lost what came after {}, up to {}", node.setup.self,
                  disk.snapshot.last.index.value + disk.entries.size(), last.index);
  }

  void be_idle(bool idle) {
    idle_now_ = idle;
    for (Node& node : nodes_) node.log->set_idle(idle);
  }

  // What the contract asks of a host when signs of life were missed.
  void wake(Node& node) {
    if (!node.log->asleep()) return;
    node.log->wake({});
    collect(node);
  }

  // Whoever hears that a node began another life.
  void notice(const Node& reborn) {
    for (Node& node : nodes_) {
      const bool hears = side_[node.setup.self.value - 1] == side_[reborn.setup.self.value - 1];
      if (hears && &node != &reborn) wake(node);
    }
  }

  // Somebody would be elected if nobody led and all answered: by his own log, by which he campaigns.
  [[nodiscard]] bool electable() const {
    return std::ranges::any_of(nodes_, [this](const Node& node) {
      const LogStatus candidate = node.log->status();
      const Position last{candidate.last_epoch, candidate.last};
      if (last < node.setup.left || !candidate.members.votes(Member(node.setup.self))) return false;
      return raft::reached_by_quorum(candidate.members, [&](const Member& member) -> std::uint64_t {
               const Node& voter = nodes_[member.node.value - 1];
               const LogStatus own = voter.log->status();
               return last >= Position{own.last_epoch, own.last} && last >= voter.setup.left ? 1 : 0;
             }) > 0;
    });
  }

  [[nodiscard]] const Node* newest_leader() const {
    const Node* newest = nullptr;
    for (const Node& node : nodes_) {
      const Leadership now = node.log->status().leadership;
      if (now.self_leads && (newest == nullptr || newest->log->status().leadership.epoch < now.epoch)) newest = &node;
    }
    return newest;
  }

  // All members have all that their leader has, and know it to be committed.
  [[nodiscard]] bool all_whole() const {
    const Node* leader = newest_leader();
    if (leader == nullptr) return false;
    const LogStatus first = leader->log->status();
    return std::ranges::all_of(first.members.all(), [&](const Member& member) {
      const Node& node = nodes_[member.node.value - 1];
      const LogStatus own = node.log->status();
      return own.last == first.last && own.last_epoch == first.last_epoch && own.committed == first.last &&
             Position{own.last_epoch, own.last} >= node.setup.left;
    });
  }

  // Everything that is on its way arrives, everything is written, until nothing moves.
  void come_to_rest() {
    for (int left = deliveries_of_a_round; left > 0; --left) {
      bool wrote = false;
      for (Node& node : nodes_) {
        while (std::ranges::any_of(node.unsynced, has_something)) {
          sync(node);
          wrote = true;
        }
      }
      if (fresh_.empty() && !wrote) return;
      if (!fresh_.empty()) {
        const std::size_t which = fresh_.front();
        fresh_.pop_front();
        deliver(which, "");
      }
    }
    recorder_.wrong("L9 liveness: the cores do not come to rest");
  }

  [[nodiscard]] static bool has_something(const Write& write) {
    return write.compact || write.output.needs_disk() || !write.output.send_after_sync.empty();
  }

  void round() {
    for (Node& node : nodes_) {
      if (!node.log->asleep()) tick(node);
    }
    come_to_rest();
  }

  void converge(std::string_view when) {
    come_to_rest();
    for (int left = rounds_to_converge; left > 0 && !all_whole() && !recorder_.failed(); --left) round();
    if (all_whole() || recorder_.failed()) return;
    recorder_.wrong(
        fmt::format("L9 liveness: {} somebody could be elected, all see each other, and not all members "
                    "are whole after {} ticks",
                    when, rounds_to_converge));
  }

  void end_well() {
    side_.assign(nodes_.size(), false);
    recorder_.say("all see each other, and nothing more goes wrong");
    be_idle(true);
    for (Node& node : nodes_) wake(node);
    come_to_rest();
    if (!electable()) {
      result_.stopped = 1;
      return;
    }
    converge("after the walk,");
    if (recorder_.failed()) return;
    for (int left = rounds_to_sleep; left > 0; --left) round();
    // A replica in an idle group, which may be asleep. A voter, and whoever is hurt, wakes the others itself, if by the
    // log that is left to it they still are who they were.
    const Membership members = newest_leader()->log->status().members;
    const std::vector<Member> all = members.all();
    Node& node = nodes_[all[rng_.below(all.size())].node.value - 1];
    recorder_.say("n{} loses power", node.setup.self);
    node.log.reset();
    node.unsynced.clear();
    damage(node);
    rebuild(node);
    const LogStatus own = node.log->status();
    const bool wakes =
        own.members.votes(Member(node.setup.self)) || Position{own.last_epoch, own.last} < node.setup.left;
    const bool knows = wakes && own.members == members;
    if (!knows || rng_.chance(0.5)) notice(node);
    if (!electable()) {
      result_.stopped = 1;
      return;
    }
    converge("when one was hurt,");
  }

  // ---- the rest ----

  // A snapshot of what was handed out.
  void compact(Node& node) {
    const auto mark = node.log->mark_at(node.handed);
    if (!mark || mark->last.index <= node.snapshot.last.index) return;
    recorder_.say("n{} has a snapshot up to {}", node.setup.self, mark->last.index);
    node.snapshot = *mark;
    node.unsynced.push_back({{}, *mark});
    node.log->snapshot_taken(*mark);
    collect(node);
  }

  // All clocks go alike: how far they may drift apart is a matter of how much shorter a lease is than a promise.
  void pass_time() {
    now_ += rng_.between(1, promise_micros / 2);
    recorder_.say("it is {} us", now_);
    for (Node& node : nodes_) {
      node.log->set_clock(now_);
      collect(node);
    }
  }

  // A leader asks another to take over, and may then not hear that it did.
  void hand_over() {
    for (Node& node : nodes_) {
      if (!node.log->status().leadership.self_leads) continue;
      node.log->transfer_leadership(any().setup.self);
      collect(node);
      if (rng_.chance(0.5)) continue;
      for (std::uint64_t left = rng_.between(1, 6); left > 0; --left) deliver_fresh();
      side_.assign(nodes_.size(), false);
      side_[node.setup.self.value - 1] = true;
      recorder_.say("n{} is on the other side", node.setup.self);
    }
  }

  // From whoever leads, or thinks so.
  void read() {
    for (Node& node : nodes_) {
      if (node.log->status().leadership.self_leads) read(node);
    }
  }

  void read(Node& node) {
    const ReadId id(++reads_);
    const Index known = committed_.empty() ? Index(0) : committed_.rbegin()->first;
    const std::uint64_t by_lease = node.log->status().reads_by_lease;
    if (!node.log->request_read(id)) return;
    recorder_.say("n{} is asked for read {}, which must know {}", node.setup.self, id, known);
    node.reads.emplace(id, known);
    collect(node);
    result_.leased += node.log->status().reads_by_lease - by_lease;
  }

  void judge_read(Node& node, const ReadReady& ready) {
    const auto found = node.reads.find(ready.id);
    if (found == node.reads.end()) return;
    result_.reads += 1;
    if (ready.index < found->second) {
      recorder_.wrong(fmt::format("L6 reads: node {} answers read {} as of index {}, and index {} was told before it",
                                  node.setup.self, ready.id, ready.index, found->second));
    }
    node.reads.erase(found);
  }

  void tick(Node& node) {
    recorder_.say("n{} ticks", node.setup.self);
    node.log->tick();
    collect(node);
  }

  void propose() {
    for (Node& node : nodes_) {
      if (!node.log->status().leadership.self_leads || !rng_.chance(0.7)) continue;
      const auto position = node.log->propose(Bytes("x"), ClusterMillis(1));
      if (position) recorder_.say("n{} appends {} in epoch {}", node.setup.self, position->index, position->epoch);
      collect(node);
    }
  }

  // Of whoever leads, or thinks so.
  void change_members() {
    for (Node& node : nodes_) {
      if (node.log->status().leadership.self_leads && rng_.chance(0.7)) change_members(node);
    }
  }

  // The network may break at the worst of moments; and an operator who has waited for a leader asks the new one at
  // once.
  void greet(Node& leader) {
    if (rng_.chance(0.3)) cut();
    if (rng_.chance(0.6)) change_members(leader);
  }

  void change_members(Node& leader) {
    auto changes = draw_member_changes(leader.log->status().members, members_, rng_);
    if (changes.size() > 1 && rng_.chance(0.8)) changes.resize(1);  // one voter alone is no joint change
    const bool learners_alone =
        std::ranges::all_of(changes, [](const MemberChange& one) { return one.kind == MemberChange::Kind::learner; });
    if (learners_alone && rng_.chance(0.7)) return;  // who votes matters more
    const auto position = leader.log->change_membership(changes, ClusterMillis(1));
    if (position) recorder_.say("n{} changes the members in {}", leader.setup.self, position->index);
    collect(leader);
  }

  void cut() {
    side_.assign(nodes_.size(), false);
    if (rng_.chance(0.4)) return recorder_.say("all see each other");
    if (change_ == 0 || rng_.chance(0.5)) {
      side_[rng_.below(nodes_.size())] = true;
    } else {
      for (std::size_t i = 0; i < nodes_.size(); ++i) side_[i] = rng_.chance(0.5);
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (side_[i]) recorder_.say("n{} is on the other side", nodes_[i].setup.self);
    }
  }

  void crash(Node& node) {
    recorder_.say("n{} loses power", node.setup.self);
    node.log.reset();
    for (std::size_t kept = rng_.below(node.unsynced.size() + 1); kept > 0; --kept) {
      write(node, node.unsynced.front());
      node.unsynced.pop_front();
    }
    node.unsynced.clear();
    if (losses_ && rng_.chance(hurt_)) damage(node);
    rebuild(node);
    if (losses_) notice(node);
  }

  void sync(Node& node) {
    if (node.unsynced.empty()) return;
    const std::size_t count = rng_.chance(0.5) ? node.unsynced.size() : 1;
    std::uint64_t number = 0;
    std::vector<ConsensusMessage> released;
    for (std::size_t i = 0; i < count; ++i) {
      Write next = std::move(node.unsynced.front());
      node.unsynced.pop_front();
      write(node, next);
      if (next.compact) continue;
      Output& output = next.output;
      number = output.number;
      std::move(output.send_after_sync.begin(), output.send_after_sync.end(), std::back_inserter(released));
    }
    if (number == 0) return;
    recorder_.say("n{} has output {} durable", node.setup.self, number);
    node.log->durable(number);
    for (ConsensusMessage& message : released) send(node, std::move(message));
    collect(node);
  }

  static void write(Node& node, const Write& next) {
    DurableLog& disk = node.setup.durable;
    if (next.compact) {
      std::erase_if(disk.entries, [&](const EntryPtr& entry) { return entry->index <= next.compact->last.index; });
      if (next.compact->last.index > disk.snapshot.last.index) disk.snapshot = *next.compact;
      return;
    }
    const Output& output = next.output;
    if (output.hard_state) disk.hard_state = *output.hard_state;
    if (output.install) {
      disk.snapshot = *output.install;
      disk.entries.clear();
    }
    if (output.append.empty()) return;
    const Index first = output.append.front()->index;
    while (!disk.entries.empty() && disk.entries.back()->index >= first) disk.entries.pop_back();
    disk.entries.insert(disk.entries.end(), output.append.begin(), output.append.end());
  }

  // What the core has to say since its last input.
  void collect(Node& node) {
    const bool silent = !node.log->has_output();
    Output output = node.log->take_output();
    if (silent && (output.needs_disk() || output.has_news())) {
      recorder_.wrong(fmt::format("contract: node {} says that it has no output, and gives one", node.setup.self));
    }
    for (ConsensusMessage& message : output.send_now) send(node, std::move(message));
    output.send_now.clear();
    if (output.install) node.handed = output.install->last.index;
    for (const EntryPtr& entry : output.committed) judge_committed(node, *entry);
    for (const SnapshotSend& one : output.snapshots_to_send) send_snapshot(node, one);
    for (const ReadReady& one : output.reads) judge_read(node, one);
    if (output.leadership && output.leadership->self_leads != node.led) {
      node.led = output.leadership->self_leads;
      result_.elections += node.led ? 1 : 0;
      if (node.led) judge_leader(node, output.leadership->epoch);
      if (node.led && change_ > 0) fresh_leader_ = node.setup.self;
      recorder_.say("n{} {} epoch {}", node.setup.self, node.led ? "leads" : "leads no more", output.leadership->epoch);
    }
    node.unsynced.push_back({std::move(output)});
  }

  void judge_leader(const Node& node, Epoch epoch) {
    const auto [found, fresh] = leaders_.try_emplace(epoch, node.setup.self);
    if (fresh) return;
    recorder_.wrong(fmt::format("L3 one leader: node {} leads epoch {}, and node {} has led it", node.setup.self, epoch,
                                found->second));
  }

  void judge_committed(Node& node, const Entry& entry) {
    node.handed = entry.index;
    const auto [found, fresh] = committed_.try_emplace(entry.index, entry.epoch);
    result_.committed += fresh ? 1 : 0;
    result_.changes += fresh && entry.kind == EntryKind::membership ? 1 : 0;
    if (found->second == entry.epoch) return;
    recorder_.wrong(fmt::format("L1 agreement: node {} hands out index {} of epoch {}, and another one of epoch {}",
                                node.setup.self, entry.index, entry.epoch, found->second));
  }

  void send(const Node& from, ConsensusMessage message) {
    fresh_.push_back(sent_.size());
    sent_.push_back({from.setup.self, message.to, std::move(message.bytes)});
  }

  void send_snapshot(const Node& from, const SnapshotSend& send) {
    fresh_.push_back(sent_.size());
    sent_.push_back({from.setup.self, send.to, {}, from.snapshot, send.epoch});
  }

  void deliver_snapshot(const Letter& letter, bool arrives) {
    Node& node = nodes_[letter.to.value - 1];
    if (arrives) {
      recorder_.say("n{} gets n{}'s snapshot up to {}", letter.to, letter.from, letter.snapshot->last.index);
      if (letter.snapshot->last.index > node.snapshot.last.index) node.snapshot = *letter.snapshot;
      node.log->receive_snapshot(letter.from, letter.epoch, *letter.snapshot);
      collect(node);
    }
    Node& sender = nodes_[letter.from.value - 1];
    sender.log->snapshot_sent(letter.to, arrives);
    collect(sender);
  }

  void deliver_fresh() {
    if (fresh_.empty()) return;
    const std::size_t place = rng_.chance(0.8) ? 0 : rng_.below(fresh_.size());
    const std::size_t which = fresh_[place];
    fresh_.erase(fresh_.begin() + static_cast<std::ptrdiff_t>(place));
    const Letter& letter = sent_[which];
    const bool lost = side_[letter.from.value - 1] != side_[letter.to.value - 1] || rng_.chance(loss_);
    if (lost && letter.snapshot) return deliver_snapshot(Letter(letter), false);
    if (!lost) deliver(which, "");
  }

  void deliver_old() {
    if (!sent_.empty()) deliver(rng_.below(sent_.size()), ", sent before");
  }

  void deliver(std::size_t which, std::string_view how) {
    const Letter letter = sent_[which];  // what it brings about is sent in turn
    if (letter.snapshot) return deliver_snapshot(letter, true);
    if (recorder_.narrating()) {
      const auto message = raft::decode(group, letter.bytes);
      recorder_.say("n{} hears n{}: {}{}", letter.to, letter.from, message ? raft::describe(*message) : "?", how);
    }
    result_.repeated += how.empty() ? 0 : 1;
    Node& node = nodes_[letter.to.value - 1];
    node.log->receive(letter.from, letter.bytes);
    collect(node);
  }

  Rng rng_;
  const bool leases_;  // leaders read by them, and others by asking
  const bool losses_;  // disks are damaged
  Schedule schedule_;
  Recorder recorder_;
  DurabilityChecker durability_;
  RaftChecker raft_;
  Spotter spotter_;
  std::vector<LogWatcher*> watchers_;
  LogFactory factory_;
  std::vector<Node> nodes_;
  std::vector<Member> members_;    // the same, as members
  std::vector<Letter> sent_;       // all, ever
  std::deque<std::size_t> fresh_;  // of them: not delivered yet
  std::vector<bool> side_;         // of each node: the sides do not hear each other, but for what was sent before
  std::map<Index, Epoch> committed_;
  std::map<Epoch, NodeId> leaders_;
  NodeId fresh_leader_;  // where members change: has just begun to lead
  WalkResult result_;
  std::uint64_t old_ = 0;
  std::uint64_t cut_ = 0;
  std::uint64_t crash_ = 0;
  std::uint64_t sync_ = 0;
  std::uint64_t compact_ = 0;
  std::uint64_t change_ = 0;
  std::uint64_t tick_ = 120;
  std::uint64_t transfer_ = 5;
  std::uint64_t steps_max_ = steps_plain;
  std::uint64_t heard_max_ = 1;  // messages in one step
  std::uint64_t time_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t now_ = 1'000'000;
  std::uint64_t reads_ = 0;
  double loss_ = 0;
  double hurt_ = 0;  // of who loses power
  std::uint64_t idle_ = 0;
  bool idle_now_ = false;
};

}  // namespace

WalkResult walk_cores(std::uint64_t seed, bool narrate) { return Walk(seed, Kind::plain, narrate).run(); }
WalkResult walk_leases(std::uint64_t seed, bool narrate) { return Walk(seed, Kind::leases, narrate).run(); }
WalkResult walk_losses(std::uint64_t seed, bool narrate) { return Walk(seed, Kind::losses, narrate).run(); }

}  // namespace assent::sim
