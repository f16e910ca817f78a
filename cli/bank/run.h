// One run of the bank from setting up to the judgement: what `assentctl bench run` and `assentctl demo bank` share.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/bank/books.h"
#include "cli/bank/cost.h"
#include "cli/bank/load.h"
#include "client/client.h"

namespace assent::bank {

struct RunOptions {
  std::uint64_t accounts_per_shard = 1000;
  std::int64_t initial_balance = 1000;
  std::chrono::milliseconds duration{20'000};
  std::chrono::milliseconds warmup{0};
  std::chrono::milliseconds settle_patience{30'000};  // for the last transaction in doubt to be finished
  LoadOptions load;
  std::string history_path;          // empty: none
  std::ostream* progress = nullptr;  // a line a second; null: none
};

// Something that is done to the cluster in the middle of the load, on a thread of its own.
struct Disturbance {
  double at = 0.5;  // of the duration
  std::function<void()> act;
};

struct Report {
  Bank bank;
  double seconds = 0;                   // measured, without the warm-up
  std::uint64_t committed_in_time = 0;  // in these seconds
  Tally tally;
  Judgement judgement;
  Cost cost;
  std::chrono::milliseconds unavailable_max{0};

  [[nodiscard]] double per_second() const;
  // The money is there, nothing is in doubt, and every unknown outcome was resolved by asking.
  [[nodiscard]] bool sound() const { return complaints().empty(); }
  [[nodiscard]] std::vector<std::string> complaints() const;
};

[[nodiscard]] client::Result<Report> run(client::Client& client, const RunOptions& options,
                                         const std::vector<Disturbance>& disturbances);

}  // namespace assent::bank
