#include "server/answer_sender.h"

#include <gtest/gtest.h>

#include <deque>

namespace assent {
namespace {

class Ended final : public UnaryCall {
 public:
  void finish(const grpc::Status& status) override {
    ++times;
    code = status.error_code();
    by = std::this_thread::get_id();
  }

  int times = 0;
  grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
  std::thread::id by;
};

std::vector<AnswerSender::Answer> to(std::deque<Ended>& calls, std::size_t from, std::size_t count) {
  std::vector<AnswerSender::Answer> answers;
  for (std::size_t i = from; i < from + count; ++i) {
    answers.push_back({&calls[i], i % 2 == 0 ? grpc::Status::OK : grpc::Status(grpc::StatusCode::ABORTED, "no")});
  }
  return answers;
}

TEST(AnswerSender, ALoneAnswerIsSentAtOnce) {
  std::deque<Ended> calls(1);
  AnswerSender sender;
  sender.send(to(calls, 0, 1));
  EXPECT_EQ(calls[0].times, 1);
  EXPECT_EQ(calls[0].by, std::this_thread::get_id());
}

TEST(AnswerSender, SeveralGoByAnotherThreadAndEachOnceBeforeItStops) {
  std::deque<Ended> calls(1'000);
  AnswerSender sender;
  std::size_t next = 0;
  for (std::size_t count = 2; next + count <= calls.size(); count = count % 9 + 2) {
    sender.send(to(calls, next, count));
    next += count;
  }
  sender.stop();
  for (std::size_t i = 0; i < next; ++i) {
    ASSERT_EQ(calls[i].times, 1) << i;
    EXPECT_EQ(calls[i].code, i % 2 == 0 ? grpc::StatusCode::OK : grpc::StatusCode::ABORTED);
    EXPECT_NE(calls[i].by, std::this_thread::get_id());
  }
}

TEST(AnswerSender, AfterItsStopItSendsAtOnce) {
  std::deque<Ended> calls(5);
  AnswerSender sender;
  sender.send(to(calls, 0, 3));
  sender.stop();
  sender.send(to(calls, 3, 2));
  EXPECT_EQ(calls[4].times, 1);
  EXPECT_EQ(calls[4].by, std::this_thread::get_id());
  sender.stop();
}

}  // namespace
}  // namespace assent
