#include "sim/services/service_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "sim/client.h"
#include "sim/explore/sides.h"
#include "sim/services/connection.h"
#include "sim/services/services.h"
#include "sim/sim_clock.h"

namespace assent::sim {
namespace {

using explore::CoordinatorSide;
using explore::ShardSide;
using explore::SideOptions;

constexpr GroupId coordinator_group{1};
constexpr Micros tick_length = 10 * millisecond;
constexpr Micros hop = 1 * millisecond;
constexpr Micros patience = 150 * second;
constexpr Micros short_absence = 40 * millisecond;
constexpr Micros long_absence = 15 * second;

enum class GroupFault : std::uint8_t { none, dies_silent_kept, dies_silent_lost, dies_after_kept, dies_after_lost };
constexpr std::array<std::string_view, 5> group_faults = {
    "", "the leader dies before it sends, its log survives", "the leader dies before it sends, its log is lost",
    "the leader dies when it has sent, its log survives", "the leader dies when it has sent, its log is lost"};
constexpr std::array<std::string_view, 4> ways = {"", "lost", "comes twice", "comes after every time-out"};
struct RequestFault {
  Mishap mishap = Mishap::none;
  bool for_long = false;
};
constexpr std::array<RequestFault, 10> request_faults = {{{Mishap::none, false},
                                                          {Mishap::unsent, false},
                                                          {Mishap::unanswered, false},
                                                          {Mishap::late, false},
                                                          {Mishap::client_dies_before, false},
                                                          {Mishap::client_dies_before, true},
                                                          {Mishap::client_dies_after, false},
                                                          {Mishap::client_dies_after, true},
                                                          {Mishap::server_dies_before, false},
                                                          {Mishap::server_dies_after, false}}};

SideOptions side_options(unsigned shards) {
  SideOptions options;
  options.conductor.self = coordinator_group;
  for (unsigned i = 0; i < shards; ++i) options.conductor.shards.emplace_back(2 + i);
  options.conductor.timeout_ticks = 200;
  options.conductor.resend_ticks = 10;
  options.conductor.resend_ticks_max = 40;
  options.conductor.end_ticks = 2;
  options.conductor.note_ticks = 2;
  options.conductor.service_failures_max = 3;
  options.conductor.failing_ticks = 60;
  options.conductor.resolve_ticks = 20;
  options.caretaker.prepare_timeout_ticks = 100;
  options.caretaker.resend_ticks = 10;
  options.caretaker.resend_ticks_max = 40;
  options.caretaker.resolve_ticks = 50;
  return options;
}

Swarm swarm_of(const DrillCase& which) {
  Swarm swarm;
  swarm.nodes = 1;
  for (std::size_t i = 0; i < which.parts.size(); ++i) {
    ServiceSpec spec;
    spec.name = fmt::format("v{}", i + 1);
    spec.target = fmt::format("{}:7000", spec.name);
    spec.kind = which.parts[i].kind;
    swarm.services.push_back(std::move(spec));
  }
  return swarm;
}

template <class Side>
struct Group {
  GroupId id;
  std::string name;
  Epoch epoch;
  Index index;
  ClusterMillis stamp;
  std::unique_ptr<Side> leader;
  std::deque<typename Side::Command> pending;
};

class Drill final : private ServiceScript {
 public:
  Drill(const DrillCase& which, std::span<const ServiceStrike> plan, bool narrate);
  ServiceDrillResult run();

 private:
  // ---- ServiceScript ----
  Way call(const std::string& what) override { return way("call " + what, 3); }
  Way reply(const std::string& what) override {
    const unsigned fault = point("answer to " + what, 2);
    return fault == 0 ? Way::through : fault == 1 ? Way::lost : Way::late;
  }
  Mishap request(const std::string& site, std::string_view what) override;
  Mood work(const std::string& site, std::string_view what) override;
  Micros absence() override { return for_long_ ? long_absence : short_absence; }

  // Which fault strikes here; 0: none.
  unsigned point(std::string name, unsigned faults);
  Way way(std::string name, unsigned faults) { return static_cast<Way>(point(std::move(name), faults)); }

