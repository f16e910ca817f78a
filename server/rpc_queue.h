// The completion queue of a node: everything that gRPC does for the node ends here, and the loop's own thread waits on
// it. So a message from a peer or a client wakes exactly one thread, the one that handles it; nothing is handed over.
// (gRPC lets whoever waits on a queue do the polling. A second waiting thread anywhere in the process, also one of
// gRPC's callback or synchronous services, would take turns in that and cost a context switch each time.)
//
// wait() and drain() from one thread at a time; wake() from any thread. An operation that was begun ends here exactly
// once, also when its call is cut off: so its tag must live until then.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace assent {

struct CallFigures;

// What an operation names as its tag; end() is called when it is over.
class RpcTag {
 public:
  // ok as gRPC says: for a read, that there was a message; for a write, that the call still lives. May delete this.
  virtual void end(bool ok) = 0;

 protected:
  ~RpcTag() = default;
};

// A tag that calls a member function of whoever it is a member of.
template <class Owner>
class RpcStep final : public RpcTag {
 public:
  using Then = void (Owner::*)(bool ok);
  RpcStep(Owner& owner, Then then) : owner_(owner), then_(then) {}
  RpcStep(const RpcStep&) = delete;
  RpcStep& operator=(const RpcStep&) = delete;
  void end(bool ok) override { (owner_.*then_)(ok); }

 private:
  Owner& owner_;
  const Then then_;
};

class RpcQueue {
 public:
  struct Ended {
    RpcTag* tag;
    bool ok;
  };

  RpcQueue() : queue_(std::make_unique<grpc::CompletionQueue>()) {}
  // Also for the calls of the server whose builder made this queue.
  explicit RpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue)
      : arrivals_(queue.get()), queue_(std::move(queue)) {}
  ~RpcQueue() { drain(); }
  RpcQueue(const RpcQueue&) = delete;
  RpcQueue& operator=(const RpcQueue&) = delete;

  [[nodiscard]] grpc::CompletionQueue& completions() { return *queue_; }
  // Where the server's new calls are told; null when the queue belongs to no server.
  [[nodiscard]] grpc::ServerCompletionQueue* arrivals() { return arrivals_; }

  // Waits for the first operation to end, until the given time or a wake(), and takes what else has ended, to some
  // number. The caller calls end() of each.
  void wait(std::chrono::steady_clock::time_point until, std::vector<Ended>& ended);
  // Makes a wait() return that has begun or begins later. Many are one.
  void wake();

  // Ends operations on a thread of its own while something runs that returns only when calls are gone: the shutdown of
  // a server. Nobody may be in wait().
  void serve_while(const std::function<void()>& blocking);

  // Lets every operation that was begun end. All calls must have been cut off: this waits for their ends. Twice is
  // harmless.
  void drain();
  // No operation may be begun any more: whoever would begin the next one deletes itself instead.
  [[nodiscard]] bool draining() const { return draining_; }

  // Where the calls of servers on this queue are counted, from then on; outlives them. None: they are not.
  void count_in(CallFigures& figures) { figures_ = &figures; }
  [[nodiscard]] CallFigures* figures() const { return figures_; }

 private:
  class Woken final : public RpcTag {
   public:
    explicit Woken(RpcQueue& queue) : queue_(queue) {}
    void end(bool ok) override;

   private:
    RpcQueue& queue_;
  };

  grpc::ServerCompletionQueue* const arrivals_ = nullptr;
  const std::unique_ptr<grpc::CompletionQueue> queue_;
  Woken woken_{*this};
  std::mutex mutex_;
  grpc::Alarm alarm_;    // guarded by mutex_
  bool waking_ = false;  // guarded by mutex_: the alarm is set and has not ended
  std::atomic<bool> draining_ = false;
  CallFigures* figures_ = nullptr;
};

}  // namespace assent
