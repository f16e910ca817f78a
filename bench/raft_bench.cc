// The log alone: three processes on this machine replicate entries of random bytes that nobody executes. Real are the
// loop, Raft, the write-ahead log with its syncs, frames and gRPC; missing are machines, drivers and clients.
//
//     raft_bench DIR [SECONDS [BYTES [WINDOW]]]     default: 5 seconds, entries of 256 bytes, 1024 of them under way
//
// DIR must not exist. One JSON object: entries a second as the leader applies them, and for the disk's yardstick
// (bench/yardstick/disk_syncs.cc) how many bytes one sync of the leader's covers.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "consensus/raft/raft_factory.h"
#include "server/grpc_transport.h"
#include "server/inbox.h"
#include "server/log.h"
#include "server/loop_thread.h"
#include "server/posix_disk.h"
#include "server/rpc_queue.h"
#include "server/system_clock.h"
#include "txn_proto/names.h"

namespace assent {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto warm_up = std::chrono::seconds(1);
constexpr std::uint16_t first_port = 21'730;

struct Load {
  std::filesystem::path folder;
  std::chrono::seconds duration{5};
  std::size_t bytes = 256;
  std::size_t window = 1'024;
};

std::string name_of(std::uint16_t number) { return fmt::format("n{}", number); }

// Proposes as much as may be under way, as soon as it leads, and only counts what comes back.
class Pump final : public Application {
 public:
  explicit Pump(const Load& load) : load_(load) {}

  Result<void> apply(const Entry& entry) override {
    applied_ = entry.index;
    ++entries_;
    if (under_way_ > 0) --under_way_;
    return {};
  }
  void skip(Index index) override { applied_ = index; }
  [[nodiscard]] Index applied() const override { return applied_; }
  Result<void> batch_applied() override { return {}; }
  void leadership(const Leadership& leadership) override {
    leads_ = leadership.self_ready;
    under_way_ = 0;
  }
  void receive(GroupId, ByteView) override {}
  void request(const ClientRequest&) override {}
  void refused(const Bytes&, const Error&) override { --under_way_; }
  void read_ready(ReadId) override {}
  void read_lost(ReadId) override {}
  void tick() override {}
  [[nodiscard]] bool has_outbox() const override { return leads_ && under_way_ < load_.window; }
  [[nodiscard]] Outbox take_outbox() override {
    Outbox outbox;
    for (; has_outbox(); ++under_way_) outbox.proposals.push_back(random_bytes());
    return outbox;
  }
  [[nodiscard]] Result<Bytes> snapshot() override { return Bytes{}; }
  [[nodiscard]] Result<void> restorable(const SnapshotMark&, ByteView) const override { return {}; }
  [[nodiscard]] Result<void> restore(const SnapshotMark& mark, ByteView) override {
    applied_ = mark.last.index;
    return {};
  }
  [[nodiscard]] Result<std::uint64_t> digest() override { return 0; }
  [[nodiscard]] ApplicationStatus status() const override { return {}; }

  [[nodiscard]] bool leads() const { return leads_; }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }

 private:
  // Nothing that a compressing disk could shrink.
  Bytes random_bytes() {
    Bytes bytes;
    while (bytes.size() < load_.bytes) {
      const std::uint64_t word = rng_.next();
      bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
    }
    bytes.resize(load_.bytes);
    return bytes;
  }

  const Load load_;
  Rng rng_{1};
  Index applied_;
  bool leads_ = false;
  std::size_t under_way_ = 0;
  std::uint64_t entries_ = 0;
};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// One of the three. Ends with the figures once it has led for long enough; the others are ended by their parent.
class Replica {
 public:
  Replica(const Load& load, std::uint16_t number) : load_(load), number_(number) {}

  int run() {
    auto disk = PosixDisk::open((load_.folder / name_of(number_)).string(), [this] { inbox_.disk_progress(); },
                                PosixDisk::Begin::on_start);
    if (!disk) return complain(disk.error());
    GrpcTransport transport(identity(), queue_, inbox_);
    auto loop = Loop::open(node(), **disk, transport, clock_, make_raft_factory({}),
                           [this](const GroupConfig&) -> Result<std::unique_ptr<Application>> {
                             auto pump = std::make_unique<Pump>(load_);
                             pump_ = pump.get();
                             return pump;
                           });
    if (!loop) return complain(loop.error());
    if (auto listening = transport.start(endpoint(number_)); !listening) return complain(listening.error());
    LoopThread thread(**loop, queue_, inbox_, {},
                      {.waits = [](RequestId) {},
                       .admits = [](const ClientRequest&) { return false; },
                       .replies = [](std::vector<ClientReply>) {},
                       .calls = [](ServiceCall) {},
                       .ticked =
                           [&](Loop& ticking) {
                             transport.tick();
                             look(ticking);
                           },
                       .failed = [](const Error& error) { std::exit(complain(error)); }});
    thread.start();
    for (;;) pause();
  }

