// Sends the answers of client calls. What gRPC does for one (encode it, frame it, write it to the socket, which wakes
// the client and often puts it in the writer's place) is a tenth of what the loop has to do for a transaction, and
// nothing that the loop has to wait for. So several together are sent from a thread of its own, while the loop goes on.
// A lone one is sent at once: little else waits then, and another thread would have to be woken first.
#pragma once

#include <grpcpp/support/status.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "server/rpc_server.h"

namespace assent {

class AnswerSender {
 public:
  struct Answer {
    UnaryCall* call = nullptr;  // its response is filled
    grpc::Status status;
  };

  AnswerSender() = default;
  ~AnswerSender() { stop(); }
  AnswerSender(const AnswerSender&) = delete;
  AnswerSender& operator=(const AnswerSender&) = delete;

  // From one thread.
  void send(std::vector<Answer> answers);
  // Sends what was handed in and ends the thread; later answers are sent at once. To be called before the completion
  // queue of the calls is drained, when nobody is in send().
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Answer> waiting_;  // guarded by mutex_
  bool stopping_ = false;        // guarded by mutex_
  bool stopped_ = false;
  std::thread thread_;  // from the first answers that come together
};

}  // namespace assent
