// Lines of histories, there and back; and what no history can be.
#include "check/history.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/rng.h"
#include "check/json.h"
#include "check/judge.h"
#include "script.h"

namespace assent::check {
namespace {

TEST(HistoryLine, IsWhatJepsenReads) {
  const Event event{EventType::ok,
                    3,
                    12345,
                    "",
                    {{OpKind::read, "y", List{1, 2}}, {OpKind::append, "x", Number{7}}, {OpKind::write, "z", {}}}};
  EXPECT_EQ(
      to_line(event),
      R"({"type":"ok","process":3,"time":12345,"f":"txn","value":[["r","y",[1,2]],["append","x",7],["w","z",null]]})");
  EXPECT_EQ(to_line(Event{EventType::info, 0, 0, "ab", {}}),
            R"({"type":"info","process":0,"time":0,"f":"txn","id":"ab","value":[]})");
}

TEST(HistoryLine, ComesBackAsItWas) {
  for (const Event& event :
       events_of("+0 append x 1, r x [1 2], r y nil, w z 4, add q -5 | -0 | +1 r x [] | ?1 | +2 w z 7 | !2")) {
    const Result<Event> back = parse_line(to_line(event));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, event);
  }
}

TEST(HistoryLine, IsReadAsOthersWriteIt) {
  const Result<Event> event = parse_line(
      R"( { "index" : 4, "type":"invoke", "f":"txn", "process":0, "time":17, "value":[["append",3,1],["r",3,null]], "extra":{"a":[true,false]} } )");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->value[0], (Micro{OpKind::append, "3", Number{1}}));
}

TEST(HistoryLine, IsValidJsonWhateverTheKey) {
  const Event event{EventType::invoke, 1, 2, "", {{OpKind::read, "a\"b\\\n\xC3\xA4\xff", Number{-5}}}};
  const Result<Event> back = parse_line(to_line(event));
  ASSERT_TRUE(back) << to_line(event);
  EXPECT_EQ(back->value[0].key, "a\"b\\\n\xC3\xA4\xEF\xBF\xBD");
}

TEST(HistoryLine, WhatIsNoneIsRefused) {
  for (const char* line :
       {"", "{", "[]", "null", "{}", R"({"type":"ok"})", R"({"type":"yes","process":1,"time":1,"value":[]})",
        R"({"type":"ok","process":-1,"time":1,"value":[]})", R"({"type":"ok","process":1,"time":1.5,"value":[]})",
        R"({"type":"ok","process":1,"time":1,"value":{}})", R"({"type":"ok","process":1,"time":1,"value":[["r","x"]]})",
        R"({"type":"ok","process":1,"time":1,"value":[["x","x",1]]})",
        R"({"type":"ok","process":1,"time":1,"value":[["append","x",null]]})",
        R"({"type":"ok","process":1,"time":1,"value":[["w","x",[1]]]})",
        R"({"type":"ok","process":1,"time":1,"value":[["r","x",["a"]]]})",
        R"({"type":"ok","process":1,"time":1,"value":[]} x)",
        R"({"type":"ok","process":99999999999999999999,"time":1,"value":[]})"}) {
    EXPECT_FALSE(parse_line(line)) << line;
  }
  EXPECT_FALSE(parse_json(std::string(100'000, '[')));
  EXPECT_FALSE(parse_json(R"("\ud800")"));
  EXPECT_FALSE(parse_json("\"\n\""));
}

TEST(HistoryLine, NoBytesDoHarm) {
  Rng rng(7);
  const std::string good = to_line(events_of("+0 append x 1, r x [1 2], r y nil").front());
  for (int i = 0; i < 20'000; ++i) {
    std::string line = good.substr(0, rng.below(good.size() + 1));
    for (std::uint64_t flips = rng.below(4); flips > 0 && !line.empty(); --flips)
      line[rng.below(line.size())] = static_cast<char>(rng.next());
    const Result<Event> event = parse_line(line);
    if (event) {
      EXPECT_TRUE(parse_line(to_line(*event))) << line;
    }
  }
}

// ---- building ----

Result<void> build(const std::vector<Event>& events, HistoryLimits limits = {}) {
  HistoryBuilder builder(limits);
  for (const Event& event : events) {
    if (auto added = builder.add(event); !added) return added;
  }
  return {};
}

TEST(HistoryBuilder, RefusesWhatNoClientsDo) {
  const std::vector<Event> good = events_of("+0 append x 1 | -0 | +1 r x nil | ?1");
  EXPECT_TRUE(build(good));
  EXPECT_FALSE(build({good[1]})) << "an end without a beginning";
  EXPECT_FALSE(build({good[0], good[0]})) << "two at a time";
  EXPECT_FALSE(build({good[0], good[1], good[1]})) << "two ends";
  EXPECT_FALSE(build({good[2], good[3], good[2]})) << "a process after its info";
  Event other = good[1];
  other.value[0].value = Number{2};
  EXPECT_FALSE(build({good[0], other})) << "the end of another transaction";
  other.value.clear();
  EXPECT_FALSE(build({good[0], other}));
}

TEST(HistoryBuilder, EndsWithWhatIsUnderWayAsUnknown) {
  const History history = history_of("+0 append x 1");
  ASSERT_EQ(history.transactions.size(), 1U);
  EXPECT_EQ(history.transactions[0].end, EventType::info);
  EXPECT_EQ(history.transactions[0].ended, Transaction::never);
}

TEST(HistoryBuilder, IsBounded) {
  const auto events = events_of("+0 append x 1 | -0 | +0 r x [1 2 3] | -0");
  EXPECT_TRUE(build(events));
  EXPECT_EQ(build(events, {1, 100}).error().code, ErrorCode::busy);
  EXPECT_EQ(build(events, {100, 5}).error().code, ErrorCode::busy);
}

TEST(ReadHistory, NamesTheLineThatIsWrong) {
  std::string text;
  for (const Event& event : events_of("+0 append x 1 | -0")) text += to_line(event) + "\n";
  std::istringstream good(text + "\n");
  EXPECT_EQ(read_history(good)->transactions.size(), 1U);
  std::istringstream bad(text + "nonsense\n");
  const auto history = read_history(bad);
  ASSERT_FALSE(history);
  EXPECT_EQ(history.error().code, ErrorCode::malformed);
  EXPECT_NE(history.error().message.find("line 3"), std::string::npos) << history.error().message;
}

TEST(Describe, SaysWhatATransactionDid) {
  EXPECT_EQ(describe(history_of("+3 append x 7, r y [1 2] | -3"), 0),
            "T0 (process 3, events 1-2): append x 7, r y [1 2]");
  EXPECT_EQ(describe(history_of("+3 w x 7, r y nil | ?3"), 0), "T0 (process 3, events 1-?, info): w x 7, r y");
}

TEST(Story, PrintsTheCycleInWords) {
  const Verdict verdict =
      judge(history_of("+0 append x 1, append y 1 | +1 r x [1], r y [] | -0 | -1 | +2 r y [1] | -2"));
  ASSERT_EQ(verdict.anomalies.size(), 1U) << to_text(verdict);
  EXPECT_EQ(verdict.anomalies[0].name, "G-single");
  EXPECT_EQ(verdict.anomalies[0].story,
            "2 transactions, each of which must come before the next, and the last before the first.\n"
            "  T1 (process 1, events 2-4): r x [1], r y []\n"
            "  T0 (process 0, events 1-3): append x 1, append y 1\n"
            "  T1 before T0, because T1 read y without the 1 of T0\n"
            "  T0 before T1, because T1 read in x the 1 of T0\n");
}

}  // namespace
}  // namespace assent::check
