#include "server/daemon.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/protocol_level.h"
#include "consensus/raft/raft_factory.h"
#include "node/loop_placement.h"
#include "node/loop_set.h"
#include "observe/timeline.h"
#include "server/http_actions.h"
#include "server/http_api.h"
#include "server/http_faults.h"
#include "server/http_txn.h"
#include "server/incarnation.h"
#include "server/log.h"
#include "server/map_config.h"
#include "server/node_setup.h"
#include "server/span_body.h"
#include "server/version.h"
#include "storage/data_directory.h"

namespace assent {

namespace {

constexpr auto drain_time_max = std::chrono::seconds(2);
constexpr auto answers_time_max = std::chrono::seconds(2);

// Several nodes of one machine that leave listen.http alone: the first one has it, and the others serve without.
const Endpoint default_http{"127.0.0.1", 7422};

// Half a second of waiting where a transaction takes 60 ms under load; who waits longer does better to come again.
constexpr std::size_t waiting_per_running = 8;

// Transactions that begin between two looks at what is to be exported.
constexpr std::size_t begun_max = 100'000;

// The map that stands in the data directory, or that another node gave, wins over the configuration.
Result<ServerConfig> with_newest_map(const ServerConfig& config) {
  auto kept = load_map(config.data_dir);
  if (!kept) return fail(kept.error());
  const ClusterMap* newest = config.joined ? &*config.joined : nullptr;
  if (*kept && (newest == nullptr || newest->epoch <= (*kept)->map.epoch)) newest = &(*kept)->map;
  if (newest == nullptr) return config;
  return with_map(config, *newest);
}

}  // namespace

Daemon::Daemon(const ServerConfig& config, const TraceOptions& traces)
    : config_(config),
      traces_(traces),
      cluster_(cluster_view(config)),
      view_(cluster_),
      inbox_([this] { api_.queue().wake(); }),
      pending_(cluster_, config.active_txns_max),
      gate_{.cluster = cluster_,
            .pending = pending_,
            .inbox = inbox_,
            .txn_timeout = config.txn_timeout,
            .txn_protocol = protocol_named(config.txn_protocol).value_or(Protocol::automatic),
            .http_endpoint = config.listen_http ? config.listen_http->text() : "",
            .figures = &calls_},
      watch_clock_(clock_),
      recorder_({.ring = config.trace_ring, .begun_max = begun_max}, watch_clock_),
      observe_(cluster_, recorder_, events_, latencies_),
      http_sources_{.cluster = view_,
                    .inbox = inbox_,
                    .recorder = recorder_,
                    .events = events_,
                    .calls = calls_,
                    .latencies = latencies_,
                    .traffic = traffic_,
                    .draining = draining_,
                    .exporter = exporter_,
                    .data_dir = config.data_dir},
      api_(gate_, observe_, latencies_, config.message_bytes_max),
      failure_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      placement_(cluster_.self),
      spread_(cluster_.self) {}

Result<std::unique_ptr<Daemon>> Daemon::open(const ServerConfig& config, const TraceOptions& traces) {
  auto with_newest = with_newest_map(config);
  if (!with_newest) return fail(std::move(with_newest.error()));
  std::unique_ptr<Daemon> daemon(new Daemon(*with_newest, traces));
  if (auto started = daemon->start(); !started) return fail(std::move(started.error()));
  return daemon;
}

Result<void> Daemon::start() {
  if (failure_event_ < 0) return fail(ErrorCode::io, "cannot make an eventfd: too many open files");
  // Before the data directory is touched: a wrong port is the commonest mistake, and leaves nothing behind.
  std::vector<std::pair<const char*, Endpoint>> ports{{"listen.peer", config_.listen_peer},
                                                      {"listen.client", config_.listen_client}};
  if (config_.listen_http && config_.listen_http != default_http)
    ports.emplace_back("listen.http", *config_.listen_http);
  for (const auto& [key, endpoint] : ports) {
    if (auto free = check_listening(endpoint); !free)
      return fail(ErrorCode::io, fmt::format("{}: {}", key, free.error().message));
  }
  auto tokens = AdminTokens::read(config_.admin_tokens_file);
  if (!tokens) return fail(tokens.error().code, "auth.admin_tokens_file: " + tokens.error().message);
  admin_tokens_ = std::move(*tokens);
  api_.queue().count_in(calls_);
  if (auto opened = open_loop(); !opened) return opened;
  if (auto listening = transport_->start(config_.listen_peer); !listening) {
    return fail(ErrorCode::io, "listen.peer: " + listening.error().message);
  }
  if (auto listening = api_.start(config_.listen_client); !listening) {
    return fail(ErrorCode::io, "listen.client: " + listening.error().message);
  }
  open_export();
  begin_threads();
  return open_http();
}

void Daemon::open_export() {
  const auto tls = read_tls_files(traces_);
  if (!tls) {
    LogEvent(LogLevel::warn, "trace", "nothing is exported")
        .field("error", "OTEL_EXPORTER_OTLP_...CERTIFICATE or KEY: " + tls.error().message)
        .write();
  }
  if (traces_.exports && tls) {
    auto sender = traces_.protocol == OtlpProtocol::grpc
                      ? grpc_span_sender(traces_, api_.queue(),
                                         [this](std::function<void()> run) {
                                           return inbox_.post([run = std::move(run)](Loop&) { run(); });
                                         })
                      : http_span_sender(traces_);
    exporter_ = std::make_unique<SpanExporter>(traces_, std::move(sender), SystemClock::wall_micros());
    exporter_->start();
  }
  collector_ = std::make_unique<SpanCollector>(recorder_, observe_, exporter_.get(), clock_, traces_.sampler);
}

Result<void> Daemon::open_http() {
  if (!config_.listen_http) return {};
  add_health_routes(http_, http_sources_);
  add_metrics_route(http_, http_sources_);
  add_api_routes(http_, http_sources_, observe_);
  add_action_routes(http_, http_sources_, observe_, admin_tokens_);
  if (config_.dev_faults) add_fault_route(http_, {view_, inbox_, *transport_, disks(), recorder_, admin_tokens_});
  add_txn_routes(http_, {.cluster = view_,
                         .own_endpoint = config_.listen_client.text(),
                         .queue = api_.queue(),
                         .draining = draining_,
                         .tokens = admin_tokens_});
  add_dashboard_routes(http_);
  auto listening = http_.start(*config_.listen_http);
  if (listening) return {};
  if (config_.listen_http != default_http) return fail(ErrorCode::io, "listen.http: " + listening.error().message);
  LogEvent(LogLevel::warn, "http", "no http port: another process has the default address")
      .field("listen.http", config_.listen_http->text())
      .field("next", "give each node of this machine a listen.http of its own, or off")
      .write();
  return {};
}

Result<void> Daemon::open_loop() {
  auto disk = PosixDisk::open(
      config_.data_dir, [this] { inbox_.disk_progress(); }, PosixDisk::Begin::on_start);
  if (!disk) return fail(std::move(disk.error()));
  disk_ = std::move(*disk);
  const std::uint64_t disk_number = config_.rejoin ? SystemClock::wall_micros() : 0;
  const auto mine = claim_data_directory(*disk_, {.cluster = config_.cluster_name,
                                                  .node = config_.node_name,
                                                  .disk = disk_number,
                                                  .generation = config_.generation,
                                                  .loops = config_.loops});
  if (!mine) return fail(mine.error());
  cluster_.disk = mine->disk;
  cluster_.generation = mine->generation;
  view_.set(cluster_);
  const Result<Incarnation> incarnation = next_incarnation(config_.data_dir, SystemClock::wall_micros());
  if (!incarnation) return fail(incarnation.error());
  auto memory = PeerMemory::open(config_.data_dir);
  if (!memory) return fail(memory.error());
  auto levels = LevelMemory::open(config_.data_dir);
  if (!levels) return fail(levels.error());
  levels_ = std::make_unique<LevelMemory>(std::move(*levels));
  PeerIdentity identity = peer_identity(config_, *incarnation);
  identity.disk = mine->disk;
  identity.generation = mine->generation;
  identity.memory = std::make_shared<PeerMemory>(std::move(*memory));
  transport_ = std::make_unique<GrpcTransport>(std::move(identity), api_.queue(), inbox_, config_.snapshot_rate);
  auto tls = read_service_tls(config_.services_ca_file, config_.services_cert_file, config_.services_key_file);
  if (!tls) return fail(tls.error().code, "services: " + tls.error().message);
  services_ = std::make_unique<ServiceGateway>(
      api_.queue(), inbox_, cluster_.groups,
      ServiceGatewayOptions{.trace = [this](const TxnId& txn, std::string_view method,
                                            const std::string& branch) { return trace_headers(txn, method, branch); },
                            .figures = &calls_,
                            .tls = std::move(*tls)});
  if (config_.joined && cluster_.epoch != 0 && config_.joined->epoch == cluster_.epoch) {
    if (auto saved = save_map(config_.data_dir, {config_.cluster_name, cluster_.map}); !saved) return saved;
  }
  auto loop = open_loops(incarnation->now);
  if (!loop) return fail(std::move(loop.error()));
  loop_ = std::move(*loop);
  loop_->observe({.applied = {},
                  .leadership = [this](GroupId group, const Leadership& led) { watch_leadership(group, led); },
                  .snapshot_refused =
                      [this](GroupId group, NodeId from, const Error& why) {
                        LogEvent(LogLevel::error, "store",
                                 "a snapshot of another node cannot be restored here and was not kept; is that node of "
                                 "a newer build?")
                            .field("group", cluster_.groups.name(group))
                            .field("from", from.value)
                            .field("error", why.message)
                            .write_at_most_every(10, "snapshot refused");
                      },
                  .left = [this](const GroupConfig& group) { forget(group); },
                  .remade = [this](const GroupConfig& group) { data_remade(group); }});
  loop_->know_shards(shards_of(cluster_));
  loop_->announce({cluster_.epoch, encode(cluster_.map)});
  observe_.look_at(*loop_);
  recorder_.set_wall(SystemClock::wall_micros());
  loop_->watch(&recorder_);
  note(NodeEventKind::started, {}, fmt::format("node {} started", config_.node_name));
  const WalRecovery& recovery = loop_->recovery();
  LogEvent(LogLevel::info, "store", "data directory open")
      .field("data_dir", config_.data_dir)
      .field("groups", recovery.groups.size())
      .field("segments", recovery.segments)
      .field("records", recovery.records)
      .field("torn_bytes", recovery.torn_bytes)
      .write();
  for (const std::string& damage : recovery.damages) {
    LogEvent(LogLevel::error, "store", "damage on the disk; this node goes on with what is whole")
        .field("damage", damage)
        .field("next", "look at the disk")
        .write();
  }
  // Here already: a leader may have sent them before the group is looked at for the first time.
  for (const auto& [group, lost] : recovery.lost) say_lost(group, describe_lost(lost));
  return {};
}

// For a service that is called: its spans belong below that of the call. Nothing where nobody would see them.
TraceHeaders Daemon::trace_headers(const TxnId& txn, std::string_view method, const std::string& branch) const {
  const TxnRecord* record = recorder_.find(txn);
  if (record == nullptr || (!record->caller && !traces_.exports)) return {};
  const std::string state = record->caller ? record->caller->state : std::string();
  if (!traces_.exports) return {to_traceparent(*record->caller), state};
  const bool chosen = chosen_at_head(*record, traces_.sampler);
  return {fmt::format("00-{}-{}-{}", trace_id_of(*record), call_span_id(txn.to_hex(), method, branch),
                      chosen ? "01" : "00"),
          state};
}

// The first loop lives in the thread of the completion queue, the others have threads of their own.
Result<std::unique_ptr<Loop>> Daemon::open_loops(std::uint64_t incarnation) {
  NodeConfig config = node_config(config_, cluster_, incarnation);
  config.levels = levels_.get();
  const LogFactory logs = make_raft_factory(raft_options(config_));
  const std::size_t loops = config_.loops;
  stores_.resize(loops);
  if (loops == 1) {
    return Loop::open(config, *disk_, *transport_, clock_, logs, application_factory(config_, stores_.front()));
  }
  config.application_disk = disk_.get();  // databases lie beside each other, whichever loop their group is in
  if (auto made = disk_->make_folder("loops"); !made) return fail(made.error());
  if (auto kept = disk_->sync_directory(""); !kept) return fail(kept.error());
  std::vector<std::unique_ptr<Lane>> lanes;
  auto first = InlineLane::open(lane_config(config, 0, loops), *disk_, clock_, logs,
                                application_factory(config_, stores_.front()));
  if (!first) return fail(first.error());
  lanes.push_back(std::move(*first));
  std::vector<ThreadLane*> threads;
  for (std::size_t i = 1; i < loops; ++i) {
    auto lane = ThreadLane::open({.config = lane_config(config, i, loops),
                                  .folder = (std::filesystem::path(config_.data_dir) / loop_folder(i)).string(),
                                  .logs = logs,
                                  .applications = application_factory(config_, stores_[i]),
                                  .wake = [this] { static_cast<void>(inbox_.post([](Loop&) {})); },
                                  .left = [&stores = stores_[i]](const GroupConfig& group) { stores.erase(group.id); }},
                                 clock_, watch_clock_);
    if (!lane) return fail(lane.error());
    threads.push_back(lane->get());
    lanes.push_back(std::move(*lane));
  }
  lanes_ = std::move(threads);
  return make_loop_set(config, std::move(lanes), *transport_);
}

void Daemon::begin_threads() {
  for (ThreadLane* lane : lanes_) lane->start();
  thread_ = std::make_unique<LoopThread>(
      *loop_, api_.queue(), inbox_,
      AdmissionLimits{.running_max = config_.concurrent_txns_max,
                      .waiting_max = waiting_per_running * config_.concurrent_txns_max},
      LoopThread::Hooks{.waits = [this](RequestId id) { recorder_.waits(id); },
                        .admits =
                            [this](const ClientRequest& request) {
                              const bool begins = pending_.begin(request.id, std::chrono::steady_clock::now());
                              if (!begins) recorder_.gave_up(request.id);
                              return begins;
                            },
                        .replies =
                            [this](std::vector<ClientReply> replies) {
                              for (const ClientReply& reply : replies) recorder_.gave_up(reply.id);
                              pending_.answer(std::move(replies));
                            },
                        .calls = [this](ServiceCall call) { services_->call(std::move(call)); },
                        .ticked = [this](Loop& loop) { ticked(loop); },
                        .failed = [this](const Error& error) { failed(error); }});
  thread_->start();
  begin_scrub();
  LogEvent(LogLevel::info, "node", "started")
      .field("version", version)
      .field("level", protocol_level())
      .field("name", config_.node_name)
      .field("cluster", config_.cluster_name)
      .field("client", config_.listen_client.text())
      .field("peer", config_.listen_peer.text())
      .field("http", config_.listen_http ? config_.listen_http->text() : "off")
      .field("traces", traces_.text())
      .field("coordinators", cluster_.groups.list(GroupKind::coordinator))
      .field("shards", cluster_.groups.list(GroupKind::shard))
      .write();
}

void Daemon::begin_scrub() {
  if (config_.scrub_rate == 0) return;
  scrub_ = std::make_unique<ScrubThread>(
      ScrubOptions{.data_dir = config_.data_dir, .bytes_per_second = config_.scrub_rate, .every = config_.scrub_every},
      inbox_, [this](const Scrubber::Damage& damage, bool repaired) { damage_found(damage, repaired); });
  if (const auto started = scrub_->start(); !started) {
    LogEvent(LogLevel::warn, "scrub", "nothing is scrubbed").field("error", started.error().message).write();
  }
}

Daemon::~Daemon() {
  stop();
  if (transport_ != nullptr) transport_->stop();  // of a start that failed half-way
  api_.stop();
  if (failure_event_ >= 0) close(failure_event_);
}

std::optional<Error> Daemon::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Daemon::stop() {
  if (thread_ == nullptr) return;
  LogEvent(LogLevel::info, "node", "stopping").write();
  {
    std::unique_lock lock(mutex_);
    draining_ = true;
    if (!failure_) drained_event_.wait_for(lock, drain_time_max, [this] { return drained_ || failure_.has_value(); });
  }
  pending_.close();
  const auto until = std::chrono::steady_clock::now() + answers_time_max;
  while (!failure() && pending_.size() > 0 && std::chrono::steady_clock::now() < until) usleep(2'000);
  http_.stop();  // while the loop still answers its handlers
  if (exporter_ != nullptr) exporter_->stop();
  if (scrub_ != nullptr) scrub_->stop();
  thread_->stop();
  for (ThreadLane* lane : lanes_) lane->stop();
  pending_.abandon();
  services_->stop();
  observe_.stop();
  transport_->stop();
  api_.stop();
  thread_.reset();
  scrub_.reset();
  if (!failure()) {
    for (const OpenStores& stores : stores_) {
      for (const auto& [group, store] : stores) {
        if (const auto done = store->commit(); !done)
          LogEvent(LogLevel::warn, "store", "last commit failed; the log has it")
              .field("error", done.error().message)
              .write();
      }
    }
  }
  loop_.reset();
  lanes_.clear();
  transport_.reset();
  disk_.reset();
  LogEvent(LogLevel::info, "node", "stopped").write();
}

std::vector<PosixDisk*> Daemon::disks() const {
  std::vector<PosixDisk*> all{disk_.get()};
  for (ThreadLane* lane : lanes_) all.push_back(&lane->disk());
  return all;
}

}  // namespace assent