  void execute();
  [[nodiscard]] Execute content() const;
  [[nodiscard]] ClusterMillis now() const { return ClusterMillis(epoch_millis + schedule_.now() / 1000); }
  template <class Side>
  void pump(Group<Side>& group);
  template <class Side>
  void commit_later(Group<Side>& group);
  template <class Side>
  void apply_one(Group<Side>& group, bool tell);
  template <class Side>
  void elect(Group<Side>& group, bool kept);
  template <class Output>
  void carry(Output& output);
  void judge(GroupId group, const Entry& entry, const CoordinatorCommand& command) {
    static_cast<void>(group);
    txns_.coordinator_applied(entry, command);
  }
  void judge(GroupId group, const Entry& entry, const ShardCommand& command);
  void deliver(const Envelope& envelope);
  void replied(const ClientReply& reply);
  void tick();
  template <class F>
  void with(GroupId group, F f);
  [[nodiscard]] std::string unrest() const;
  bool run_until(const std::function<bool()>& done);

  const DrillCase& which_;
  std::span<const ServiceStrike> plan_;
  ServiceDrillResult result_;
  const Swarm swarm_;
  const SideOptions options_;
  Schedule schedule_;
  Recorder recorder_;
  TxnChecker txns_;
  Group<CoordinatorSide> coordinator_;
  std::vector<Group<ShardSide>> shards_;
  std::unique_ptr<Services> services_;
  TxnId txn_;
  bool for_long_ = false;
  bool quiet_ = false;  // the run is over, what is asked now passes no points
  std::uint64_t last_request_ = 0;
  std::map<RequestId, Client::Reply> askers_;
  std::uint64_t lives_ = 0;  // of the coordinator's leader
  unsigned resends_ = 0;     // that its client is about to do
};

Drill::Drill(const DrillCase& which, std::span<const ServiceStrike> plan, bool narrate)
    : which_(which),
      plan_(plan),
      swarm_(swarm_of(which)),
      options_(side_options(which.shards)),
      recorder_(schedule_, narrate ? std::optional(TimeSpan{}) : std::nullopt),
      txns_(recorder_, coordinator_group, TimeWindow{}),
      txn_(TxnId::make(ClusterMillis(epoch_millis), 7, 7)) {
  ServiceScript& script = *this;
  const auto make_client = [this](const std::string& label) {
    Client::Options options;
    options.reply_timeout = 2 * second;
    options.members[coordinator_group] = {NodeId(1)};
    options.coordinator = coordinator_group;
    return std::make_unique<Client>(
        schedule_, recorder_, Rng(1).split(label), options, [this](const Client::Call& asked, Client::Reply reply) {
          schedule_.after(hop, [this, asked, reply] {
            const RequestId id(++last_request_);
            askers_.emplace(id, reply);
            coordinator_.leader->driver.request(ClientRequest{id, coordinator_group, asked.body});
            pump(coordinator_);
          });
        });
  };
  GroupConfig config;
  config.id = coordinator_group;
  config.name = "c0";
  services_ = std::make_unique<Services>(swarm_, Rng(1), schedule_, recorder_, txns_, config, make_client, &script);
  const auto found = [this](auto& group, GroupId id, std::string name) {
    using Side = std::decay_t<decltype(*group.leader)>;
    group.id = id;
    group.name = std::move(name);
    group.epoch = Epoch(1);
    group.leader = std::make_unique<Side>(options_, id);
    group.leader->driver.lead(group.epoch);
  };
  found(coordinator_, coordinator_group, "c0");
  shards_.resize(which.shards);
  for (unsigned i = 0; i < which.shards; ++i) found(shards_[i], GroupId(2 + i), fmt::format("s{}", i + 1));
}

// ---- points ----

unsigned Drill::point(std::string name, unsigned faults) {
  if (quiet_) return 0;
  const std::size_t at = result_.points.size();
  result_.points.push_back({std::move(name), faults});
  if (result_.struck >= plan_.size() || plan_[result_.struck].at != at) return 0;
  const unsigned fault = plan_[result_.struck++].fault;
  recorder_.say("*** fault {} at {}", fault, result_.points.back().name);
  return fault;
}

Mishap Drill::request(const std::string& site, std::string_view what) {
  const unsigned fault = point(fmt::format("request {} of {}", what, site), request_faults.size() - 1);
  for_long_ = request_faults[fault].for_long;
  return request_faults[fault].mishap;
}

// A retriable step may not refuse, and what it throws would be a no.
Mood Drill::work(const std::string& site, std::string_view what) {
  const bool voting = what == "prepare";
  const unsigned fault = point(fmt::format("work {} of {}", what, site), voting ? 3 : 1);
  if (fault == 0) return Mood::fine;
  if (what == "retriable step") return Mood::puts_off;
  if (!voting) return Mood::fails;
  return fault == 1 ? Mood::refuses : fault == 2 ? Mood::puts_off : Mood::fails;
}

std::string fault_name(const PassedPoint& at, unsigned fault) {
  if (at.name.starts_with("call ")) return std::string(ways.at(fault));
  if (at.name.starts_with("answer ")) return fault == 1 ? "lost" : std::string(ways.at(3));
  if (at.name.starts_with("request ")) {
    const RequestFault& one = request_faults.at(fault);
    return fmt::format("{}{}", to_string(one.mishap), one.for_long ? ", for long" : "");
  }
  if (at.name.starts_with("group ")) return std::string(group_faults.at(fault));
  if (at.faults == 1) return "not now";
  return fault == 1 ? "refuses" : fault == 2 ? "puts off" : "throws";
}

// ---- groups ----

template <class F>
void Drill::with(GroupId group, F f) {
  if (group == coordinator_group) return f(coordinator_);
  for (auto& shard : shards_) {
    if (shard.id == group) return f(shard);
  }
}

template <class Output>
void Drill::carry(Output& output) {
  for (Envelope& envelope : output.send) {
    schedule_.after(hop, [this, envelope = std::move(envelope)] { deliver(envelope); });
  }
  for (const ServiceCall& call : output.call) {
    const auto heard = [this, life = lives_](const ServiceAnswered& answered) {
      if (life != lives_) return;
      coordinator_.leader->driver.receive(Envelope{answered.from, coordinator_group, answered.message});
      pump(coordinator_);
    };
    services_->call(ServiceCaller{NodeId(1), lives_, heard}, call);
  }
  for (const ClientReply& reply : output.reply) replied(reply);
}

template <class Side>
void Drill::pump(Group<Side>& group) {
  for (;;) {
    auto output = group.leader->driver.take_output();
    if (output.empty()) return;
    const bool says = !output.propose.empty() || !output.send.empty() || !output.call.empty() || !output.reply.empty();
    const auto fault = static_cast<GroupFault>(says ? point("group " + group.name + " steps", 4) : 0);
    for (auto& command : output.propose) group.pending.push_back(std::move(command));
    if (!output.propose.empty()) commit_later(group);
    const bool silent = fault == GroupFault::dies_silent_kept || fault == GroupFault::dies_silent_lost;
    if (!silent) carry(output);
    if (fault != GroupFault::none) {
      return elect(group, fault == GroupFault::dies_silent_kept || fault == GroupFault::dies_after_kept);
    }
    for (const ReadId read : output.read) group.leader->driver.read_ready(read);
  }
}

template <class Side>
void Drill::commit_later(Group<Side>& group) {
  schedule_.after(hop, [this, &group, epoch = group.epoch] {
    while (group.epoch == epoch && !group.pending.empty()) {
      apply_one(group, true);
      pump(group);
    }
  });
}

template <class Side>
void Drill::apply_one(Group<Side>& group, bool tell) {
  const auto command = std::move(group.pending.front());
  group.pending.pop_front();
  group.index = group.index.next();
  group.stamp = std::max(group.stamp, now());
  group.leader->apply(EntryContext{group.epoch, group.index, group.stamp}, command, tell);
  Entry entry;
  entry.epoch = group.epoch;
  entry.index = group.index;
  entry.stamp = group.stamp;
  judge(group.id, entry, command);
}

void Drill::judge(GroupId group, const Entry& entry, const ShardCommand& command) {
  Register after;
  with(group, [&](auto& one) {
    if constexpr (requires { one.leader->store; }) {
      const Shard& machine = one.leader->machine;
      if (const PreparedTxn* prepared = machine.prepared(txn_)) {
        after = {Register::State::prepared, prepared->attempt, prepared->protocol, prepared->fingerprint, {}};
      } else if (const FinishedTxn* finished = machine.finished(txn_)) {
        const bool committed = finished->outcome == Outcome::committed;
        after = {committed ? Register::State::committed : Register::State::aborted,
                 finished->attempt,
                 finished->protocol,
                 finished->fingerprint,
                 {}};
      }
    }
  });
  txns_.shard_applied(group, entry, command, after);
}

template <class Side>
void Drill::elect(Group<Side>& group, bool kept) {
  recorder_.say("group {} has another leader", group.name);
  auto next = std::make_unique<Side>(options_, group.id);
  next->succeed(*group.leader);
  group.leader = std::move(next);
  if (!kept) group.pending.clear();
  while (!group.pending.empty()) apply_one(group, false);
  group.epoch = group.epoch.next();
  group.leader->driver.lead(group.epoch);
  if (group.id == coordinator_group) {
    ++lives_;
    ++resends_;
    schedule_.after(20 * millisecond, [this] {
      --resends_;
      if (!quiet_) execute();  // its client heard nothing, and sends it again
    });
  }
  pump(group);
}

void Drill::deliver(const Envelope& envelope) {
  with(envelope.to, [&](auto& group) {
    group.leader->driver.receive(envelope);
    pump(group);
  });
}

void Drill::tick() {
  coordinator_.leader->driver.tick();
  pump(coordinator_);
  for (auto& shard : shards_) {
    shard.leader->driver.tick();
    pump(shard);
  }
  schedule_.after(tick_length, [this] { tick(); });
}

void Drill::replied(const ClientReply& reply) {
  if (reply.answer) {
    if (const auto* answer = std::get_if<TxnAnswer>(&*reply.answer)) txns_.told(coordinator_group, *answer, false);
  }
  const auto found = askers_.find(reply.id);
  if (found == askers_.end()) return;
  const Client::Reply asker = found->second;
  askers_.erase(found);
  schedule_.after(hop, [asker, answer = reply.answer] { asker(answer); });
}

// ---- the run ----

Execute Drill::content() const {
  Execute execute;
  execute.txn = txn_;
  execute.mode = which_.mode;
  for (const auto& shard : shards_) {
    execute.branches.push_back(Branch{shard.id, {KvAdd{"tally", 1, std::nullopt, std::nullopt}}});
  }
  for (std::size_t i = 0; i < which_.parts.size(); ++i) {
    const ServiceSpec& spec = swarm_.services[i];
    ServiceWork work;
    work.at = {fmt::format("b{}", i), spec.target, spec.name};
    work.retriable = which_.parts[i].retriable;
    work.payload = spec.kind == ServiceKind::ledger ? std::string(work.retriable ? "retriable a" : "voting a")
                                                    : statements_of({txn_, work.at.name}, "a", -1, false);
    execute.branches.push_back(Branch{GroupId(first_service.value + i), {}, std::move(work)});
  }
  return execute;
}

void Drill::execute() {
  const Execute execute = content();
  txns_.invoked(execute);
  services_->invoked(execute);
  coordinator_.leader->driver.request(ClientRequest{RequestId(++last_request_), coordinator_group, execute});
  pump(coordinator_);
}

std::string Drill::unrest() const {
  if (resends_ > 0) return "the client sends it again";
  if (!coordinator_.pending.empty() || coordinator_.leader->driver.active() > 0) return "the coordinator is at it";
  if (!coordinator_.leader->machine.begun().empty() || !coordinator_.leader->machine.open().empty()) {
    return "the coordinator has not ended it";
  }
  for (const auto& shard : shards_) {
    if (!shard.pending.empty() || shard.leader->machine.prepared(txn_) != nullptr) return shard.name + " is in doubt";
  }
  return services_->unrest();
}

bool Drill::run_until(const std::function<bool()>& done) {
  const Micros deadline = schedule_.now() + patience;
  Micros next_look = 0;
  while (!recorder_.failed()) {
    if (schedule_.now() >= next_look) {
      if (done()) return true;
      next_look = schedule_.now() + 5 * millisecond;
    }
    if (schedule_.now() >= deadline) return false;
    schedule_.run_next();
  }
  return true;
}

ServiceDrillResult Drill::run() {
  services_->start();
  services_->begin();
  tick();
  execute();
  std::string found;
  if (!run_until([&] { return (found = unrest()).empty(); })) recorder_.stuck("A5 termination: in the end " + found);
  quiet_ = true;
  // Whoever asks with seal is told, and who sends it again changes nothing.
  bool told = recorder_.failed();
  if (!told) {
    const RequestId id(++last_request_);
    askers_.emplace(id, [&](const Result<ClientAnswer>& answer) {
      const auto* one = answer ? std::get_if<TxnAnswer>(&*answer) : nullptr;
      told = one != nullptr && (one->state == TxnState::committed || one->state == TxnState::aborted);
      if (told) result_.committed = one->state == TxnState::committed;
    });
    coordinator_.leader->driver.request(ClientRequest{id, coordinator_group, GetOutcome{txn_, true, 0}});
    pump(coordinator_);
    if (!run_until([&] { return told; })) recorder_.wrong("A6 honest answer: asked with seal, nobody can say it");
  }
  if (!recorder_.failed()) execute();
  if (!recorder_.failed() && !run_until([&] { return (found = unrest()).empty(); })) {
    recorder_.stuck("A5 termination: sent once more, in the end " + found);
  }
  if (!recorder_.failed()) {
    txns_.judge_settled();
    services_->judge_settled();
  }
  result_.broken = recorder_.why();
  return std::move(result_);
}

}  // namespace

const std::vector<DrillCase>& drill_cases() {
  constexpr DrillPart service{ServiceKind::ledger, false};
  constexpr DrillPart step{ServiceKind::ledger, true};
  constexpr DrillPart postgres{ServiceKind::postgres, false};
  constexpr DrillPart mariadb{ServiceKind::mariadb, false};
  static const std::vector<DrillCase> all = {
      {"shard-service", Mode::atomic, 1, {service}},
      {"service-service", Mode::atomic, 0, {service, service}},
      {"shard-postgres", Mode::atomic, 1, {postgres}},
      {"shard-mariadb", Mode::atomic, 1, {mariadb}},
      {"postgres-mariadb", Mode::atomic, 0, {postgres, mariadb}},
      {"tcc", Mode::tcc, 0, {service, service}},
      {"saga", Mode::saga, 0, {service, service, step}},
      {"concurrent-saga", Mode::concurrent_saga, 0, {service, service}},
      {"saga-shard-postgres", Mode::saga, 1, {service, postgres}},
  };
  return all;
}

ServiceDrillResult run_drill(const DrillCase& which, std::span<const ServiceStrike> plan, bool narrate) {
  return Drill(which, plan, narrate).run();
}

std::string describe_plan(const DrillCase& which, std::span<const ServiceStrike> plan) {
  const ServiceDrillResult result = run_drill(which, plan);
  std::string text;
  for (const ServiceStrike& strike : plan) {
    if (strike.at >= result.points.size()) continue;
    const PassedPoint& at = result.points[strike.at];
    text += fmt::format("{} at point {}, {}\n", fault_name(at, strike.fault), strike.at, at.name);
  }
  return text;
}

ServiceMatrixResult run_service_matrix(const DrillCase& which, std::uint64_t stride,
                                       const std::function<void(const ServiceMatrixResult&)>& progress) {
  ServiceMatrixResult all;
  std::uint64_t number = 0;
  const auto judge = [&](const std::vector<ServiceStrike>& plan, const ServiceDrillResult& result) {
    all.committed += result.committed ? 1 : 0;
    if (!result.broken.empty()) {
      all.broken = result.broken;
      all.plan = plan;
    }
    return all.broken.empty();
  };
  const ServiceDrillResult whole = run_drill(which, {});
  all.points = whole.points.size();
  if (!judge({}, whole)) return all;
  for (std::size_t at = 0; at < whole.points.size(); ++at) {
    for (unsigned fault = 1; fault <= whole.points[at].faults; ++fault) {
      const std::vector<ServiceStrike> one = {{at, fault}};
      const ServiceDrillResult first = run_drill(which, one);
      ++all.singles;
      if (!judge(one, first)) return all;
      for (std::size_t next = at + 1; stride > 0 && next < first.points.size(); ++next) {
        for (unsigned other = 1; other <= first.points[next].faults; ++other) {
          if (++number % stride != 0) continue;
          const std::vector<ServiceStrike> two = {{at, fault}, {next, other}};
          ++all.pairs;
          if (!judge(two, run_drill(which, two))) return all;
        }
      }
      if (progress) progress(all);
    }
  }
  return all;
}

}  // namespace assent::sim
