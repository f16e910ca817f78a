// What an operator does to a cluster: assentctl, as a process of its own.
#pragma once

#include <string>
#include <vector>

#include "tests/integration/cluster.h"

namespace assent::testing {

// assentctl with these words, on all endpoints; two minutes at most.
[[nodiscard]] CommandResult operate(const Cluster& cluster, std::vector<std::string> words);
// A failure of the test unless it ends with 0.
void expect_done(const Cluster& cluster, const std::vector<std::string>& words);
// ... unless it ends with that status, and says why.
void expect_refused(const Cluster& cluster, const std::vector<std::string>& words, int status, const std::string& why);

}  // namespace assent::testing
