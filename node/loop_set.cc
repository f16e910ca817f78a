#include "node/loop_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <limits>
#include <map>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "node/frame_demux.h"
#include "node/loop_placement.h"

namespace assent {
namespace {

// Between two times that loop 0 is told how many groups the others lead.
constexpr std::uint64_t leads_ticks = 10;

// Where groups do not sleep, nobody counts how long a peer was silent.
std::uint64_t header_ticks(const Limits& limits) {
  return limits.sign_of_life_ticks == 0 ? std::numeric_limits<std::uint64_t>::max() : limits.sign_of_life_ticks;
}

bool same_header(const Bytes& a, const Bytes& b) {
  return a.compare(0, frame_header_bytes, b, 0, frame_header_bytes) == 0;
}

void add(LoopStatistics& sum, const LoopStatistics& one) {
  sum.frames_received += one.frames_received;
  sum.frames_malformed += one.frames_malformed;
  sum.messages_dropped += one.messages_dropped;
  sum.local_messages += one.local_messages;
  sum.let_go += one.let_go;
  sum.snapshots_damaged += one.snapshots_damaged;
  sum.snapshots_refused += one.snapshots_refused;
  sum.wal.batches += one.wal.batches;
  sum.wal.records += one.wal.records;
  sum.wal.bytes += one.wal.bytes;
  sum.wal.syncs += one.wal.syncs;
  sum.wal.segments += one.wal.segments;
  sum.wal.renewed += one.wal.renewed;
}

class LoopSet final : public Loop {
 public:
  LoopSet(const NodeConfig& config, std::vector<std::unique_ptr<Lane>> lanes, Transport& transport)
      : self_(config.self),
        limits_(config.limits),
        tells_leads_(config.tells_leads),
        lanes_(std::move(lanes)),
        transport_(transport),
        demux_(lanes_.size(), header_ticks(config.limits)) {
    for (const auto& lane : lanes_) {
      const WalRecovery& found = lane->recovery();
      recovery_.groups.insert(found.groups.begin(), found.groups.end());
      recovery_.segments += found.segments;
      recovery_.records += found.records;
      recovery_.torn_bytes += found.torn_bytes;
      recovery_.lost_places.insert(found.lost_places.begin(), found.lost_places.end());
      recovery_.lost.insert(found.lost.begin(), found.lost.end());
      recovery_.damages.insert(recovery_.damages.end(), found.damages.begin(), found.damages.end());
    }
  }

  void handle(Event event) override;
  void tick() override;
  void flush() override;

  [[nodiscard]] Result<Position> change_membership(GroupId group, std::span<const MemberChange> changes) override {
    return asked<Result<Position>>(group, [&](Loop& loop) { return loop.change_membership(group, changes); });
  }
  [[nodiscard]] Result<Position> propose(GroupId group, Bytes command) override {
    return asked<Result<Position>>(group, [&](Loop& loop) { return loop.propose(group, std::move(command)); });
  }
  [[nodiscard]] Result<std::uint64_t> application_digest(GroupId group) override {
    return asked<Result<std::uint64_t>>(group, [&](Loop& loop) { return loop.application_digest(group); });
  }
  [[nodiscard]] std::vector<Sight> sights(GroupId group, const SightQuestion& question) const override {
    std::vector<Sight> found;
    lane_of(group).ask([&](Loop& loop) { found = loop.sights(group, question); });
    return found;
  }
  void adopt(const std::vector<NodeId>& nodes, const std::vector<GroupConfig>& groups) override {
    each([&](Loop& loop) { loop.adopt(nodes, groups); });
  }
  void know_shards(const std::vector<GroupId>& shards) override {
    each([&](Loop& loop) { loop.know_shards(shards); });
  }
  void announce(MapNews news) override {
    lanes_.front()->ask([&](Loop& loop) { loop.announce(std::move(news)); });
  }
  [[nodiscard]] std::optional<MapNews> take_map_news() override {
    std::optional<MapNews> news;
    lanes_.front()->ask([&](Loop& loop) { news = loop.take_map_news(); });
    return news;
  }
  [[nodiscard]] std::map<NodeId, std::uint64_t> leads() const override {
    std::map<NodeId, std::uint64_t> all;
    lanes_.front()->ask([&](Loop& loop) { all = loop.leads(); });
    return all;
  }
  void leads_besides(std::uint64_t groups) override {
    lanes_.front()->ask([&](Loop& loop) { loop.leads_besides(groups); });
  }
  [[nodiscard]] bool has_more() const override {
    return std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->has_more(); });
  }
  [[nodiscard]] std::vector<ColdFile> cold_files() const override;
  bool repair(const ColdFile& file) override;
  void scrubbed(ScrubStatus status) override { scrub_ = std::move(status); }
  [[nodiscard]] std::vector<ClientReply> take_replies() override { return std::exchange(replies_, {}); }
  [[nodiscard]] std::vector<ServiceCall> take_calls() override { return std::exchange(calls_, {}); }
  [[nodiscard]] std::optional<Error> failure() const override;
  [[nodiscard]] std::vector<GroupStatus> status() const override {
    return gathered([](Loop& loop) { return loop.status(); });
  }
  [[nodiscard]] std::vector<GroupStatus> take_news() override {
    return gathered([](Loop& loop) { return loop.take_news(); });
  }
  [[nodiscard]] LoopStatistics statistics() const override;
  [[nodiscard]] const WalRecovery& recovery() const override { return recovery_; }
  void observe(Observer observer) override {
    for (const auto& lane : lanes_) lane->observe(observer);
  }
  void watch(TxnWatcher* watcher) override {
    for (const auto& lane : lanes_) lane->watch(watcher);
  }
  [[nodiscard]] const Application* application(GroupId group) const override {
    const Application* found = nullptr;
    lane_of(group).ask([&](Loop& loop) { found = loop.application(group); });
    return found;
  }

