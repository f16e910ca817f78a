// The history of a run as clients saw it, one JSON object a line as Jepsen writes it, for independent checkers:
//   {"type":"invoke|ok|fail|info","process":3,"time":<ns>,"f":"txn","id":"<hex>","value":[["add","acct/7",-50],...]}
// A read is ["r","acct/7",<balance or null>]. ok: it happened. fail: it did not and never will. info: not known.
#pragma once

#include <fstream>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sim/bank.h"
#include "sim/schedule.h"

namespace assent::sim {

class History {
 public:
  // Without a path nothing is written.
  [[nodiscard]] Result<void> open(const std::string& path);

  void transfer(Micros now, std::string_view type, unsigned process, const Transfer& transfer);
  // books: empty at the invocation, which then names the accounts only.
  void read(Micros now, std::string_view type, unsigned process, const TxnId& txn, unsigned accounts,
            const Books& books);

 private:
  void line(Micros now, std::string_view type, unsigned process, const TxnId& txn, const std::string& value);

  std::ofstream file_;
  bool on_ = false;
};

}  // namespace assent::sim
