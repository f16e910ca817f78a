// The header in which callers name their trace.
#include "observe/trace_context.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace assent {
namespace {

const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(TraceContextTest, WhatIsReadIsWrittenAgain) {
  const auto context = parse_traceparent(good);
  ASSERT_TRUE(context);
  EXPECT_EQ(trace_id_of(*context), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(span_id_of(*context), "b7ad6b7169203331");
  EXPECT_TRUE(context->sampled());
  EXPECT_EQ(to_traceparent(*context), good);
}

TEST(TraceContextTest, FlagsAreBits) {
  EXPECT_FALSE(parse_traceparent(good.substr(0, 53) + "02")->sampled());
  EXPECT_TRUE(parse_traceparent(good.substr(0, 53) + "ff")->sampled());
}

TEST(TraceContextTest, ALaterVersionMayBeLonger) {
  const std::string later = "01" + good.substr(2);
  EXPECT_TRUE(parse_traceparent(later));
  EXPECT_TRUE(parse_traceparent(later + "-what-is-to-come"));
  EXPECT_FALSE(parse_traceparent(later + "x"));
  EXPECT_FALSE(parse_traceparent(good + "-more")) << "version 00 has an end";
}

TEST(TraceContextTest, AnythingElseIsIgnored) {
  for (const std::string& bad : std::vector<std::string>{
           std::string(), std::string("00"), good.substr(0, 54), "ff" + good.substr(2),
           "00-" + std::string(32, '0') + good.substr(35), good.substr(0, 36) + std::string(16, '0') + "-01",
           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", std::string(55, '-'), std::string(55, '\xFF')}) {
    EXPECT_FALSE(parse_traceparent(bad)) << bad;
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = 'g';
    EXPECT_FALSE(parse_traceparent(bad)) << i;
  }
}

TEST(TraceContextTest, ItsBytesComeBackAsItWas) {
  for (const std::string& state : {std::string(), std::string("a=1,b=2"), std::string(512, 'x')}) {
    const auto context = parse_trace(good, state);
    EXPECT_EQ(to_bytes(*context).size(), 25 + state.size());
    EXPECT_EQ(trace_from_bytes(to_bytes(*context)), context);
  }
  EXPECT_EQ(to_bytes(*parse_trace(good, std::string(512, 'x'))).size(), trace_bytes_max);
}

TEST(TraceContextTest, OtherBytesAreNone) {
  const Bytes bytes = to_bytes(*parse_trace(good, "a=1"));
  for (std::size_t size = 0; size < 25; ++size) EXPECT_FALSE(trace_from_bytes(bytes.substr(0, size))) << size;
  EXPECT_TRUE(trace_from_bytes(bytes.substr(0, 25)));
  EXPECT_FALSE(trace_from_bytes(Bytes(16, '\0') + bytes.substr(16))) << "no trace id";
  EXPECT_FALSE(trace_from_bytes(bytes.substr(0, 16) + Bytes(8, '\0') + bytes.substr(24))) << "no span id";
  EXPECT_FALSE(trace_from_bytes(bytes + "\n"));
  EXPECT_FALSE(trace_from_bytes(bytes + Bytes(512, 'x')));
}

TEST(TraceContextTest, TheStateIsKeptAsItIsOrNotAtAll) {
  EXPECT_EQ(parse_trace(good, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")->state,
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
  EXPECT_EQ(parse_trace(good, "")->state, "");
  EXPECT_EQ(parse_trace(good, std::string(512, 'x'))->state.size(), 512U);
  EXPECT_EQ(parse_trace(good, std::string(513, 'x'))->state, "");
  for (const char* bad : {"a=1\r\nX: y", "a=\xC3\xA9", "a=\x7F", "\t"}) {
    EXPECT_EQ(parse_trace(good, bad)->state, "") << bad;
  }
  EXPECT_FALSE(parse_trace("00-nonsense", "a=1")) << "it goes with the header that is ignored";
}

}  // namespace
}  // namespace assent
