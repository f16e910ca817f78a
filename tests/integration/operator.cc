#include "tests/integration/operator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <iterator>
#include <utility>

namespace assent::testing {

CommandResult operate(const Cluster& cluster, std::vector<std::string> words) {
  std::vector<std::string> command{program("assentctl"), "--endpoints", cluster.endpoint_list()};
  command.insert(command.end(), std::make_move_iterator(words.begin()), std::make_move_iterator(words.end()));
  return run_command(std::move(command), std::chrono::minutes(2));
}

void expect_done(const Cluster& cluster, const std::vector<std::string>& words) {
  const CommandResult result = operate(cluster, words);
  EXPECT_EQ(result.status, 0) << fmt::format("{}", fmt::join(words, " ")) << ": " << result.output;
}

void expect_refused(const Cluster& cluster, const std::vector<std::string>& words, int status, const std::string& why) {
  const CommandResult result = operate(cluster, words);
  EXPECT_EQ(result.status, status) << fmt::format("{}", fmt::join(words, " ")) << ": " << result.output;
  EXPECT_NE(result.output.find(why), std::string::npos) << result.output;
}

}  // namespace assent::testing
