#include "sim/services/service_site.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "sim/sim_clock.h"

namespace assent::sim {
namespace {

using service::Answer;
using service::Branch;
using service::Vote;
using std::chrono::milliseconds;

constexpr unsigned accounts = 3;
constexpr unsigned depth_max = 3;
constexpr Micros look_gap = 250 * millisecond;
constexpr milliseconds patience{600};
// The longest that clocks of services and nodes lie apart, and an id is accepted beyond its retention.
constexpr std::uint64_t slack_millis = 5'000;

// The author's own: takes from an account at prepare and gives it back at abort. Each is counted.
class Ledger final : public service::Participant<Connection> {
 public:
  // What it does when it is asked that: "prepare", "commit", "abort".
  using Moods = std::function<Mood(std::string_view)>;

  explicit Ledger(Moods moods) : moods_(std::move(moods)) {}

  Vote prepare(const Branch& branch, Connection& db, ByteView payload) override {
    const bool retriable = payload.starts_with("retriable");
    const Mood mood = moods_(retriable ? "retriable step" : "prepare");
    if (mood == Mood::puts_off) return Vote::later("the other side of it is closed for a while");
    must(record(db, Effect::Kind::did, {branch.txn, branch.name}));
    const auto taken = add(db, account_of(payload), -1);
    if (!taken && taken.error().code == ErrorCode::busy) return Vote::later(taken.error().message);
    must(taken);
    if (mood == Mood::fails) throw std::runtime_error("it falls over");
    if (mood == Mood::refuses) return Vote::no("NOT_NOW", "it is refused for a reason of its own");
    return Vote::yes("done");
  }
  Result<void> commit(const Branch& branch, Connection& db, ByteView) override {
    if (moods_("commit") != Mood::fine) return trouble();
    return record(db, Effect::Kind::confirmed, {branch.txn, branch.name});
  }
  Result<void> abort(const Branch& branch, Connection& db, ByteView payload) override {
    if (auto done = record(db, Effect::Kind::undone, {branch.txn, branch.name}); !done) return done;
    if (moods_("abort") != Mood::fine) return trouble();
    return add(db, account_of(payload), 1);
  }

 private:
  // What the author's library does when a statement fails.
  static void must(const Result<void>& done) {
    if (!done) throw std::runtime_error(done.error().message);
  }
  static Result<void> trouble() { return fail(ErrorCode::io, "what it needs for that is not there just now"); }
  static std::string account_of(ByteView payload) { return std::string(payload.substr(payload.find(' ') + 1)); }

