// The thread that a node's loop lives in: waits on the completion queue, takes what waits in the inbox, ticks every ten
// milliseconds, flushes, hands out the replies. It ends when it is told to, or when the loop reports a failure that the
// node must not outlive.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "node/loop.h"
#include "server/admission.h"
#include "server/inbox.h"
#include "server/rpc_queue.h"

namespace assent {

class LoopThread {
 public:
  // All are called on the loop's thread, and none may be unset.
  struct Hooks {
    std::function<void(RequestId)> waits;              // it came, and has to wait before it is begun
    std::function<bool(const ClientRequest&)> admits;  // false: nobody waits for it any more; it is dropped unbegun
    std::function<void(std::vector<ClientReply>)> replies;
    std::function<void(ServiceCall)> calls;
    std::function<void(Loop&)> ticked;
    std::function<void(const Error&)> failed;  // the last call, at most once
  };

  LoopThread(Loop& loop, RpcQueue& queue, Inbox& inbox, AdmissionLimits limits, Hooks hooks);
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  void start();
  // Ends the thread after what it is doing now. The inbox is closed then. From any other thread; twice is harmless.
  void stop();

 private:
  void run();
  void handle(Inbox::Item& item);
  void handle(ClientRequest& request);
  void begin(ClientRequest request);
  void answer(std::vector<ClientReply> replies);

  Loop& loop_;
  RpcQueue& queue_;
  Inbox& inbox_;
  Admission admission_;
  Hooks hooks_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace assent
