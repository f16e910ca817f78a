// Services that take part: how they are called, and what they say when it is neither a vote nor an end. Their votes and
// ends are counted as those of shards are.
#include <algorithm>
#include <utility>

#include "coordinator/conductor.h"

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

void Conductor::call_prepare(const Running& running, const Branch& branch, Prepare prepare) {
  call(branch.shard, branch.service->at, std::move(prepare));
  output_.call.back().payload = branch.service->payload;
  output_.call.back().ticks = running.deadline - std::min(running.deadline, now_);
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
    finishing->second.trouble.insert_or_assign(envelope.from, std::move(message));
  }
}

}  // namespace assent
