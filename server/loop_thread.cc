#include "server/loop_thread.h"

#include <pthread.h>

#include <chrono>
#include <optional>

#include "txn_proto/api_codec.h"

namespace assent {

namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto tick_length = std::chrono::milliseconds(tick_millis);
// After a pause (a stopped process, a slow disk) time goes on from now: a burst of ticks would depose every leader.
constexpr int late_ticks_max = 3;

}  // namespace

LoopThread::LoopThread(Loop& loop, RpcQueue& queue, Inbox& inbox, AdmissionLimits limits, Hooks hooks)
    : loop_(loop), queue_(queue), inbox_(inbox), admission_(limits), hooks_(std::move(hooks)) {}

LoopThread::~LoopThread() { stop(); }

void LoopThread::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "assent-loop");
    run();
  });
}

void LoopThread::stop() {
  stopping_ = true;
  inbox_.close();
  if (thread_.joinable()) thread_.join();
}

void LoopThread::run() {
  std::vector<RpcQueue::Ended> ended;
  std::vector<Inbox::Item> items;
  auto next_tick = SteadyClock::now() + tick_length;
  while (!stopping_) {
    const bool busy = admission_.ready(SteadyClock::now()) || loop_.has_more();
    queue_.wait(!busy && inbox_.sleep() ? next_tick : SteadyClock::time_point{}, ended);
    inbox_.awake();
    for (const RpcQueue::Ended& one : ended) one.tag->end(one.ok);
    const auto now = SteadyClock::now();
    if (now >= next_tick) {
      loop_.tick();
      next_tick += tick_length;
      if (now - next_tick > late_ticks_max * tick_length) next_tick = now + tick_length;
      hooks_.ticked(loop_);
    }
    inbox_.take(items);
    for (Inbox::Item& item : items) handle(item);
    while (auto request = admission_.next(now)) begin(std::move(*request));
    loop_.flush();
    if (auto replies = loop_.take_replies(); !replies.empty()) answer(std::move(replies));
    for (ServiceCall& call : loop_.take_calls()) hooks_.calls(std::move(call));
    inbox_.read_on();
    if (const std::optional<Error> failure = loop_.failure()) {
      inbox_.close();
      return hooks_.failed(*failure);
    }
  }
}

void LoopThread::handle(Inbox::Item& item) {
  auto* event = std::get_if<Event>(&item);
  if (event == nullptr) return std::get<Inbox::Task>(item)(loop_);
  if (auto* request = std::get_if<ClientRequest>(event)) return handle(*request);
  loop_.handle(std::move(*event));
}

void LoopThread::handle(ClientRequest& request) {
  const RequestId id = request.id;
  switch (admission_.ask(request, SteadyClock::now())) {
    case Admission::Verdict::begin: return begin(std::move(request));
    case Admission::Verdict::wait: return hooks_.waits(id);
    case Admission::Verdict::refuse: break;
  }
  hooks_.replies({{id, fail(ErrorCode::busy, "as many transactions as may wait at this node do; try again soon")}});
}

void LoopThread::begin(ClientRequest request) {
  if (!hooks_.admits(request)) return admission_.ended(request.id);
  loop_.handle(std::move(request));
}

void LoopThread::answer(std::vector<ClientReply> replies) {
  for (const ClientReply& reply : replies) admission_.ended(reply.id);
  hooks_.replies(std::move(replies));
}

}  // namespace assent
