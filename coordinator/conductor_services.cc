// Services that take part: how they are called, and what they say when it is neither a vote nor an end. Their votes and
// ends are counted as those of shards are.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "coordinator/conductor.h"
#include "coordinator/conductor_detail.h"

namespace assent {
namespace {

const ServiceAddress* find_service(const std::vector<ServiceAddress>& services, GroupId number) {
  const std::uint64_t place = number.value - first_service.value;
  return place < services.size() ? &services[place] : nullptr;
}

}  // namespace

const ServiceAddress* Conductor::address_of(const TxnId& txn, GroupId number) const {
  if (const auto found = running_.find(txn); found != running_.end()) {
    for (const Branch& branch : found->second.branches) {
      if (branch.shard == number && branch.service) return &branch.service->at;
    }
  }
  const auto found = finishing_.find(txn);
  return found == finishing_.end() ? nullptr : find_service(found->second.services, number);
}

void Conductor::call(GroupId number, const ServiceAddress& at, TxnMessage message) {
  std::visit(
      [this](const auto& one) {
        using Message = std::decay_t<decltype(one)>;
        if constexpr (requires { one.txn; }) count_message(one.txn, std::is_same_v<Message, Finish>);
      },
      message);
  output_.call.push_back(ServiceCall{
      .from = options_.self, .number = number, .at = at, .payload = {}, .ticks = 0, .message = std::move(message)});
}

void Conductor::call_prepare(Running& running, const Branch& branch, Prepare prepare) {
  call(branch.shard, branch.service->at, std::move(prepare));
  output_.call.back().payload = branch.service->payload;
  std::uint64_t end = running.deadline;
  if (const Patience& patience = branch.service->patience; !patience.endless()) {
    Called& called = running.called.try_emplace(branch.shard, Called{now_, 0}).first->second;
    called.calls += 1;
    if (patience.ticks > 0) end = std::min(end, called.since + patience.ticks);
  }
  output_.call.back().ticks = end - std::min(end, now_);
}

// ---- how long a vote is waited for ----

void Conductor::add_trouble(const Running& running, Refusal& refusal) {
  const auto trouble = running.trouble.find(refusal.participant);
  if (trouble != running.trouble.end()) refusal.message += ": " + trouble->second;
}

// The tick at which some service's own time is over.
std::uint64_t Conductor::patience_ends(const Running& running) {
  std::uint64_t first = std::numeric_limits<std::uint64_t>::max();
  for (const Branch& branch : running.branches) {
    const auto called = running.called.find(branch.shard);
    if (called == running.called.end() || running.yes.contains(branch.shard)) continue;
    if (const std::uint64_t ticks = branch.service->patience.ticks; ticks > 0) {
      first = std::min(first, called->second.since + ticks);
    }
  }
  return first;
}

// Why the transaction is not waited for any longer. The last call has the pause before the next one for its answer.
std::optional<Refusal> Conductor::out_of_patience(const Running& running) const {
  for (const Branch& branch : running.branches) {
    const auto called = running.called.find(branch.shard);
    if (called == running.called.end() || running.yes.contains(branch.shard)) continue;
    const Patience& patience = branch.service->patience;
    const bool late = patience.ticks > 0 && now_ >= called->second.since + patience.ticks;
    if (!late && (patience.calls == 0 || called->second.calls < patience.calls)) continue;
    Refusal refusal = refusal_of(AbortReason::timeout, branch.shard,
                                 late ? "it had not voted within its own time"
                                      : fmt::format("it had not voted after {} calls", called->second.calls));
    add_trouble(running, refusal);
    return refusal;
  }
  return std::nullopt;
}

void Conductor::send_finish(const Finishing& finishing, GroupId to, const Finish& finish) {
  if (!is_service(to)) return send(to, finish);
  if (const ServiceAddress* at = find_service(finishing.services, to)) call(to, *at, finish);
}

// A shard in doubt asks, whatever it heard. A service may have nobody to ask with: it is told for longer.
bool Conductor::gives_up_abort(Finishing& finishing) const {
  if (finishing.commit || is_recorded(finishing.mode) || finishing.sends < options_.abort_sends_max) return false;
  std::erase_if(finishing.left, [](GroupId participant) { return !is_service(participant); });
  return finishing.left.empty() || finishing.sends >= options_.service_abort_sends_max;
}

void Conductor::on(const Envelope& envelope, const Trouble& trouble) {
  std::string message = trouble.message.substr(0, options_.trouble_bytes_max);
  const auto running = running_.find(trouble.txn);
  if (running != running_.end() && running->second.attempt == trouble.attempt) {
    running->second.trouble.insert_or_assign(envelope.from, message);
  }
  const auto finishing = finishing_.find(trouble.txn);
  if (finishing != finishing_.end() && finishing->second.attempt == trouble.attempt) {
    count_failure(finishing->second, envelope.from, std::move(message));
  }
}

// ---- services that fail to do what was decided ----

void Conductor::count_failure(Finishing& finishing, GroupId from, std::string words) {
  if (!finishing.left.contains(from)) return;
  words.resize(std::min(words.size(), options_.trouble_bytes_max));
  finishing.trouble.insert_or_assign(from, std::move(words));
  Failures& failures = finishing.failures[from];
  if (failures.count < options_.service_failures_max) ++failures.count;
  failures.next = now_ + options_.failing_ticks;
}

bool Conductor::failing(const Finishing& finishing, GroupId service) const {
  const auto found = finishing.failures.find(service);
  return found != finishing.failures.end() && found->second.count >= options_.service_failures_max;
}

// Whether it is not to be called now. Of what is called the next time comes later, whether or not it answers.
bool Conductor::rests(Finishing& finishing, GroupId to) const {
  if (!failing(finishing, to)) return false;
  Failures& failures = finishing.failures.at(to);
  if (now_ < failures.next) return true;
  failures.next = now_ + options_.failing_ticks;
  return false;
}

// ---- operators ----

// What it waits for falls due at once.
void Conductor::retry(RequestId id, const TxnId& txn) {
  if (txn.none()) return fail_client(id, ErrorCode::malformed, "the transaction has no id");
  if (const auto found = finishing_.find(txn); found != finishing_.end()) {
    found->second.failures.clear();
    found->second.backoff = {};
    finishing_due_.set(txn, now_ + 1);
    return tell(id, outcome_of(txn));
  }
  if (const auto found = running_.find(txn); found != running_.end()) {
    found->second.backoff = {};
    running_due_.set(txn, now_ + 1);
    return tell(id, outcome_of(txn));
  }
  const TxnAnswer known = outcome_of(txn);
  if (known.state == TxnState::committed || known.state == TxnState::aborted) {
    return fail_client(id, ErrorCode::refused,
                       fmt::format("it {}, and nothing of it is left to be sent", to_string(known.state)));
  }
  fail_client(id, ErrorCode::refused, "this coordinator group knows no transaction of this id that is not over");
}

void Conductor::override_service(RequestId id, const OverrideService& ask) {
  const auto refuse = [&](std::string why) { fail_client(id, ErrorCode::refused, std::move(why)); };
  if (ask.txn.none()) return fail_client(id, ErrorCode::malformed, "the transaction has no id");
  if (ask.reason.empty() || ask.reason.size() > override_reason_bytes_max) {
    return fail_client(id, ErrorCode::malformed,
                       fmt::format("a heuristic decision needs a reason of 1 to {} bytes", override_reason_bytes_max));
  }
  const auto open = decisions_->open().find(ask.txn);
  if (open == decisions_->open().end()) return refuse("it is not decided here, or is over: there is nothing to end");
  const std::vector<ServiceAddress>& services = open->second.services;
  const auto at = std::find_if(services.begin(), services.end(),
                               [&](const ServiceAddress& one) { return one.name == ask.service; });
  if (at == services.end()) return refuse(fmt::format("no service {} takes part in it", ask.service));
  const bool committed = open->second.outcome == Outcome::committed;
  if (ask.commit != committed) {
    return refuse(fmt::format("it {}, and its part at {} can come to nothing else", to_string(open->second.outcome),
                              ask.service));
  }
  const GroupId number(first_service.value + static_cast<std::uint64_t>(at - services.begin()));
  if (open->second.by_hand.contains(number)) return tell(id, outcome_of(ask.txn));
  const auto finishing = finishing_.find(ask.txn);
  if (finishing == finishing_.end() || !finishing->second.left.contains(number)) {
    return refuse(fmt::format("{} has done its part", ask.service));
  }
  if (!failing(finishing->second, number)) {
    return refuse(
        fmt::format("{} is still called, and has not failed {} times", ask.service, options_.service_failures_max));
  }
  if (!enders_.try_emplace(ask.txn, id).second) {
    return fail_client(id, ErrorCode::busy, "somebody else's decision about it is on its way into the log");
  }
  output_.propose.emplace_back(EndBranch{.txn = ask.txn, .service = number, .reason = ask.reason});
}

void Conductor::ended_by_hand(const EndBranch& command) {
  if (const auto found = finishing_.find(command.txn); found != finishing_.end()) {
    Finishing& finishing = found->second;
    finishing.left.erase(command.service);
    finishing.steps.erase(command.service);
    finishing_due_.set(command.txn, now_ + 1);  // whoever waited for it is next, or it is over
  }
  const auto asked = enders_.find(command.txn);
  if (asked == enders_.end()) return;
  const RequestId id = asked->second;
  enders_.erase(asked);
  tell(id, outcome_of(command.txn));
}

}  // namespace assent