  const Moods moods_;
};

std::string identity_of(Rng& rng) { return fmt::format("{:016x}{:016x}", rng.next(), rng.next()); }

service::Attempt attempt_of(const assent::Attempt& attempt) { return {attempt.epoch.value, attempt.number}; }

}  // namespace

// What a process has in its memory.
struct ServiceSite::Life {
  ClientNumber client = 0;
  bool dead = false;
  std::unique_ptr<SimBarrier> barrier;
  std::unique_ptr<PreparingDatabase> preparing;
  std::unique_ptr<service::Participant<Connection>> participant;
  std::unique_ptr<service::Branches> branches;
  std::unique_ptr<service::Doubts> doubts;
  std::unique_ptr<agent::Sweep> sweep;
  std::map<TxnId, TxnAnswer> answers;  // final ones, to its questions
  std::map<TxnId, bool> asked;
};

ServiceSite::ServiceSite(const ServiceSpec& spec, const Around& around, Rng rng)
    : spec_(spec),
      around_(around),
      swarm_(around.swarm),
      schedule_(around.schedule),
      recorder_(around.recorder),
      script_(around.script),
      rng_(rng),
      database_(identity_of(rng_), *this) {
  for (unsigned i = 0; i < spec.processes; ++i) {
    processes_.push_back(Process{i, nullptr, around.make_client(fmt::format("{} {}", spec.name, i))});
  }
}

ServiceSite::~ServiceSite() = default;

ClusterMillis ServiceSite::now() {
  return ClusterMillis(epoch_millis + schedule_.now() / 1000 + spec_.clock_ahead_millis);
}

// ---- life ----

void ServiceSite::start() {
  for (Process& process : processes_) start(process);
}

void ServiceSite::start(Process& process) {
  if (process.life) return;
  auto life = std::make_shared<Life>();
  life->client = ++last_client_;
  const bool promises = spec_.kind == ServiceKind::postgres;
  life->barrier = std::make_unique<SimBarrier>(database_, life->client, promises);
  service::BranchesOptions options;
  options.name = spec_.name;
  options.retention = milliseconds(swarm_.retention_millis + slack_millis);
  options.clock = [this] { return now(); };
  std::unique_ptr<service::Enrolled> enrolled;
  if (spec_.kind == ServiceKind::ledger) {
    life->participant = std::make_unique<Ledger>([this](std::string_view what) { return mood(what); });
    enrolled = std::make_unique<service::EnrolledOn<Connection>>(*life->participant, *life->barrier);
  } else {
    life->preparing = std::make_unique<PreparingDatabase>(database_, life->client, promises);
    life->participant = std::make_unique<agent::SqlParticipant<Connection>>(*life->preparing);
    enrolled =
        std::make_unique<agent::EnrolledDatabase<Connection>>(*life->participant, *life->barrier, *life->preparing);
  }
  life->branches = std::make_unique<service::Branches>(std::move(options), std::move(enrolled));
  const auto asks = [this, &process](const service::InDoubt& one) { return ask(process, one); };
  life->doubts = std::make_unique<service::Doubts>(
      *life->branches, asks,
      service::ResolverOptions{patience, milliseconds(look_gap / 1'000), 16, milliseconds(1'000)});
  if (life->preparing) {
    life->sweep = std::make_unique<agent::Sweep>(*life->preparing, *life->branches,
                                                 agent::fence_with(*life->barrier, *life->preparing), asks, patience);
  }
  process.life = std::move(life);
  recorder_.say("service {} process {} starts", spec_.name, process.number);
  schedule_.after(rng_.below(look_gap),
                  [this, number = process.number, client = process.life->client] { look(number, client); });
}

// What it is in the middle of goes on to nowhere: every request of it fails from now on, and nobody hears its answer.
void ServiceSite::kill(Process& process) {
  if (!process.life) return;
  recorder_.say("service {} process {} dies", spec_.name, process.number);
  const std::shared_ptr<Life> life = std::exchange(process.life, nullptr);
  life->dead = true;
  process.client->crash();
  database_.client_gone(life->client);
  restart_later(process);
}

void ServiceSite::restart_later(Process& process) {
  schedule_.after(1 + absence(true), [this, &process] { start(process); });
}

// Some are away for longer than anybody waits.
Micros ServiceSite::absence(bool perhaps_long) {
  if (script_ != nullptr) return script_->absence();
  if (!breaks_) return 10 * millisecond;
  const Micros mean = swarm_.service_faults.absence_mean;
  return static_cast<Micros>(
      rng_.exponential(static_cast<double>(perhaps_long && rng_.chance(0.1) ? 20 * mean : mean)));
}

// What its author's work does when it is asked that.
Mood ServiceSite::mood(std::string_view what) {
  if (script_ != nullptr) return script_->work(spec_.name, what);
  if (!breaks_) return Mood::fine;
  const ServiceFaults& faults = swarm_.service_faults;
  if (what == "commit" || what == "abort") return rng_.chance(faults.fail) ? Mood::fails : Mood::fine;
  if (rng_.chance(faults.later)) return Mood::puts_off;
  return what == "prepare" && rng_.chance(faults.refuse) ? Mood::refuses : Mood::fine;
}

void ServiceSite::begin() { breaks_ = true; }

void ServiceSite::heal() {
  breaks_ = false;
  database_.start();
  for (Process& process : processes_) start(process);
}

void ServiceSite::die(Rng& rng) {
  if (rng.chance(0.2)) {
    recorder_.fault("service's database crashed");
    return database_.crash();
  }
  Process& process = processes_[rng.below(processes_.size())];
  if (!process.life) return;
  recorder_.fault("service crashed");
  kill(process);
}

bool ServiceSite::reachable() const {
  return std::any_of(processes_.begin(), processes_.end(), [](const Process& one) { return one.life != nullptr; });
}

ServiceSite::Process* ServiceSite::anybody() {
  std::vector<Process*> all;
  for (Process& process : processes_) {
    if (process.life) all.push_back(&process);
  }
  return all.empty() ? nullptr : all[rng_.below(all.size())];
}

// ---- calls ----

void ServiceSite::arrive(SiteCall call) {
  inbox_.push_back(std::move(call));
  schedule_.after(script_ != nullptr ? 0 : rng_.below(5 * millisecond), [this] { handle_one(false); });
}

void ServiceSite::handle_one(bool in_the_middle) {
  if (inbox_.empty()) return;
  auto one = inbox_.begin();
  std::advance(one, static_cast<std::ptrdiff_t>(rng_.below(inbox_.size())));
  const SiteCall call = std::move(*one);
  inbox_.erase(one);
  if (in_the_middle) recorder_.outcome("service: a call in the middle of another");
  ++depth_;
  handle(call);
  --depth_;
}

void ServiceSite::handle(const SiteCall& call) {
  Process* const process = anybody();
  if (process == nullptr) return;
  const std::shared_ptr<Life> life = process->life;
  const Answer answer = call.call == service::Call::prepare
                            ? life->branches->prepare({call.branch, spec_.name, call.payload})
                            : life->branches->end(call.call, call.branch, spec_.name);
  if (life->dead) return;
  recorder_.trace(call.branch.txn, static_cast<std::uint64_t>(call.call), static_cast<std::uint64_t>(answer.code),
                  static_cast<std::uint64_t>(answer.reason));
  recorder_.say("service {} process {} answers {} of {} {} in {}.{}: {} {} {}", spec_.name, process->number,
                call.call == service::Call::prepare  ? "prepare"
                : call.call == service::Call::commit ? "commit"
                                                     : "abort",
                call.branch.txn, call.branch.name, call.branch.attempt.epoch, call.branch.attempt.number,
                static_cast<int>(answer.code), to_string(answer.reason), answer.message);
  call.answered(answer);
}

// ---- requests to the database ----

Mishap ServiceSite::before_request(ClientNumber client, std::string_view request) {
  if (script_ != nullptr) return script_->request(spec_.name, request);
  const ServiceFaults& faults = swarm_.service_faults;
  if (depth_ > 0 && depth_ < depth_max && rng_.chance(0.05)) handle_one(true);
  if (!breaks_) return Mishap::none;
  const double draw = rng_.unit();
  Mishap mishap = Mishap::none;
  if (draw < faults.crash) {
    mishap = rng_.chance(0.5) ? Mishap::client_dies_before : Mishap::client_dies_after;
  } else if (draw < faults.crash + faults.database) {
    static constexpr std::array<Mishap, 8> all = {Mishap::unsent,
                                                  Mishap::unanswered,
                                                  Mishap::late,
                                                  Mishap::unsent,
                                                  Mishap::unanswered,
                                                  Mishap::late,
                                                  Mishap::server_dies_before,
                                                  Mishap::server_dies_after};
    mishap = all[rng_.below(all.size())];
  }
  if (mishap != Mishap::none) {
    recorder_.fault(fmt::format("service's request: {}", to_string(mishap)));
    recorder_.say("service {} at its request {}: {} (client {})", spec_.name, request, to_string(mishap), client);
  }
  return mishap;
}

void ServiceSite::client_died(ClientNumber client) {
  for (Process& process : processes_) {
    if (process.life && process.life->client == client) return kill(process);
  }
}

void ServiceSite::server_died() {
  recorder_.say("the database of service {} dies", spec_.name);
  schedule_.after(1 + absence(false), [this] { database_.start(); });
}

void ServiceSite::later(std::function<void()> act) {
  ++late_;
  schedule_.after(
      1 + (script_ != nullptr ? script_->absence() : static_cast<Micros>(rng_.exponential(200.0 * millisecond))),
      [this, act = std::move(act)] {
        --late_;
        act();
      });
}

// ---- what nobody ends ----

void ServiceSite::look(unsigned number, ClientNumber client) {
  Process& process = processes_[number];
  if (!process.life || process.life->client != client) return;
  const std::shared_ptr<Life> life = process.life;
  const service::Doubts::Time time{std::chrono::microseconds(schedule_.now())};
  ++depth_;
  const service::Resolved found = life->doubts->look(time, [&life] { return life->dead; });
  if (found.committed > 0) recorder_.outcome("service in doubt asked, and committed");
  if (found.aborted > 0) recorder_.outcome("service in doubt asked, and aborted");
  if (!life->dead) static_cast<void>(life->branches->forget_some());
  if (life->sweep && !life->dead) {
    const agent::Swept swept = life->sweep->look(time);
    if (swept.rolled_back > 0) recorder_.outcome("agent: swept");
    if (swept.recorded > 0) recorder_.outcome("agent: recorded what was committed");
    for (const std::string& orphan : life->dead ? std::vector<std::string>() : swept.orphans) {
      recorder_.wrong(fmt::format("A7 no orphans: at {} {}", spec_.name, orphan));
    }
  }
  --depth_;
  schedule_.after(look_gap, [this, number, client] { look(number, client); });
}

// The answer comes while nobody waits for it; whoever looks again finds it.
Result<service::Fate> ServiceSite::ask(Process& process, const service::InDoubt& one) {
  if (!process.life) return fail(ErrorCode::io, "it is dead");
  const TxnId txn = one.key.txn;
  const auto known = process.life->answers.find(txn);
  if (known != process.life->answers.end()) {
    const TxnAnswer& answer = known->second;
    return service::fate_of({.state = answer.state,
                             .protocol = answer.protocol,
                             .mode = answer.mode,
                             .counted = attempt_of(answer.attempt),
                             .of_its_coordinator = !one.coordinator.empty()},
                            one.attempt);
  }
  if (process.client->busy()) return service::Fate::open;
  process.client->ask(around_.coordinator, txn, true, [life = process.life](const std::optional<TxnAnswer>& answer) {
    if (!answer) return;
    const bool over = answer->state == TxnState::committed || answer->state == TxnState::aborted ||
                      answer->state == TxnState::expired;
    if (over) life->answers.insert_or_assign(answer->txn, *answer);
  });
  return service::Fate::open;
}

// ---- rest ----

std::string ServiceSite::unrest() const {
  if (!database_.up()) return fmt::format("the database of service {} is down", spec_.name);
  for (const Process& process : processes_) {
    if (!process.life) return fmt::format("service {} process {} is down", spec_.name, process.number);
    if (process.client->busy()) return fmt::format("service {} process {} asks", spec_.name, process.number);
  }
  if (!inbox_.empty()) return fmt::format("{} calls of service {} wait", inbox_.size(), spec_.name);
  if (late_ > 0 || database_.open() > 0) return fmt::format("service {} has statements under way", spec_.name);
  if (!database_.prepared().empty()) {
    return fmt::format("{} is prepared at {}", database_.prepared().begin()->first, spec_.name);
  }
  for (const auto& [key, row] : database_.registers()) {
    if (row.state != service::BranchState::prepared) continue;
    return fmt::format("branch {} of {} is in doubt at service {}", key.name, key.txn, spec_.name);
  }
  return {};
}

}  // namespace assent::sim
