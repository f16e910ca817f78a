#include "cli/values.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli/table.h"

namespace assent::cli {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, TakesNumbersWithUnits) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("5s"), 5s);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("1h"), 1h);
  for (const char* bad : {"", "5", "s", "-1s", "5 s", "1e3s", "5sec", "..s", "99999999h"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(ParseParameter, GuessesTheTypeUnlessItIsSaid) {
  EXPECT_EQ(parse_parameter("5"), SqlValue(std::int64_t{5}));
  EXPECT_EQ(parse_parameter("-5"), SqlValue(std::int64_t{-5}));
  EXPECT_EQ(parse_parameter("5.5"), SqlValue(5.5));
  EXPECT_EQ(parse_parameter("1e3"), SqlValue(1000.0));
  EXPECT_EQ(parse_parameter("null"), SqlValue(SqlNull{}));
  for (const char* text : {"alice", "", "nan", "inf", "5 apples", "99999999999999999999x"})
    EXPECT_EQ(parse_parameter(text), SqlValue(std::string(text)));
  EXPECT_EQ(parse_parameter("text:5"), SqlValue(std::string("5")));
  EXPECT_EQ(parse_parameter("int:5"), SqlValue(std::int64_t{5}));
  EXPECT_EQ(parse_parameter("real:5"), SqlValue(5.0));
  EXPECT_EQ(parse_parameter("hex:00fF"), SqlValue(SqlBlob{std::string("\x00\xff", 2)}));
  for (const char* bad : {"int:x", "int:", "int:5.5", "real:", "hex:0", "hex:zz"})
    EXPECT_FALSE(parse_parameter(bad)) << bad;
}

TEST(ParsePayload, IsTextUnlessItSaysHex) {
  EXPECT_EQ(parse_payload("debit 5"), "debit 5");
  EXPECT_EQ(parse_payload("text:hex:00"), "hex:00");
  EXPECT_EQ(parse_payload("hex:00fF"), std::string("\x00\xff", 2));
  EXPECT_EQ(parse_payload(""), "");
  EXPECT_FALSE(parse_payload("hex:0"));
}

TEST(ParseServiceCall, WantsANameAnAddressAndAPayload) {
  const auto call = parse_service_call("pay@10.0.0.1:7000", "hex:00");
  ASSERT_TRUE(call);
  EXPECT_EQ(*call, (client::ServiceCall{"pay", "10.0.0.1:7000", std::string(1, '\0'), ""}));
  for (const char* bad : {"", "pay", "pay@", "@10.0.0.1:7000", "pay@10.0.0.1", "pay@a:1,b:2", "pay@10.0.0.1:0"}) {
    EXPECT_FALSE(parse_service_call(bad, "x")) << bad;
  }
  EXPECT_FALSE(parse_service_call("pay@10.0.0.1:7000", "hex:0"));
}

TEST(OnlyReads, TellsQueriesFromTransactions) {
  for (const char* read : {"SELECT 1", "  select * from t", "-- a comment\nSELECT 1", "/* INSERT */ SELECT 1",
                           "VALUES (1)", "EXPLAIN QUERY PLAN DELETE FROM t", "WITH x AS (SELECT 1) SELECT * FROM x",
                           "WITH RECURSIVE x(n) AS (VALUES(1)) SELECT n FROM x", "(SELECT 1)"}) {
    EXPECT_TRUE(only_reads(read)) << read;
  }
  for (const char* write :
       {"INSERT INTO t VALUES (1)", "UPDATE t SET a = (SELECT 1)", "DELETE FROM t", "CREATE TABLE t(id)",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "WITH \"SELECT\" AS (SELECT 1) DELETE FROM t", "",
        "selected", "'SELECT'", "-- SELECT 1", "/* SELECT"}) {
    EXPECT_FALSE(only_reads(write)) << write;
  }
}

std::string printed(const Table& table, bool headers = true) {
  std::ostringstream out;
  table.print(out, headers);
  return out.str();
}

TEST(Table, AlignsTextToTheLeftAndNumbersToTheRight) {
  Table table({"NAME", "N", "MIXED"});
  table.add({"a", "1", "x"});
  table.add({"long", "1,000", "7"});
  table.add({"empty"});
  EXPECT_EQ(printed(table),
            "NAME       N  MIXED\n"
            "a          1  x\n"
            "long   1,000  7\n"
            "empty\n");
  EXPECT_EQ(printed(table, false),
            "a          1  x\n"
            "long   1,000  7\n"
            "empty\n");
}

TEST(Table, CountsCharactersNotBytesAndKeepsCellsOnOneLine) {
  Table table({"A", "B"});
  table.add({"é", "x"});
  table.add({"ab", "y\nz\x1b[31m"});
  EXPECT_EQ(printed(table), "A   B\né   x\nab  y\\nz\\x1b[31m\n");
}

TEST(Grouped, PutsCommas) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
}

}  // namespace
}  // namespace assent::cli
