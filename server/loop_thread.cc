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

LoopThread::LoopThread(Loop& loop, RpcQueue& queue, Inbox& inbox, Hooks hooks)
    : loop_(loop), queue_(queue), inbox_(inbox), hooks_(std::move(hooks)) {}

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
    queue_.wait(inbox_.sleep() ? next_tick : SteadyClock::time_point{}, ended);
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
    loop_.flush();
    if (auto replies = loop_.take_replies(); !replies.empty()) hooks_.replies(std::move(replies));
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
  const auto* request = std::get_if<ClientRequest>(event);
  if (request != nullptr && !hooks_.admits(*request)) return;
  loop_.handle(std::move(*event));
}

}  // namespace assent
