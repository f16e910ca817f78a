#include "observe/latency_map.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "observe/histogram.h"

namespace assent {
namespace {

constexpr std::uint32_t columns_default = 60;
constexpr std::string_view whole = "total";

std::uint32_t row_of(std::uint64_t micros) {
  static const Histogram buckets = Histogram::of_micros();
  const auto bounds = buckets.bounds();
  return static_cast<std::uint32_t>(std::lower_bound(bounds.begin(), bounds.end(), micros) - bounds.begin());
}

std::uint32_t rows() { return static_cast<std::uint32_t>(Histogram::of_micros().bounds().size()) + 1; }

std::optional<TxnPhase> phase_named(std::string_view name) {
  for (std::size_t i = 0; i < txn_phases; ++i) {
    if (to_string(static_cast<TxnPhase>(i)) == name) return static_cast<TxnPhase>(i);
  }
  return std::nullopt;
}

class Strip {
 public:
  explicit Strip(std::size_t cells) : cells_(cells) {}
  void add(std::size_t column, std::uint64_t micros) {
    ++cells_[column * rows() + row_of(micros)];
    any_ = true;
  }
  void write(std::string_view name, v1::LatencyPage& out) const {
    if (!any_) return;
    v1::LatencyStrip& strip = *out.add_strips();
    strip.set_name(std::string(name));
    strip.mutable_counts()->Add(cells_.begin(), cells_.end());
  }

 private:
  std::vector<std::uint32_t> cells_;
  bool any_ = false;
};

}  // namespace

LatencyWindow window_of(const v1::LatencyRequest& request, std::int64_t now) {
  LatencyWindow window;
  window.columns = request.columns() == 0 ? columns_default : std::min(request.columns(), latency_columns_max);
  const std::int64_t to = request.to_unix_micros() <= 0 ? now : request.to_unix_micros();
  window.from = std::clamp<std::int64_t>(request.from_unix_micros(), 0, to);
  const auto width = static_cast<std::uint64_t>(to - window.from);
  window.column_micros = std::max<std::uint64_t>(1, (width + window.columns - 1) / window.columns);
  return window;
}

v1::LatencyPage count_latencies(const LatencySamples& samples, const LatencyWindow& window) {
  Strip total(std::size_t{window.columns} * rows());
  std::vector<Strip> phases(txn_phases, total);
  std::uint64_t counted = 0;
  for (const LatencySample& sample : samples.all()) {
    if (sample.started < window.from) continue;
    const std::uint64_t column = static_cast<std::uint64_t>(sample.started - window.from) / window.column_micros;
    if (column >= window.columns) continue;
    ++counted;
    total.add(column, sample.total);
    for (std::size_t i = 0; i < txn_phases; ++i) {
      if (sample.phases[i] != LatencySample::none) phases[i].add(column, sample.phases[i]);
    }
  }
  v1::LatencyPage page;
  page.set_from_unix_micros(window.from);
  page.set_column_micros(window.column_micros);
  page.set_columns(window.columns);
  page.set_rows(rows());
  page.set_transactions(counted);
  total.write(whole, page);
  for (std::size_t i = 0; i < txn_phases; ++i) phases[i].write(to_string(static_cast<TxnPhase>(i)), page);
  return page;
}

void add_latencies(const v1::LatencyPage& from, v1::LatencyPage& to) {
  const bool fits = from.from_unix_micros() == to.from_unix_micros() && from.column_micros() == to.column_micros() &&
                    from.columns() == to.columns() && from.rows() == to.rows();
  if (!fits) return;
  const int cells = static_cast<int>(to.columns() * to.rows());
  std::map<int, v1::LatencyStrip> strips;  // in the order of their names' phases
  const auto place = [](const std::string& name) {
    const auto phase = phase_named(name);
    return phase ? static_cast<int>(*phase) + 1 : 0;
  };
  for (const v1::LatencyPage* page : {static_cast<const v1::LatencyPage*>(&to), &from}) {
    for (const v1::LatencyStrip& strip : page->strips()) {
      if (strip.counts_size() != cells || strip.name().empty() || !is_strip(strip.name())) continue;
      v1::LatencyStrip& sum = strips[place(strip.name())];
      if (sum.name().empty()) {
        sum = strip;
        continue;
      }
      for (int i = 0; i < cells; ++i) sum.set_counts(i, sum.counts(i) + strip.counts(i));
    }
  }
  to.clear_strips();
  for (auto& [at, strip] : strips) *to.add_strips() = std::move(strip);
  to.set_transactions(to.transactions() + from.transactions());
}

bool is_strip(std::string_view name) { return name.empty() || name == whole || phase_named(name).has_value(); }

bool names_rectangle(const v1::TxnsRequest& request) {
  return request.started_from_unix_micros() != 0 || request.started_to_unix_micros() != 0 ||
         request.over_micros() != 0 || request.upto_micros() != 0 || !request.by().empty();
}

bool in_rectangle(const TxnRecord& record, const v1::TxnsRequest& request) {
  if (!names_rectangle(request)) return true;
  const std::int64_t begun =
      record.steps.empty() ? 0 : static_cast<std::int64_t>(record.steps.front().micros) + record.wall_offset;
  if (begun < request.started_from_unix_micros()) return false;  // it began no later than its first step
  const auto spans = phases_of(record, record.coordinator);
  if (!spans || !spans->answered) return false;
  const std::int64_t started = static_cast<std::int64_t>(spans->began) + record.wall_offset;
  const std::int64_t to = request.started_to_unix_micros();
  if (started < request.started_from_unix_micros() || (to != 0 && started >= to)) return false;
  std::optional<std::uint64_t> micros;
  if (request.by().empty() || request.by() == whole) micros = *spans->answered - spans->began;
  for (const PhaseSpan& span : spans->phases) {
    if (to_string(span.phase) == request.by() && span.to) micros = micros.value_or(0) + (*span.to - span.from);
  }
  if (!micros) return false;
  const bool over = request.over_micros() == 0 || *micros > request.over_micros();
  return over && (request.upto_micros() == 0 || *micros <= request.upto_micros());
}

}  // namespace assent
