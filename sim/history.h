// The history of a run as clients saw it, one JSON object a line as Jepsen writes it, for independent checkers:
//   {"type":"invoke|ok|fail|info","process":3,"time":<ns>,"f":"txn","id":"<hex>","value":[["add","acct/7",-50],...]}
// ok: it happened. fail: it did not and never will. info: not known, and its process number is not used again. Each
// workload says what stands in its values.
#pragma once

#include <fstream>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "sim/schedule.h"

namespace assent::sim {

class History {
 public:
  // Without a path nothing is written.
  [[nodiscard]] Result<void> open(const std::string& path);

  void line(Micros now, std::string_view type, unsigned process, const TxnId& txn, std::string_view value);

 private:
  std::ofstream file_;
  bool on_ = false;
};

}  // namespace assent::sim
