#include "server/config_values.h"

#include <gtest/gtest.h>

namespace assent {
namespace {

using std::chrono::milliseconds;

TEST(ConfigValues, ReadsDurations) {
  EXPECT_EQ(parse_duration("0ms"), milliseconds(0));
  EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
  EXPECT_EQ(parse_duration("90s"), milliseconds(90'000));
  EXPECT_EQ(parse_duration("10m"), milliseconds(600'000));
  EXPECT_EQ(parse_duration("24h"), milliseconds(86'400'000));
  for (const char* bad : {"", "5", "s", "1.5s", "5 s", "5S", "-1s", "999999999h", "18446744073709551616ms"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(ConfigValues, ReadsSizes) {
  EXPECT_EQ(parse_size("17B"), 17U);
  EXPECT_EQ(parse_size("4KiB"), 4096U);
  EXPECT_EQ(parse_size("4MiB"), 4U << 20U);
  for (const char* bad : {"", "4", "4MB", "4mib", "18446744073709551615KiB"}) EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(ConfigValues, WritesWhatItReads) {
  for (const char* text : {"1ms", "1500ms", "2s", "90s", "10m", "24h"})
    EXPECT_EQ(duration_text(*parse_duration(text)), text);
  EXPECT_EQ(duration_text(milliseconds(60'000)), "1m");
  for (const char* text : {"1B", "1025B", "256KiB", "4MiB", "3GiB"}) EXPECT_EQ(size_text(*parse_size(text)), text);
}

TEST(ConfigValues, ReadsEndpoints) {
  EXPECT_EQ(parse_endpoint("127.0.0.1:7420"), (Endpoint{"127.0.0.1", 7420}));
  EXPECT_EQ(parse_endpoint("[::1]:7420"), (Endpoint{"::1", 7420}));
  EXPECT_EQ(parse_endpoint("[::1]:7420")->text(), "[::1]:7420");
  EXPECT_EQ(parse_endpoint("node-1.example:1")->text(), "node-1.example:1");
  for (const char* bad :
       {"", ":", "h", "h:", "h:x", "h:65536", "h:0", "h:-1", "::1:5", "[::1:5", "a b:5", "http://h:5"}) {
    EXPECT_FALSE(parse_endpoint(bad)) << bad;
  }
}

TEST(ConfigValues, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("heartbeat", "hartbeat"), 1U);
  EXPECT_EQ(edit_distance("fsync", "fysnc"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

}  // namespace
}  // namespace assent
