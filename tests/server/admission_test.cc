#include "server/admission.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace assent {
namespace {

using std::chrono::milliseconds;
using Verdict = Admission::Verdict;

const Admission::TimePoint start{};

ClientRequest execute(std::uint64_t id) { return {.id = RequestId(id), .group = GroupId(1), .body = Execute{}}; }

struct AdmissionTest : testing::Test {
  Verdict ask(std::uint64_t id, milliseconds at = {}) {
    ClientRequest request = execute(id);
    return admission.ask(request, start + at);
  }
  // The ids of all that may begin now.
  std::vector<std::uint64_t> begun(milliseconds at = {}) {
    std::vector<std::uint64_t> ids;
    while (auto request = admission.next(start + at)) ids.push_back(request->id.value);
    return ids;
  }
  Admission admission{{.running_max = 2, .waiting_max = 3, .working_max = milliseconds(100)}};
};

TEST_F(AdmissionTest, BeginsSoManyThenLetsWaitThenRefuses) {
  EXPECT_EQ(ask(1), Verdict::begin);
  EXPECT_EQ(ask(2), Verdict::begin);
  for (std::uint64_t id = 3; id <= 5; ++id) EXPECT_EQ(ask(id), Verdict::wait);
  ClientRequest sixth = execute(6);
  EXPECT_EQ(admission.ask(sixth, start), Verdict::refuse);
  EXPECT_EQ(sixth.id, RequestId(6)) << "what is refused stays whole, to be answered";
  EXPECT_EQ(admission.running(), 2U);
  EXPECT_EQ(admission.waiting(), 3U);
}

TEST_F(AdmissionTest, EachThatEndsLetsTheOldestBegin) {
  for (std::uint64_t id = 1; id <= 5; ++id) (void)ask(id);
  EXPECT_TRUE(begun().empty());
  EXPECT_FALSE(admission.ready(start));
  admission.ended(RequestId(2));
  EXPECT_TRUE(admission.ready(start));
  EXPECT_EQ(begun(), std::vector<std::uint64_t>{3});
  admission.ended(RequestId(1));
  admission.ended(RequestId(3));
  EXPECT_EQ(begun(), (std::vector<std::uint64_t>{4, 5}));
  EXPECT_EQ(ask(6), Verdict::wait);
}

TEST_F(AdmissionTest, NobodyOvertakesThoseThatWait) {
  for (std::uint64_t id = 1; id <= 3; ++id) (void)ask(id);
  admission.ended(RequestId(1));
  EXPECT_EQ(ask(4), Verdict::wait) << "3 waits for the place";
  EXPECT_EQ(begun(), std::vector<std::uint64_t>{3});
}

TEST_F(AdmissionTest, QuestionsAndReadsPass) {
  for (std::uint64_t id = 1; id <= 5; ++id) (void)ask(id);
  ClientRequest question{.id = RequestId(9), .group = GroupId(1), .body = GetOutcome{}};
  ClientRequest read{.id = RequestId(10), .group = GroupId(2), .body = Query{}};
  EXPECT_EQ(admission.ask(question, start), Verdict::begin);
  EXPECT_EQ(admission.ask(read, start), Verdict::begin);
  EXPECT_EQ(admission.running(), 2U);
  admission.ended(RequestId(9));
  EXPECT_EQ(admission.running(), 2U);
}

// A shard is down, and what it takes part in hangs until its time is up: the others go on.
TEST_F(AdmissionTest, WhatHasRunForLongMakesRoom) {
  (void)ask(1, milliseconds(0));
  (void)ask(2, milliseconds(50));
  (void)ask(3, milliseconds(60));
  (void)ask(4, milliseconds(60));
  EXPECT_TRUE(begun(milliseconds(99)).empty());
  EXPECT_EQ(begun(milliseconds(100)), std::vector<std::uint64_t>{3});
  EXPECT_EQ(begun(milliseconds(150)), std::vector<std::uint64_t>{4});
  admission.ended(RequestId(1));  // answered in the end: its place was given away already
  EXPECT_EQ(admission.running(), 2U);
  EXPECT_EQ(ask(5, milliseconds(150)), Verdict::wait);
}

// One runs on while thousands behind it come and go.
TEST_F(AdmissionTest, OneThatRunsOnHoldsUpNobody) {
  for (std::uint64_t id = 1; id <= 10'000; ++id) {
    ASSERT_EQ(ask(id), Verdict::begin);
    if (id > 1) admission.ended(RequestId(id));
  }
  EXPECT_EQ(admission.running(), 1U);
  admission.ended(RequestId(1));
  EXPECT_EQ(ask(10'001), Verdict::begin);
  EXPECT_EQ(ask(10'002), Verdict::begin);
  EXPECT_EQ(ask(10'003), Verdict::wait);
}

}  // namespace
}  // namespace assent
