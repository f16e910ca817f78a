#include "server/answer_sender.h"

#include <pthread.h>

#include <iterator>
#include <utility>

namespace assent {

namespace {

void send_all(const std::vector<AnswerSender::Answer>& answers) {
  for (const AnswerSender::Answer& answer : answers) answer.call->finish(answer.status);
}

}  // namespace

void AnswerSender::send(std::vector<Answer> answers) {
  if (answers.size() < 2 || stopped_) return send_all(answers);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = waiting_.empty();
    std::move(answers.begin(), answers.end(), std::back_inserter(waiting_));
  }
  if (was_empty) arrived_.notify_one();
}

void AnswerSender::stop() {
  stopped_ = true;
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_.notify_one();
  thread_.join();
}

void AnswerSender::run() {
  pthread_setname_np(pthread_self(), "assent-answers");
  std::unique_lock lock(mutex_);
  while (true) {
    arrived_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::vector<Answer> taken = std::exchange(waiting_, {});
    lock.unlock();
    send_all(taken);
    lock.lock();
  }
}

}  // namespace assent