 private:
  struct Waiting {
    std::size_t lane = 0;
    Bytes frame;
  };

  [[nodiscard]] Lane& lane_of(GroupId group) const { return *lanes_[loop_of(group, lanes_.size())]; }
  void each(const std::function<void(Loop&)>& question) const {
    for (const auto& lane : lanes_) lane->ask(question);
  }
  template <class Answer, class Ask>
  [[nodiscard]] Answer asked(GroupId group, Ask&& ask) const {
    std::optional<Answer> answer;
    lane_of(group).ask([&](Loop& loop) { answer = ask(loop); });
    if (!answer) return fail(ErrorCode::cancelled, "this node cannot go on and stops");
    return std::move(*answer);
  }
  // Ascending by group, as of one loop.
  template <class Ask>
  [[nodiscard]] std::vector<GroupStatus> gathered(Ask&& ask) const {
    std::vector<GroupStatus> all;
    each([&](Loop& loop) {
      std::vector<GroupStatus> some = ask(loop);
      std::move(some.begin(), some.end(), std::back_inserter(all));
    });
    std::sort(all.begin(), all.end(),
              [](const GroupStatus& a, const GroupStatus& b) { return a.config.id < b.config.id; });
    return all;
  }

  void distribute(NodeId from, Bytes frame, std::optional<std::size_t> sender = std::nullopt);
  // True when it said something to another loop.
  bool collect(std::size_t lane);
  // True when a lane was told that its frame left.
  bool send(NodeId to);
  void count_leads();

  NodeId self_;
  Limits limits_;
  bool tells_leads_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  Transport& transport_;
  FrameDemux demux_;
  std::uint64_t now_ticks_ = 0;
  std::map<NodeId, std::deque<Waiting>> waiting_;  // at most one of each lane for each peer
  std::vector<ClientReply> replies_;
  std::vector<ServiceCall> calls_;
  WalRecovery recovery_;
  std::uint64_t frames_sent_ = 0;
  std::uint64_t frame_bytes_sent_ = 0;
  ScrubStatus scrub_;
};

void LoopSet::handle(Event event) {
  if (auto* frame = std::get_if<FrameReceived>(&event)) return distribute(frame->from, std::move(frame->frame));
  if (std::holds_alternative<TransportReady>(event)) return;  // flush() asks the transport
  if (std::holds_alternative<DiskProgress>(event)) {
    for (const auto& lane : lanes_) lane->handle(DiskProgress{});
    return;
  }
  if (const auto* told = std::get_if<PeerTold>(&event)) {
    for (const auto& lane : lanes_) lane->handle(*told);
    return;
  }
  const GroupId group = std::visit(
      [](const auto& one) -> GroupId {
        using Kind = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<Kind, SnapshotReceived>) return one.transfer.group;
        if constexpr (std::is_same_v<Kind, ServiceAnswered>) return one.to;
        if constexpr (std::is_same_v<Kind, SnapshotSendEnded> || std::is_same_v<Kind, ClientRequest> ||
                      std::is_same_v<Kind, TransferLeadership>) {
          return one.group;
        }
        return {};
      },
      event);
  lane_of(group).handle(std::move(event));
}

void LoopSet::distribute(NodeId from, Bytes frame, std::optional<std::size_t> sender) {
  for (FrameDemux::Part& part : demux_.split(from, std::move(frame), sender)) {
    lanes_[part.loop]->handle(FrameReceived{from, std::move(part.frame)});
  }
}

