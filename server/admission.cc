#include "server/admission.h"

#include <utility>
#include <variant>

namespace assent {

Admission::Verdict Admission::ask(ClientRequest& request, TimePoint now) {
  if (!std::holds_alternative<Execute>(request.body)) return Verdict::begin;
  if (waiting_.empty() && room(now)) {
    begin(request.id, now);
    return Verdict::begin;
  }
  if (waiting_.size() >= limits_.waiting_max) return Verdict::refuse;
  waiting_.push_back(std::move(request));
  return Verdict::wait;
}

void Admission::ended(RequestId id) { running_.erase(id.value); }

std::optional<ClientRequest> Admission::next(TimePoint now) {
  if (!ready(now)) return std::nullopt;
  ClientRequest request = std::move(waiting_.front());
  waiting_.pop_front();
  begin(request.id, now);
  return request;
}

bool Admission::room(TimePoint now) {
  while (!order_.empty() &&
         (now - order_.front().at >= limits_.working_max || !running_.contains(order_.front().id.value))) {
    running_.erase(order_.front().id.value);
    order_.pop_front();
  }
  return running_.size() < limits_.running_max;
}

void Admission::begin(RequestId id, TimePoint now) {
  running_.insert(id.value);
  order_.push_back({now, id});
}

}  // namespace assent
