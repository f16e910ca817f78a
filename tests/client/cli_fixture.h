// assentctl as a whole, against nodes that answer as told: what it prints and what it ends with.
#pragma once

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/run.h"
#include "tests/client/fake_cluster.h"

namespace assent::cli {

class CliTest : public ::testing::Test {
 protected:
  // Runs assentctl with the cluster's endpoints before the given arguments.
  int run(std::vector<std::string> arguments) {
    const std::vector<std::string> front{"assentctl", "--endpoints", cluster.endpoint_list()};
    arguments.insert(arguments.begin(), front.begin(), front.end());
    std::vector<const char*> pointers;
    for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
    out.str("");
    err.str("");
    return assentctl(static_cast<int>(pointers.size()), pointers.data(), {out, err, in});
  }
  nlohmann::json document() const { return nlohmann::json::parse(out.str()); }  // throws unless it is exactly one

  static constexpr const char* id = "0193a6b25e1c7c3fa1d0c9be6f2277a4";
  test::FakeCluster cluster;
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream in;  // what the person types
};

}  // namespace assent::cli
