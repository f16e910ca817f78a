// What agent_life.cc and agent_kills_test.cc share: which branch a life is about.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/ids.h"
#include "service/branch.h"

namespace assent::agent::testing {

struct Life {
  std::string url;
  std::string name;  // of the branch
  int account = 0;
  TxnId txn;
  bool commits = true;

  [[nodiscard]] service::Branch branch() const {
    service::Branch out;
    out.txn = txn;
    out.name = name;
    out.attempt = {1, 2};
    out.coordinator = "c0";
    return out;
  }
  // Takes 30 from the account.
  [[nodiscard]] std::string payload() const {
    const bool postgres = url.starts_with("postgres://");
    return fmt::format(
        R"({{"statements":[{{"sql":"UPDATE acct SET balance = balance - {} WHERE id = {}","params":[30,{}],"rows":1}}]}})",
        postgres ? "$1" : "?", postgres ? "$2" : "?", account);
  }
};

}  // namespace assent::agent::testing