void LoopSet::tick() {
  ++now_ticks_;
  demux_.tick();
  for (const auto& lane : lanes_) lane->tick();
  if (tells_leads_ && now_ticks_ % leads_ticks == 0) count_leads();
}

void LoopSet::count_leads() {
  std::uint64_t others = 0;
  for (std::size_t i = 1; i < lanes_.size(); ++i) {
    lanes_[i]->ask([&](Loop& loop) { others += loop.leads()[self_]; });
  }
  leads_besides(others);
}

// As of one loop: what is left over when the budget is spent waits for the next call.
void LoopSet::flush() {
  bool more = true;
  for (std::size_t step = 0; more && step < limits_.flush_steps_max; ++step) {
    more = false;
    for (const auto& lane : lanes_) lane->flush();
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) more = collect(lane) || more;
    for (auto& [to, frames] : waiting_) more = send(to) || more;
  }
}

bool LoopSet::collect(std::size_t lane) {
  LaneOutput out = lanes_[lane]->take();
  std::move(out.replies.begin(), out.replies.end(), std::back_inserter(replies_));
  std::move(out.calls.begin(), out.calls.end(), std::back_inserter(calls_));
  for (auto& [to, transfer] : out.snapshots) transport_.send_snapshot(to, std::move(transfer));
  bool between = false;
  for (auto& [to, frame] : out.frames) {
    if (to != self_) {
      waiting_[to].push_back({lane, std::move(frame)});
      continue;
    }
    distribute(self_, std::move(frame), lane);
    lanes_[lane]->handle(TransportReady{self_});
    between = true;
  }
  return between;
}

bool LoopSet::send(NodeId to) {
  std::deque<Waiting>& frames = waiting_[to];
  bool told = false;
  while (!frames.empty() && transport_.ready(to)) {
    Bytes frame = std::move(frames.front().frame);
    std::vector<std::size_t> senders{frames.front().lane};
    frames.pop_front();
    // What comes behind the header of another frame may stand behind this one's.
    while (!frames.empty() && same_header(frame, frames.front().frame) &&
           frame.size() + frames.front().frame.size() <= limits_.frame_bytes_max) {
      frame.append(frames.front().frame, frame_header_bytes);
      senders.push_back(frames.front().lane);
      frames.pop_front();
    }
    ++frames_sent_;
    frame_bytes_sent_ += frame.size();
    transport_.send(to, std::move(frame));
    for (const std::size_t lane : senders) lanes_[lane]->handle(TransportReady{to});
    told = true;
  }
  return told;
}

std::optional<Error> LoopSet::failure() const {
  for (const auto& lane : lanes_) {
    if (auto failure = lane->failure()) return failure;
  }
  return std::nullopt;
}

LoopStatistics LoopSet::statistics() const {
  LoopStatistics sum;
  each([&](Loop& loop) { add(sum, loop.statistics()); });
  sum.frames_sent = frames_sent_;
  sum.frame_bytes_sent = frame_bytes_sent_;
  sum.scrub = scrub_;
  return sum;
}

// ---- damage at rest ----

// Each loop knows its files by where they lie in its own folder.
std::vector<ColdFile> LoopSet::cold_files() const {
  std::vector<ColdFile> all;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i]->ask([&](Loop& loop) {
      for (ColdFile& file : loop.cold_files()) {
        if (i > 0) file.path = fmt::format("{}/{}", loop_folder(i), file.path);
        all.push_back(std::move(file));
      }
    });
  }
  return all;
}

bool LoopSet::repair(const ColdFile& file) {
  bool done = false;
  for (std::size_t i = lanes_.size() - 1; i > 0; --i) {
    const std::string folder = loop_folder(i) + "/";
    if (!file.path.starts_with(folder)) continue;
    ColdFile inside = file;
    inside.path.erase(0, folder.size());
    lanes_[i]->ask([&](Loop& loop) { done = loop.repair(inside); });
    return done;
  }
  lanes_.front()->ask([&](Loop& loop) { done = loop.repair(file); });
  return done;
}

}  // namespace

NodeConfig lane_config(const NodeConfig& config, std::size_t loop, std::size_t loops) {
  NodeConfig lane = config;
  lane.loop = loop;
  lane.loops = loops;
  lane.tells_leads = config.tells_leads && loop == 0;
  lane.limits.client_requests_max = std::max<std::size_t>(1, config.limits.client_requests_max / loops);
  return lane;
}

std::unique_ptr<Loop> make_loop_set(const NodeConfig& config, std::vector<std::unique_ptr<Lane>> lanes,
                                    Transport& transport) {
  ASSENT_CHECK(!lanes.empty(), "a node has a loop");
  return std::make_unique<LoopSet>(config, std::move(lanes), transport);
}

}  // namespace assent
