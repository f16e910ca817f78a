#include "server/thread_lane.h"

#include <fmt/format.h>
#include <pthread.h>

#include <chrono>
#include <future>
#include <iterator>
#include <utility>

#include "txn_proto/api_codec.h"

namespace assent {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto tick_length = std::chrono::milliseconds(tick_millis);
// After a pause time goes on from now: a burst of ticks would depose every leader.
constexpr int late_ticks_max = 3;

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

}  // namespace

ThreadLane::ThreadLane(ThreadLaneOptions options, Clock& clock, RelayClock& relayed)
    : options_(std::move(options)),
      relayed_(relayed),
      inbox_([this] {
        {
          const std::lock_guard lock(mutex_);
          woken_ = true;
        }
        woken_event_.notify_one();
      }),
      relay_(options_.config.loop, clock) {}

Result<std::unique_ptr<ThreadLane>> ThreadLane::open(ThreadLaneOptions options, Clock& clock, RelayClock& relayed) {
  std::unique_ptr<ThreadLane> lane(new ThreadLane(std::move(options), clock, relayed));
  auto disk = PosixDisk::open(
      lane->options_.folder, [raw = lane.get()] { raw->inbox_.disk_progress(); }, PosixDisk::Begin::on_start);
  if (!disk) return fail(disk.error());
  lane->disk_ = std::move(*disk);
  auto loop = Loop::open(lane->options_.config, *lane->disk_, lane->transport_, clock, lane->options_.logs,
                         lane->options_.applications);
  if (!loop) return fail(loop.error());
  lane->loop_ = std::move(*loop);
  return lane;
}

void ThreadLane::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), fmt::format("assent-loop-{}", options_.config.loop).c_str());
    run();
  });
}

void ThreadLane::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    woken_ = true;
  }
  woken_event_.notify_one();
  inbox_.close();
  if (thread_.joinable()) thread_.join();
}

// ---- the LoopSet's thread ----

void ThreadLane::handle(Event event) {
  if (std::holds_alternative<DiskProgress>(event)) return;  // of another disk
  if (const auto* frame = std::get_if<FrameReceived>(&event)) {
    const std::lock_guard lock(mutex_);
    // As full queues of peers: what is lost is repeated by its sender.
    if (frame_bytes_ > options_.config.limits.peer_queue_bytes_max) {
      ++frames_dropped_;
      return;
    }
    frame_bytes_ += frame->frame.size();
  }
  inbox_.push(std::move(event));
}

void ThreadLane::ask(const std::function<void(Loop&)>& question) {
  if (!thread_.joinable()) return question(*loop_);  // not begun yet, or ended
  auto asked = std::make_shared<std::promise<void>>();
  const std::future<void> answered = asked->get_future();
  const bool posted = inbox_.post([&question, asked](Loop& loop) {
    question(loop);
    asked->set_value();
  });
  asked.reset();
  if (posted) answered.wait();  // also when it is dropped unasked, by a loop that fails
}

LaneOutput ThreadLane::take() {
  Out out;
  {
    const std::lock_guard lock(mutex_);
    told_ = false;
    out = std::exchange(out_, {});
  }
  for (const WatchRelay::Told& told : out.watched) {
    if (watcher_ == nullptr) break;
    relayed_.set(told.micros);
    told.tell(*watcher_);
  }
  relayed_.set(0);
  for (const Observed& observed : out.observed) observed(observer_);
  return std::move(out.output);
}

std::optional<Error> ThreadLane::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

// Who is told of every entry must be in the loop's own thread: that is for the simulator.
void ThreadLane::observe(Loop::Observer observer) {
  observer_ = std::move(observer);
  ask([this](Loop& loop) {
    loop.observe({.applied = {},
                  .leadership =
                      [this](GroupId group, const Leadership& leadership) {
                        observed_.emplace_back([group, leadership](const Loop::Observer& to) {
                          if (to.leadership) to.leadership(group, leadership);
                        });
                      },
                  .snapshot_refused =
                      [this](GroupId group, NodeId from, const Error& why) {
                        observed_.emplace_back([group, from, why](const Loop::Observer& to) {
                          if (to.snapshot_refused) to.snapshot_refused(group, from, why);
                        });
                      },
                  .left =
                      [this](const GroupConfig& group) {
                        if (options_.left) options_.left(group);
                        observed_.emplace_back([group](const Loop::Observer& to) {
                          if (to.left) to.left(group);
                        });
                      },
                  .remade =
                      [this](const GroupConfig& group) {
                        observed_.emplace_back([group](const Loop::Observer& to) {
                          if (to.remade) to.remade(group);
                        });
                      }});
  });
}

void ThreadLane::watch(TxnWatcher* watcher) {
  watcher_ = watcher;
  ask([this, watcher](Loop& loop) { loop.watch(watcher == nullptr ? nullptr : &relay_); });
}

// ---- the lane's thread ----

void ThreadLane::wait_until(SteadyClock::time_point until) {
  std::unique_lock lock(mutex_);
  woken_event_.wait_until(lock, until, [this] { return woken_; });
  woken_ = false;
}

void ThreadLane::run() {
  std::vector<Inbox::Item> items;
  auto next_tick = SteadyClock::now() + tick_length;
  for (bool goes_on = true; goes_on;) {
    if (!loop_->has_more() && inbox_.sleep()) wait_until(next_tick);
    inbox_.awake();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    const auto now = SteadyClock::now();
    if (now >= next_tick) {
      loop_->tick();
      next_tick += tick_length;
      if (now - next_tick > late_ticks_max * tick_length) next_tick = now + tick_length;
    }
    inbox_.take(items);
    for (Inbox::Item& item : items) handle_in_thread(item);
    items.clear();
    loop_->flush();
    goes_on = give();
  }
  inbox_.close();
}

void ThreadLane::handle_in_thread(Inbox::Item& item) {
  auto* event = std::get_if<Event>(&item);
  if (event == nullptr) return std::get<Inbox::Task>(item)(*loop_);
  if (const auto* frame = std::get_if<FrameReceived>(event)) {
    const std::lock_guard lock(mutex_);
    frame_bytes_ -= frame->frame.size();
  }
  if (const auto* ready = std::get_if<TransportReady>(event)) transport_.on_its_way(ready->to);
  loop_->handle(std::move(*event));
}

bool ThreadLane::give() {
  Out out;
  transport_.take(out.output);
  out.output.replies = loop_->take_replies();
  out.output.calls = loop_->take_calls();
  out.watched = relay_.take();
  out.observed = std::exchange(observed_, {});
  const std::optional<Error> failure = loop_->failure();
  const bool news = !out.output.frames.empty() || !out.output.snapshots.empty() || !out.output.replies.empty() ||
                    !out.output.calls.empty() || !out.observed.empty() || failure;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    append(out_.output.frames, std::move(out.output.frames));
    append(out_.output.snapshots, std::move(out.output.snapshots));
    append(out_.output.replies, std::move(out.output.replies));
    append(out_.output.calls, std::move(out.output.calls));
    append(out_.watched, std::move(out.watched));
    append(out_.observed, std::move(out.observed));
    failure_ = failure;
    wake = news && !std::exchange(told_, true);
  }
  if (wake) options_.wake();
  return !failure;
}

}  // namespace assent
