// The history of a run as clients saw it (check/history.h says what stands in it): to a file for independent checkers,
// and kept for our own (check/judge.h) when the workload is one that is judged by it. Each workload says what stands in
// its operations. A process number is not used again after an info.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "check/history.h"
#include "sim/schedule.h"

namespace assent::sim {

class History {
 public:
  // Without a path nothing is written.
  [[nodiscard]] Result<void> open(const std::string& path);
  // From now on keeps what comes.
  void keep() { keeps_ = true; }

  void event(Micros now, check::EventType type, unsigned process, const TxnId& txn, std::vector<check::Micro> value);
  [[nodiscard]] const check::History& kept() const { return kept_.history(); }

 private:
  std::ofstream file_;
  bool writes_ = false;
  bool keeps_ = false;
  check::HistoryBuilder kept_;
};

}  // namespace assent::sim
