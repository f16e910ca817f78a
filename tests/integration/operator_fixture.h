// A cluster with accounts on both shards and assentctl to look at it: for what an operator does. c0 and s1 live on n1
// to n3, s2 on m1 alone, so that a test can take s2 away.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/cluster.h"

namespace assent::testing {

class OperatorTest : public ::testing::Test {
 protected:
  explicit OperatorTest(std::string extra_yaml = {}) : cluster("operator", options(std::move(extra_yaml))) {}

  static ClusterOptions options(std::string extra_yaml) {
    ClusterOptions options;
    options.s2_nodes = {"m1"};
    options.extra_yaml = std::move(extra_yaml);
    return options;
  }

  void SetUp() override {
    cluster.start_all();
    ASSERT_TRUE(cluster.wait_for_leaders());
    for (const char* shard : {"s1", "s2"}) {
      const auto sql = [&](const char* text) { return ctl({"sql", "--shard", shard, text}).status; };
      ASSERT_EQ(sql("CREATE TABLE accounts(id TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK(balance >= 0))"), 0);
      ASSERT_EQ(sql("INSERT INTO accounts VALUES('a', 100), ('b', 100)"), 0);
    }
  }

  CommandResult ctl(std::vector<std::string> arguments) const {
    std::vector<std::string> command{program("assentctl"), "--endpoints", cluster.endpoint_list()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run_command(std::move(command));
  }
  // The one document that it prints; the exit code is expected.
  nlohmann::json json(std::vector<std::string> arguments, int status) const {
    arguments.insert(arguments.end(), {"-o", "json"});
    const CommandResult result = ctl(arguments);
    EXPECT_EQ(result.status, status) << result.output;
    nlohmann::json document =
        nlohmann::json::parse(result.output.substr(0, result.output.rfind('}') + 1), nullptr, false);
    EXPECT_FALSE(document.is_discarded()) << result.output;
    return document;
  }
  // Of account a from s1 to s2.
  static std::vector<std::string> transfer(const std::string& id, int amount = 1) {
    const std::string by = std::to_string(amount);
    return {"txn",
            "exec",
            "--id",
            id,
            "--on",
            "s1",
            "UPDATE accounts SET balance = balance - " + by + " WHERE id = 'a'",
            "--on",
            "s2",
            "UPDATE accounts SET balance = balance + " + by + " WHERE id = 'a'"};
  }
  static std::vector<std::string> with(std::vector<std::string> line, const std::vector<std::string>& more) {
    line.insert(line.end(), more.begin(), more.end());
    return line;
  }

  Cluster cluster;
};

}  // namespace assent::testing
