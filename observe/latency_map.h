// How many transactions took how long, by when they began: what a heat map is drawn of. A strip for the whole and one
// for each phase; the rows of a strip are the buckets of the metrics, and one more for what is longer. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "assent/v1/observe.pb.h"
#include "observe/latency_samples.h"
#include "observe/txn_record.h"

namespace assent {

inline constexpr std::uint32_t latency_columns_max = 240;

// What to count: starts from one time to another, in so many columns. Anything unusable is made usable.
struct LatencyWindow {
  std::int64_t from = 0;  // unix micros
  std::uint64_t column_micros = 1;
  std::uint32_t columns = 60;
};
[[nodiscard]] LatencyWindow window_of(const v1::LatencyRequest& request, std::int64_t now);

[[nodiscard]] v1::LatencyPage count_latencies(const LatencySamples& samples, const LatencyWindow& window);
// Of another node for the same window; one that does not fit is left out.
void add_latencies(const v1::LatencyPage& from, v1::LatencyPage& to);

// Whether a transaction stands in the rectangle of a heat map that the request names; true when it names none.
[[nodiscard]] bool in_rectangle(const TxnRecord& record, const v1::TxnsRequest& request);
[[nodiscard]] bool names_rectangle(const v1::TxnsRequest& request);
// "", "total", or a phase.
[[nodiscard]] bool is_strip(std::string_view name);

}  // namespace assent