 private:
  static Endpoint endpoint(std::uint16_t number) {
    return {"127.0.0.1", static_cast<std::uint16_t>(first_port + number)};
  }
  static int complain(const Error& error) {
    std::fprintf(stderr, "raft_bench: %s\n", error.message.c_str());
    return 1;
  }
  [[nodiscard]] PeerIdentity identity() const {
    PeerIdentity identity{.cluster = "raft-bench", .self = node_id(name_of(number_)), .incarnation = 1, .nodes = {}};
    for (std::uint16_t i = 1; i <= 3; ++i) {
      identity.nodes[node_id(name_of(i))] = {.name = name_of(i), .endpoint = endpoint(i)};
    }
    return identity;
  }
  [[nodiscard]] NodeConfig node() const {
    NodeConfig config;
    config.self = node_id(name_of(number_));
    config.incarnation = 1;
    config.seed = number_;
    GroupConfig group{.id = GroupId(1), .name = "g1", .role = GroupRole::shard, .members = {}};
    for (std::uint16_t i = 1; i <= 3; ++i) group.members.push_back(node_id(name_of(i)));
    std::sort(group.members.begin(), group.members.end());
    config.groups = {group};
    return config;
  }

  struct Figures {
    SteadyClock::time_point at;
    std::uint64_t entries = 0;
    Wal::Statistics wal;
    double cpu = 0;
  };
  [[nodiscard]] Figures figures(const Loop& loop) const {
    return {SteadyClock::now(), pump_->entries(), loop.statistics().wal, cpu_seconds()};
  }

  void look(Loop& loop) {
    if (!pump_->leads()) {
      led_since_ = {};
      began_ = {};
      return;
    }
    const auto now = SteadyClock::now();
    if (led_since_ == SteadyClock::time_point{}) led_since_ = now;
    if (now - led_since_ < warm_up) return;
    if (began_.at == SteadyClock::time_point{}) began_ = figures(loop);
    if (now - began_.at < load_.duration) return;
    print(figures(loop));
    std::_Exit(0);
  }

  void print(const Figures& end) const {
    const double seconds = std::chrono::duration<double>(end.at - began_.at).count();
    const auto entries = static_cast<double>(end.entries - began_.entries);
    const auto syncs = static_cast<double>(std::max<std::uint64_t>(1, end.wal.syncs - began_.wal.syncs));
    fmt::print(
        "{{\"entries_per_second\": {:.0f}, \"entry_bytes\": {}, \"window\": {}, \"syncs_per_second\": {:.0f}, "
        "\"entries_per_sync\": {:.1f}, \"bytes_per_sync\": {:.0f}, \"leader_cpu_us_per_entry\": {:.2f}}}\n",
        entries / seconds, load_.bytes, load_.window, syncs / seconds, entries / syncs,
        static_cast<double>(end.wal.bytes - began_.wal.bytes) / syncs, (end.cpu - began_.cpu) / entries * 1e6);
    std::fflush(stdout);
  }

  const Load load_;
  const std::uint16_t number_;
  RpcQueue queue_;
  Inbox inbox_{[this] { queue_.wake(); }};
  SystemClock clock_;
  Pump* pump_ = nullptr;  // owned by the loop
  SteadyClock::time_point led_since_;
  Figures began_;
};

int run(const Load& load) {
  std::vector<pid_t> children;
  for (std::uint16_t number = 1; number <= 3; ++number) {
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::exit(Replica(load, number).run());
    }
    children.push_back(child);
  }
  int status = 0;
  const pid_t first = wait(&status);  // the leader, or one that could not begin
  for (const pid_t child : children) {
    if (child != first) kill(child, SIGKILL);
  }
  while (wait(nullptr) > 0) {
  }
  std::filesystem::remove_all(load.folder);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace
}  // namespace assent

int main(int argc, char** argv) {
  if (argc < 2 || argc > 5 || std::filesystem::exists(argv[1])) {
    std::fprintf(stderr, "usage: raft_bench DIR [SECONDS [BYTES [WINDOW]]]; DIR must not exist\n");
    return 2;
  }
  assent::Load load{.folder = argv[1]};
  if (argc > 2) load.duration = std::chrono::seconds(std::atoi(argv[2]));
  if (argc > 3) load.bytes = static_cast<std::size_t>(std::atoi(argv[3]));
  if (argc > 4) load.window = static_cast<std::size_t>(std::atoi(argv[4]));
  std::filesystem::create_directories(load.folder);
  assent::set_up_log({.level = assent::LogLevel::error, .json = false, .node = {}, .sink = {}});
  return assent::run(load);
}
