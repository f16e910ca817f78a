// A question that is answered on the loop's thread while the asker waits on its own.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "server/inbox.h"

namespace assent {

// Whoever answers later than at once calls done, on any thread; nobody waits longer than patience for it.
template <class Answer>
using Answering = std::function<void(Loop&, std::function<void(Answer)> done)>;

// nullopt when the loop did not come to it in time, or ends. What the question refers to must live as long as the
// inbox: it may be asked after the asker has gone.
template <class Answer>
[[nodiscard]] std::optional<Answer> ask_loop_later(Inbox& inbox, std::chrono::milliseconds patience,
                                                   Answering<Answer> question) {
  struct Promise {  // kept also when the task is dropped
    std::promise<std::optional<Answer>> promise;
    bool kept = false;
    ~Promise() {
      if (!kept) promise.set_value(std::nullopt);
    }
  };
  auto promise = std::make_shared<Promise>();
  std::future<std::optional<Answer>> coming = promise->promise.get_future();
  static_cast<void>(inbox.post([promise = std::move(promise), question = std::move(question)](Loop& loop) {
    question(loop, [promise](Answer answer) {
      if (std::exchange(promise->kept, true)) return;
      promise->promise.set_value(std::move(answer));
    });
  }));
  if (coming.wait_for(patience) != std::future_status::ready) return std::nullopt;
  return coming.get();
}

template <class Answer>
[[nodiscard]] std::optional<Answer> ask_loop(Inbox& inbox, std::chrono::milliseconds patience,
                                             std::function<Answer(Loop&)> question) {
  return ask_loop_later<Answer>(
      inbox, patience,
      [question = std::move(question)](Loop& loop, const std::function<void(Answer)>& done) { done(question(loop)); });
}

}  // namespace assent
