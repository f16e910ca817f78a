#include "sim/services/services.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

namespace assent::sim {
namespace {

using service::Answer;
using service::AnswerCode;
using service::Reason;

constexpr Micros finish_time = 10 * second;
constexpr Micros tick_length = 10 * millisecond;
constexpr Micros late_time = 12 * second;  // beyond every time-out

std::map<std::string, ServiceKind> kinds_of(const Swarm& swarm) {
  std::map<std::string, ServiceKind> kinds;
  for (const ServiceSpec& spec : swarm.services) kinds.emplace(spec.name, spec.kind);
  return kinds;
}

struct Head {
  TxnId txn;
  Attempt attempt;
  std::size_t kind = 0;
};
Head head_of(const ServiceCall& call) {
  if (const auto* prepare = std::get_if<Prepare>(&call.message)) return {prepare->txn, prepare->attempt, 0};
  const Finish& finish = std::get<Finish>(call.message);
  return {finish.txn, finish.attempt, finish.commit ? 1U : 2U};
}

std::string words(const ServiceCall& call) {
  constexpr std::array<std::string_view, 3> kinds = {"Prepare", "Commit", "Abort"};
  return fmt::format("{} of {}", kinds.at(head_of(call).kind), call.at.name);
}

Trouble trouble(const ServiceCall& call, std::string message) {
  const Head head = head_of(call);
  return Trouble{head.txn, head.attempt, std::move(message)};
}

TxnMessage vote_of(const ServiceCall& call, const Prepare& prepare, const Answer& answer) {
  Vote vote;
  vote.txn = prepare.txn;
  vote.attempt = prepare.attempt;
  vote.fingerprint = prepare.fingerprint;
  if (answer.ok() && answer.recorded) {
    vote.yes = true;
    vote.attempt = {Epoch(answer.recorded->epoch), answer.recorded->number};
    OperationResult result;
    result.columns = {"result"};
    result.rows = {{SqlBlob{answer.result}}};
    vote.result = {std::move(result)};
    return vote;
  }
  if (answer.code != AnswerCode::aborted) return trouble(call, "has not voted: " + answer.message);
  vote.refusal.reason = answer.reason == Reason::txn_too_old ? AbortReason::too_old : AbortReason::refused;
  vote.refusal.participant = call.number;
  vote.refusal.message = answer.message;
  return vote;
}

TxnMessage end_of(const ServiceCall& call, const Finish& finish, const Answer& answer) {
  const bool over = answer.ok() || (finish.commit && answer.reason == Reason::branch_forgotten) ||
                    (!finish.commit && answer.reason == Reason::other_attempt);
  if (!over) return trouble(call, "has not ended: " + answer.message);
  return finished_of(finish);
}

}  // namespace

TxnMessage message_of(const ServiceCall& call, const Answer& answer) {
  if (const auto* prepare = std::get_if<Prepare>(&call.message)) return vote_of(call, *prepare, answer);
  return end_of(call, std::get<Finish>(call.message), answer);
}

Services::Services(const Swarm& swarm, const Rng& rng, Schedule& schedule, Recorder& recorder, TxnChecker& txns,
                   const GroupConfig& coordinator, const ServiceSite::MakeClient& make_client, ServiceScript* script)
    : swarm_(swarm),
      rng_(rng.split("calls")),
      schedule_(schedule),
      recorder_(recorder),
      coordinator_name_(coordinator.name),
      script_(script),
      checker_(recorder, txns, kinds_of(swarm)) {
  const ServiceSite::Around around{swarm, schedule, recorder, *this, coordinator.id, make_client, script};
  for (const ServiceSpec& spec : swarm.services) {
    sites_[spec.target] = std::make_unique<ServiceSite>(spec, around, rng.split(spec.name));
  }
}

void Services::start() {
  for (const auto& [target, site] : sites_) site->start();
}

void Services::begin() {
  breaks_ = true;
  for (const auto& [target, site] : sites_) site->begin();
  plan_death();
}

void Services::heal() {
  breaks_ = false;
  for (const auto& [target, site] : sites_) site->heal();
}

void Services::plan_death() {
  const Micros gap = swarm_.service_faults.death_gap;
  if (gap == 0 || sites_.empty()) return;
  schedule_.after(static_cast<Micros>(rng_.exponential(static_cast<double>(gap))), [this] {
    if (!breaks_) return;
    auto one = sites_.begin();
    std::advance(one, static_cast<std::ptrdiff_t>(rng_.below(sites_.size())));
    one->second->die(rng_);
    plan_death();
  });
}

std::string Services::unrest() const {
  for (const auto& [target, site] : sites_) {
    if (std::string found = site->unrest(); !found.empty()) return found;
  }
  return {};
}

Micros Services::time_of(Way way) {
  if (script_ != nullptr) return way == Way::late ? late_time : 1 * millisecond;
  if (way == Way::late) return rng_.between(1 * second, 14 * second);
  const Micros usual = 50 + static_cast<Micros>(rng_.exponential(300));
  if (!breaks_) return usual;
  return usual + static_cast<Micros>(rng_.exponential(static_cast<double>(swarm_.service_faults.delay_mean)));
}

Way Services::way_of_call(const ServiceCall& call) {
  if (script_ != nullptr) return script_->call(words(call));
  const ServiceFaults& faults = swarm_.service_faults;
  if (!breaks_) return Way::through;
  if (rng_.chance(faults.call_loss)) return Way::lost;
  if (rng_.chance(faults.hang)) return Way::late;
  return rng_.chance(faults.duplicate) ? Way::twice : Way::through;
}

Way Services::way_of_reply(const ServiceCall& call) {
  if (script_ != nullptr) return script_->reply(words(call));
  if (!breaks_) return Way::through;
  return rng_.chance(swarm_.service_faults.reply_loss) ? Way::lost : Way::through;
}

void Services::call(const ServiceCaller& from, const ServiceCall& call) {
  if (!std::holds_alternative<Prepare>(call.message) && !std::holds_alternative<Finish>(call.message)) return;
  const Head head = head_of(call);
  const Key key{from.node, from.life, head.txn, call.number, head.kind, head.attempt};
  const auto one = std::make_shared<const UnderWay>(UnderWay{key, ++last_serial_, from, call});
  if (!under_way_.try_emplace(key, one->serial).second) return;
  const Micros time = head.kind == 0 ? std::max<Micros>(1, call.ticks) * tick_length : finish_time;
  schedule_.after(time, [this, one] { answer(*one, trouble(one->call, "did not answer in time")); });
  send(one);
}

void Services::send(const std::shared_ptr<const UnderWay>& one) {
  const auto found = sites_.find(one->call.at.target);
  if (found == sites_.end()) {
    return recorder_.wrong(fmt::format("A3 validity: {} is called, where no service is", one->call.at.target));
  }
  const Way way = way_of_call(one->call);
  if (way == Way::lost) return recorder_.fault("service's call lost");
  if (way == Way::twice) recorder_.fault("service's call came twice");
  if (way == Way::late) recorder_.fault("service's call hung");
  for (int i = 0; i < (way == Way::twice ? 2 : 1); ++i) {
    schedule_.after(time_of(way), [this, one, site = found->second.get()] { arrive(one, *site); });
  }
}

void Services::arrive(const std::shared_ptr<const UnderWay>& one, ServiceSite& site) {
  if (!site.reachable()) {
    schedule_.after(time_of(Way::through),
                    [this, one] { answer(*one, trouble(one->call, "the connection was refused")); });
    return;
  }
  const Head head = head_of(one->call);
  SiteCall call;
  call.call = head.kind == 0 ? service::Call::prepare : head.kind == 1 ? service::Call::commit : service::Call::abort;
  call.branch.txn = head.txn;
  call.branch.name = one->call.at.name;
  call.branch.attempt = {head.attempt.epoch.value, head.attempt.number};
  call.branch.coordinator = coordinator_name_;
  call.payload = one->call.payload;
  call.answered = [this, one](const Answer& answer) { reply(one, answer); };
  site.arrive(std::move(call));
}

void Services::reply(const std::shared_ptr<const UnderWay>& one, const Answer& answered) {
  judge(one->call, answered);
  const Way way = way_of_reply(one->call);
  if (way == Way::lost) return recorder_.fault("service's reply lost");
  schedule_.after(time_of(way), [this, one, answered] { answer(*one, message_of(one->call, answered)); });
}

// The first that comes of a call is its end.
void Services::answer(const UnderWay& one, TxnMessage message) {
  const auto found = under_way_.find(one.key);
  if (found == under_way_.end() || found->second != one.serial) return;
  under_way_.erase(found);
  one.from.heard(ServiceAnswered{one.call.from, one.call.number, std::move(message)});
}

// Whoever keeps the rules is never told to commit what it did not promise, or to abort what it committed.
void Services::judge(const ServiceCall& call, const Answer& answer) {
  const auto* finish = std::get_if<Finish>(&call.message);
  if (finish == nullptr) return;
  const bool contradicts = answer.reason == Reason::commit_after_abort || answer.reason == Reason::abort_after_commit ||
                           answer.reason == Reason::never_prepared ||
                           (finish->commit && answer.reason == Reason::other_attempt);
  if (!contradicts) return;
  recorder_.wrong(fmt::format("A1 agreement: service {} contradicts the {} of transaction {} in attempt ({}, {}): {}",
                              call.at.name, finish->commit ? "commit" : "abort", finish->txn, finish->attempt.epoch,
                              finish->attempt.number, answer.message));
}

}  // namespace assent::sim
