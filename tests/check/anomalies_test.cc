// Every rule of the checkers: a history that breaks it, and a near miss that does not.
#include <gtest/gtest.h>

#include "check/judge.h"
#include "script.h"

namespace assent::check {
namespace {

struct Case {
  std::string name;  // of the test
  std::string anomaly;
  std::string broken;
  std::string near_miss;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Anomalies : public testing::TestWithParam<Case> {};

TEST_P(Anomalies, AreFoundAndNamed) {
  const Verdict verdict = judge(history_of(GetParam().broken));
  EXPECT_TRUE(verdict.has(GetParam().anomaly)) << to_text(verdict);
  EXPECT_EQ(verdict.judgement(), Judgement::wrong);
}

TEST_P(Anomalies, NotInTheNearMiss) {
  const Verdict verdict = judge(history_of(GetParam().near_miss));
  EXPECT_EQ(verdict.judgement(), Judgement::sound) << to_text(verdict);
}

// In lists. Processes 0, 1, 2 overlap where real time must not matter.
const std::vector<Case> lists = {
    {"InternalOwnAppendMissing", "internal", "+0 append x 1, r x [] | -0", "+0 append x 1, r x [1] | -0"},
    {"InternalReadTwice", "internal", "+0 append x 1 | +1 r x [], r x [1] | -0 | -1",
     "+0 append x 1 | +1 r x [1], r x [1] | -0 | -1"},
    {"InternalReadAppendRead", "internal", "+0 append x 1 | -0 | +0 r x [1], append x 2, r x [1 2 2] | -0",
     "+0 append x 1 | -0 | +0 r x [1], append x 2, r x [1 2] | -0"},
    {"InternalReadBeforeAppend", "internal", "+0 r x [1], append x 1 | -0", "+0 r x [], append x 1 | -0"},
    {"Duplicate", "duplicate elements", "+0 append x 1 | -0 | +0 r x [1 1] | -0",
     "+0 append x 1 | -0 | +0 r x [1] | -0"},
    {"Garbage", "garbage read", "+0 r x [7] | -0", "+1 append x 7 | +0 r x [7] | -0 | ?1"},
    {"AbortedRead", "G1a", "+0 append x 1 | +1 r x [1] | !0 | -1", "+0 append x 1 | +1 r x [1] | ?0 | -1"},
    {"IntermediateRead", "G1b", "+0 append x 1, append x 2 | +1 r x [1] | -0 | -1",
     "+0 append x 1, append x 2 | +1 r x [1 2] | -0 | -1"},
    {"IncompatibleOrder", "incompatible order",
     "+0 append x 1 | +1 append x 2 | -0 | -1 | +0 r x [1 2] | -0 | +0 r x [2 1] | -0",
     "+0 append x 1 | +1 append x 2 | -0 | -1 | +0 r x [2 1] | -0 | +0 r x [2 1] | -0"},
    {"OwnAppendsOutOfOrder", "incompatible order", "+0 append x 1, append x 2 | -0 | +0 r x [2 1] | -0",
     "+0 append x 1, append x 2 | -0 | +0 r x [1 2] | -0"},
    {"LostAppend", "lost append", "+0 append x 1 | -0 | +1 r x [] | -1", "+0 append x 1 | +1 r x [] | -1 | -0"},
    {"LostAppendThoughOthersAreSeen", "lost append", "+0 append x 1 | -0 | +0 append x 2 | -0 | +1 r x [1] | -1",
     "+0 append x 1 | -0 | +0 append x 2 | +1 r x [1] | -1 | ?0"},
    {"DirtyWrite", "G0",
     "+0 append x 1, append y 1 | +1 append x 2, append y 2 | -0 | -1 | +0 r x [1 2], r y [2 1] | -0",
     "+0 append x 1, append y 1 | +1 append x 2, append y 2 | -0 | -1 | +0 r x [1 2], r y [1 2] | -0"},
    {"DirtyWriteAgainstRealTime", "G0-realtime", "+0 append x 1 | -0 | +1 append x 2 | -1 | +2 r x [2 1] | -2",
     "+0 append x 1 | +1 append x 2 | -0 | -1 | +2 r x [2 1] | -2"},
    {"CircularInformation", "G1c", "+0 append x 1, r y [2] | +1 append y 2, r x [1] | -0 | -1",
     "+0 append x 1, r y [2] | +1 append y 2, r x [] | -0 | -1"},
    {"ReadOfTheFuture", "G1c-realtime", "+0 r x [1] | -0 | +1 append x 1 | -1", "+0 r x [1] | +1 append x 1 | -0 | -1"},
    {"ReadSkew", "G-single", "+0 append x 1, append y 1 | +1 r x [1], r y [] | -0 | -1 | +2 r y [1] | -2",
     "+0 append x 1, append y 1 | +1 r x [], r y [] | -0 | -1 | +2 r y [1] | -2"},
    {"ReadSkewOfAnAppendThatNobodySaw", "G-single", "+0 append x 1, append y 1 | +1 r x [1], r y [] | -1 | ?0",
     "+0 append x 1, append y 1 | +1 r x [], r y [] | -1 | ?0"},
    {"LostUpdate", "G-single", "+0 r x [], append x 1 | +1 r x [], append x 2 | -0 | -1 | +2 r x [1 2] | -2",
     "+0 r x [], append x 1 | +1 r x [1], append x 2 | -0 | -1 | +2 r x [1 2] | -2"},
    {"LostUpdateThatNobodySaw", "G2-item", "+0 r x [], append x 1 | +1 r x [], append x 2 | -0 | -1",
     "+0 r x [], append x 1 | +1 r x [], append x 2 | -0 | ?1"},
    {"StaleRead", "G-single-realtime", "+0 append x 1 | -0 | +1 r x [] | -1 | +2 r x [1] | -2",
     "+0 append x 1 | +1 r x [] | -0 | -1 | +2 r x [1] | -2"},
    {"LongFork", "G-nonadjacent",
     "+0 append x 1 | +1 append y 1 | +2 r x [1], r y [] | +3 r x [], r y [1] | -0 | -1 | -2 | -3 | +0 r x [1], r y "
     "[1] | -0",
     "+0 append x 1 | +1 append y 1 | +2 r x [1], r y [] | +3 r x [], r y [] | -0 | -1 | -2 | -3 | +0 r x [1], r y [1] "
     "| -0"},
    {"LongForkInRealTime", "G-nonadjacent-realtime",
     "+0 append x 1 | +1 append y 1 | +4 r y [1], r x [] | +2 r x [1] | -2 | +3 r y [] | -3 | -4 | -0 | -1 | +0 r x "
     "[1], r y [1] | -0",
     "+0 append x 1 | +1 append y 1 | +4 r y [1], r x [] | +2 r x [1] | +3 r y [] | -2 | -3 | -4 | -0 | -1 | +0 r x "
     "[1], r y [1] | -0"},
    {"WriteSkew", "G2-item", "+0 r x [], append y 1 | +1 r y [], append x 1 | -0 | -1 | +0 r x [1], r y [1] | -0",
     "+0 r x [1], append y 1 | +1 r y [], append x 1 | -0 | -1 | +0 r x [1], r y [1] | -0"},
    {"WriteSkewInRealTime", "G2-item-realtime",
     "+1 r y [], append x 1 | +2 append y 1 | -2 | +0 r x [] | -0 | -1 | +3 r x [1], r y [1] | -3",
     "+1 r y [], append x 1 | +2 append y 1 | +0 r x [] | -2 | -0 | -1 | +3 r x [1], r y [1] | -3"},
};

const std::vector<Case> registers = {
    {"InternalOwnWriteMissing", "internal", "+0 w x 1, r x nil | -0", "+0 w x 1, r x 1 | -0"},
    {"InternalReadTwice", "internal", "+0 w x 1 | +1 r x nil, r x 1 | -0 | -1",
     "+0 w x 1 | +1 r x nil, r x nil | -0 | -1"},
    {"InternalReadBeforeWrite", "internal", "+0 r x 1, w x 1 | -0", "+0 r x nil, w x 1, r x 1 | -0"},
    {"Garbage", "garbage read", "+0 w x 1 | +1 r x 7 | -1 | -0", "+0 w x 7 | +1 r x 7 | -1 | ?0"},
    {"AbortedRead", "G1a", "+0 w x 1 | +1 r x 1 | !0 | -1", "+0 w x 1 | +1 r x 1 | ?0 | -1"},
    {"IntermediateRead", "G1b", "+0 w x 1, w x 2 | +1 r x 1 | -0 | -1", "+0 w x 1, w x 2 | +1 r x 2 | -0 | -1"},
    {"StaleRead", "not linearizable", "+0 w x 1 | -0 | +0 w x 2 | -0 | +1 r x 1 | -1",
     "+0 w x 1 | -0 | +0 w x 2 | +1 r x 1 | -0 | -1"},
    {"StaleReadOfNothing", "not linearizable", "+0 w x 1 | -0 | +1 r x nil | -1", "+0 w x 1 | +1 r x nil | -0 | -1"},
    {"ReadsGoBack", "not linearizable", "+0 w x 1 | -0 | +0 w x 2 | +1 r x 2 | -1 | +1 r x 1 | -1 | -0",
     "+0 w x 1 | -0 | +0 w x 2 | +1 r x 1 | -1 | +1 r x 2 | -1 | -0"},
    {"WrittenWhileAnotherWasThere", "not linearizable", "+0 w x 1 | -0 | +0 w x 2 | -0 | +1 r x 1 | -1",
     "+0 w x 1 | +1 w x 2 | -0 | -1 | +2 r x 1 | -2"},
    {"ReadOfTheFuture", "G1c-realtime", "+0 r x 1 | -0 | +1 w x 1 | -1", "+0 r x 1 | +1 w x 1 | -0 | -1"},
    {"CircularInformation", "G1c", "+0 w x 1, r y 2 | +1 w y 2, r x 1 | -0 | -1",
     "+0 w x 1, r y 2 | +1 w y 2, r x nil | -0 | -1"},
    {"ReadSkew", "G-single", "+0 w x 1, w y 1 | +1 r x 1, r y nil | -0 | -1",
     "+0 w x 1, w y 1 | +1 r x nil, r y nil | -0 | -1"},
    {"LostUpdate", "G2-item", "+0 r x nil, w x 1 | +1 r x nil, w x 2 | -0 | -1",
     "+0 r x nil, w x 1 | +1 r x 1, w x 2 | -0 | -1"},
    {"WriteSkew", "G2-item", "+0 r x nil, w y 1 | +1 r y nil, w x 1 | -0 | -1",
     "+0 r x 1, w y 1 | +1 r y nil, w x 1 | -0 | -1"},
    {"LongFork", "G-nonadjacent", "+0 w x 1 | +1 w y 1 | +2 r x 1, r y nil | +3 r x nil, r y 1 | -0 | -1 | -2 | -3",
     "+0 w x 1 | +1 w y 1 | +2 r x 1, r y nil | +3 r x nil, r y nil | -0 | -1 | -2 | -3"},
    // Versions whose order only real time tells.
    {"DirtyWriteByRealTime", "G0-realtime",
     "+0 w x 1, w y 1 | +1 w x 2, w y 2 | -0 | -1 | +0 r x 1 | +1 r y 2 | -0 | -1 | +0 w x 3 | -0",
     "+0 w x 1, w y 1 | +1 w x 2, w y 2 | -0 | -1 | +0 r x 1 | +1 r y 1 | -0 | -1"},
};

std::string name_of_case(const testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Lists, Anomalies, testing::ValuesIn(lists), name_of_case);
INSTANTIATE_TEST_SUITE_P(Registers, Anomalies, testing::ValuesIn(registers), name_of_case);

}  // namespace
}  // namespace assent::check
